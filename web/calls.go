package web

import (
	"cmp"
	"fmt"
	"math"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"stockroom/internal/status"
)

// Outbound tells of the calls to Shopify. nil shows nothing of them.
type Outbound interface {
	// DaysLeft is for how many days the API version in use is still served; false
	// when that is not known.
	DaysLeft(now time.Time) (int, bool)
	// SelfThrottled is how many calls the shops throttled by our own doing.
	SelfThrottled() int64
	// Hold decides about a shop's circuits by hand; it is on disk when it returns
	// nil.
	Hold(shop string, h Hold) error
}

// Hold is what a person decides about the calls to a shop.
type Hold string

// The decisions.
const (
	HoldOpen   Hold = "open"   // make no call until told otherwise
	HoldClosed Hold = "closed" // make every call, however many fail
	HoldAuto   Hold = "auto"   // let the circuit decide again
	HoldTry    Hold = "try"    // end the wait: the next call is the next try
)

// circuitStates are the values of stockroom_breaker_state.
var circuitStates = map[string]float64{"closed": 0, "half-open": 1, "open": 2}

// pointsWords says how much of the budget is used: "38 of 2,000 points used".
func pointsWords(c *status.Calls, now time.Time) string {
	if c == nil || c.Budget == 0 {
		return ""
	}
	words := fmt.Sprintf("%s of %s points used", number(int64(c.Used)), number(int64(c.Budget)))
	if !c.Learnt {
		words += " (Shopify has not told the shop's budget yet)"
	}
	if c.NextGrant.After(now.Add(time.Second)) {
		words += ", next call " + until(now, c.NextGrant)
	}
	return words
}

// callGauges adds what concerns calls to a scrape. Of the circuits of shops that
// share a label the worst counts.
func (s *Server) callGauges(set *vm.Set, a *status.Account) {
	if s.o.Outbound == nil {
		return
	}
	var f folded
	for _, reason := range []string{"token", "scope", "frozen", "uninstalled", "operator"} {
		f.fold(fmt.Sprintf(`stockroom_shops_paused{reason=%q}`, reason), 0, add)
	}
	for _, v := range a.Shops {
		label, c := s.label(v.Shop), cmp.Or(v.Calls, new(status.Calls))
		f.fold(fmt.Sprintf(`stockroom_limiter_points_used{shop=%q}`, label), float64(c.Used), add)
		f.fold(fmt.Sprintf(`stockroom_limiter_points_budget{shop=%q}`, label), float64(c.Budget), add)
		f.fold(fmt.Sprintf(`stockroom_breaker_state{shop=%q}`, label), circuitStates[c.Circuit], math.Max)
		if v.State != "active" {
			reason, _ := pauseParts(v.Reason)
			if v.State == "uninstalled" {
				reason = "uninstalled"
			}
			if series := fmt.Sprintf(`stockroom_shops_paused{reason=%q}`, reason); f.has(series) {
				f.fold(series, 1, add)
			}
		}
	}
	f.fold(`stockroom_throttled_self_total`, float64(s.o.Outbound.SelfThrottled()), add)
	if days, ok := s.o.Outbound.DaysLeft(a.Now); ok {
		f.fold(`stockroom_api_version_support_seconds`, float64(days)*24*3600, add)
	}
	f.write(set)
}
