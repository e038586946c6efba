package limiter

import (
	"errors"
	"fmt"
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

// ProbePoints is what a probe may cost at most.
const ProbePoints = 10

// staleAfter is the age of the shop's last answer from which only one call
// goes out, and one more per staleAfter, until it answers: another client
// of the same app may have spent what we believe to be there.
const staleAfter = int64(10 * time.Second)

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
	// MaxWait bounds Acquire. Default 31 s, which is 1+2+4+8+16.
	MaxWait time.Duration
	// MaxFlight is how long a grant may stay unsettled before it is settled
	// for its whole cost. Longer than any call can take. Default 5 min.
	MaxFlight time.Duration
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
	def(&o.Window, time.Minute)
	def(&o.MaxWait, 31*time.Second)
	def(&o.MaxFlight, 5*time.Minute)
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

// ErrClosed says that the limiter was closed or the shop forgotten.
var ErrClosed = errors.New("limiter closed")

// CostError says that a call of this cost can never be granted. In points.
type CostError struct {
	Cost   int
	Budget int
}

func (e *CostError) Error() string {
	return fmt.Sprintf("limiter: cost %d: cost above the shop's budget of %d points", e.Cost, e.Budget)
}

// WaitError says that the points were not available within the bound of Acquire
// or the caller's deadline. Next is the earliest instant at which the call can be
// granted, which is when to try again: snooze the job until then.
type WaitError struct {
	Shop    string
	Next    time.Time
	Err     error // the caller's context error, or nil when MaxWait ran out
	Asked   bool  // the shop asked to stay away
	Guessed bool  // see Snapshot.Guessed
}

func (e *WaitError) Error() string {
	s := fmt.Sprintf("limiter: %s: no points before %s", e.Shop, e.Next.UTC().Format(time.RFC3339))
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *WaitError) Unwrap() error { return e.Err }
