package breaker

import (
	"math"
	"math/bits"
	"time"
)

const (
	windowSlices = 10          // the window is counted in so many parts
	pollProbe    = time.Second // when to ask again while probes are under way
)

// circuit is the state of one key; b.mu owns it. Instants are ticks:
// nanoseconds since the breaker was opened, on its monotonic clock.
type circuit struct {
	key Key
	b   *Breaker

	run    int // failures in a row, while closed
	window [windowSlices]tally

	gen      uint64
	state    State
	hand     Hand
	reason   string
	since    int64  // tick of the last transition
	until    int64  // deadline while open; of the probes while half-open
	wait     int64  // the whole wait that until ends
	trips    int    // waits in a row, for the doubling
	issued   uint64 // probes given out and not reported, a bit each
	good     int    // probes that succeeded
	stored   bool   // half-open is on disk: probes may go out
	writeErr error
}

// tally is what came of the calls of one slice of time.
type tally struct {
	slice         int64 // its number
	calls, failed int
}

// allow decides at t. A non-nil transition was made and must be written before
// its probe goes out: see Allow.
func (c *circuit) allow(t int64) (p Permit, retry int64, reason string, tr *Transition) {
	switch {
	case c.hand == HeldOpen:
		return p, -1, ReasonHand, nil
	case c.hand == HeldClosed || c.state == StateClosed:
		return Permit{c: c, gen: c.gen}, 0, "", nil
	}
	if c.until-t > c.wait && c.state == StateOpen {
		c.until = t + c.wait // the clock was set back: never longer than its wait
	}
	if c.state == StateHalfOpen && t >= c.until && c.issued != 0 {
		tr = c.trip(t, 0, ReasonSilence)
	}
	if c.state == StateOpen {
		if t < c.until {
			return p, c.until, c.reason, tr
		}
		tr = c.enter(t, StateHalfOpen, c.reason)
		c.until = t + int64(c.b.opts.ProbeTimeout)
		c.issued, c.good, c.stored = 0, 0, false
		return p, 0, "", tr
	}
	if !c.stored || c.good+bits.OnesCount64(c.issued) >= c.b.opts.Probes {
		return p, t + int64(min(pollProbe, c.b.opts.Reset)), ReasonProbing, nil
	}
	return c.probe(t), 0, "", nil
}

// probe gives out the next probe of a half-open circuit.
func (c *circuit) probe(t int64) Permit {
	bit := uint64(1) << bits.TrailingZeros64(^c.issued)
	c.issued |= bit
	// a probe may take its whole time whenever it started
	c.until = t + int64(c.b.opts.ProbeTimeout)
	return Permit{c: c, gen: c.gen, probe: bit}
}

// done books the outcome of a call at t. It returns the transition it made, if
// any.
func (c *circuit) done(t int64, p Permit, o Outcome, retryAfter time.Duration) *Transition {
	switch {
	case p.gen != c.gen || c.hand != Auto:
		return nil // late, or nothing counts
	case c.state == StateClosed:
		return c.count(t, o, retryAfter)
	case c.issued&p.probe == 0:
		return nil // it was told before
	}
	c.issued &^= p.probe
	switch o {
	case Failure:
		return c.trip(t, retryAfter, ReasonProbe)
	case Success:
		if c.good++; c.good >= c.b.opts.Probes {
			c.trips = 0
			return c.enter(t, StateClosed, "")
		}
	}
	return nil
}

// count books a call of a closed circuit in the slice of t.
func (c *circuit) count(t int64, o Outcome, retryAfter time.Duration) *Transition {
	if o == Ignored {
		return nil
	}
	n := t / int64(c.b.slice)
	w := &c.window[n%windowSlices]
	if w.slice != n {
		*w = tally{slice: n}
	}
	w.calls++
	if o == Success {
		c.run = 0
		return nil
	}
	w.failed++
	c.run++
	calls, failed := c.rate(t)
	switch {
	case c.run >= c.b.opts.Failures:
		return c.trip(t, retryAfter, ReasonFailures)
	case calls >= c.b.opts.MinCalls && float64(failed) >= c.b.opts.Rate*float64(calls):
		return c.trip(t, retryAfter, ReasonRate)
	}
	return nil
}

// rate is the calls and failures of the window that ends at t.
func (c *circuit) rate(t int64) (calls, failed int) {
	n := t / int64(c.b.slice)
	for _, w := range c.window {
		if w.slice > n-windowSlices && w.slice <= n {
			calls += w.calls
			failed += w.failed
		}
	}
	return calls, failed
}

// trip opens the circuit: for what the server asks, else for Reset doubled by
// every wait in a row.
func (c *circuit) trip(t int64, retryAfter time.Duration, reason string) *Transition {
	o := &c.b.opts
	wait := time.Duration(min(float64(o.Reset)*math.Exp2(float64(c.trips)), float64(o.MaxReset)))
	c.trips++
	if retryAfter > 0 {
		wait = min(retryAfter, o.MaxRetryAfter)
	}
	tr := c.enter(t, StateOpen, reason)
	c.wait, c.until = int64(wait), t+int64(wait)
	tr.RetryAt = c.b.instant(c.until)
	return tr
}

// enter makes a transition: a new generation that no earlier call can touch.
func (c *circuit) enter(t int64, to State, reason string) *Transition {
	tr := &Transition{Key: c.key, From: c.state, To: to, Hand: c.hand, Reason: reason, At: c.b.instant(t)}
	c.state, c.reason, c.since = to, reason, t
	c.gen++
	c.run, c.window = 0, [windowSlices]tally{}
	return tr
}
