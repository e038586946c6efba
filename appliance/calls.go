package appliance

import (
	"time"

	"stockroom/breaker"
	"stockroom/shopify"
	"stockroom/web"
)

// outbound shows the page how calls to Shopify stand.
type outbound struct{ a *Appliance }

// Calls puts together what limiter, breaker and client know of a shop.
func (o outbound) Calls(shop string, now time.Time) web.Calls {
	c := web.Calls{Circuit: breaker.StateClosed.String()}
	if snap, ok := o.a.limiter.SnapshotAt(now, shop); ok {
		c.Used, c.Budget, c.Window, c.Learnt = snap.Used, snap.Budget, int(snap.Window/time.Second), snap.Mode != "default"
		for _, n := range snap.Waiting {
			c.Waiting += n
		}
		if snap.Next.After(now) {
			c.NextGrant = snap.Next
		}
		if snap.Penalty.After(now) && snap.Penalty.After(c.NextGrant) {
			c.NextGrant = snap.Penalty
		}
	}
	worst := breaker.StateClosed
	for _, s := range o.a.breaker.SnapshotAt(now) {
		if s.Key.Shop != shop || s.State == breaker.StateClosed || worst == breaker.StateOpen {
			continue
		}
		worst = s.State
		c.Circuit, c.Reason, c.RetryAt, c.Held = s.State.String(), s.Reason, s.RetryAt, s.Hand == breaker.HeldOpen
	}
	seen := o.a.client.Seen(shop)
	c.Version, c.Deprecated = seen.Version, seen.Deprecated
	return c
}

// DaysLeft is about the version asked for, or an older one that a shop serves
// instead.
func (o outbound) DaysLeft(now time.Time) (int, bool) {
	days, ok := shopify.DaysLeft(o.a.client.Version(), now)
	for _, shop := range o.a.state.Shops() {
		if v := o.a.client.Seen(shop.Domain).Version; v != "" && v != o.a.client.Version() {
			if d, known := shopify.DaysLeft(v, now); known && (!ok || d < days) {
				days, ok = d, true
			}
		}
	}
	return days, ok
}

// SelfThrottled counts since the start of the process.
func (o outbound) SelfThrottled() int64 { return o.a.client.SelfThrottled() }

var _ web.Outbound = outbound{}
