package limiter

import (
	"time"

	"stockroom/internal/uptime"
)

// Class is the kind of work a call belongs to. Classes share a shop's points
// by weight while all of them wait; an idle class leaves its share to others.
type Class uint8

const (
	WebhookRefetch Class = iota // what a webhook told us to fetch
	Reconcile                   // scheduled comparison and repair
	Bulk                        // first and full syncs
	classes
)

// String names the class as the page and the metrics show it.
func (c Class) String() string {
	switch c {
	case WebhookRefetch:
		return "webhook-refetch"
	case Reconcile:
		return "reconcile"
	case Bulk:
		return "bulk"
	}
	return "unknown"
}

// weights are the shares of the classes while all three wait: 6/10, 3/10 and
// 1/10 of the points. Two classes share in the ratio of their weights.
var weights = [classes]int64{6, 3, 1}

// Options are the settings of a Limiter.
type Options struct {
	// Points per Window, until the shop has told its real budget, and always
	// when Fixed. Default 80.
	Points int
	// Window is the length of the sliding window. Default 60 s.
	Window time.Duration
	// Fixed keeps Points for good instead of learning the budget. The shop's
	// currentlyAvailable still bounds every grant. Default false: learn.
	Fixed bool
	// MaxWait bounds Wait. Default 31 s, which is 1+2+4+8+16.
	MaxWait time.Duration
	// MaxFlight is how long a grant may stay unsettled before it is settled
	// for its whole cost. Longer than any call can take. Default 5 min.
	MaxFlight time.Duration
	// StaleAfter is the age of the shop's last answer from which only one call
	// goes out, and one more per StaleAfter, until it answers: another client
	// of the same app may have spent what we believe to be there. Default 10 s.
	StaleAfter time.Duration
	// ProbePoints is the most a probe may cost. Default 10.
	ProbePoints int
	// MaxPenalty bounds how far ahead a penalty may reach, against a wrong
	// Retry-After or a wall clock jump. Default 1 h.
	MaxPenalty time.Duration
	// OnLimited is called once for each call that has to wait for points, gets none, or
	// is throttled by the shop all the same. It must not call the limiter. nil: nobody.
	OnLimited func(shop string)
	// Uptime is the clock since boot. Where it is unknown a restart counts as no
	// time passed. Default: the machine's own (Linux).
	Uptime uptime.Source
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if o.Points <= 0 {
		o.Points = 80
	}
	if o.ProbePoints <= 0 {
		o.ProbePoints = 10
	}
	def(&o.Window, time.Minute)
	def(&o.MaxWait, 31*time.Second)
	def(&o.MaxFlight, 5*time.Minute)
	def(&o.StaleAfter, 10*time.Second)
	def(&o.MaxPenalty, time.Hour)
	if o.OnLimited == nil {
		o.OnLimited = func(string) {}
	}
	if o.Uptime == nil {
		o.Uptime = uptime.Machine
	}
	return o
}

// ThrottleStatus is extensions.cost.throttleStatus of an Admin API answer, in
// points and points per second. Shopify sends integers or floats
// (https://shopify.dev/docs/api/usage/limits).
type ThrottleStatus struct {
	MaximumAvailable   float64
	CurrentlyAvailable float64
	RestoreRate        float64
}

// Unknown is the actual cost of a call whose answer did not tell it: the whole
// reserved cost is charged.
const Unknown = -1
