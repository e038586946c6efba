package breaker

import (
	"math"
	"time"
)

const (
	maxReset     = 10 * time.Minute // caps the doubled wait, unless Reset is longer
	maxRate      = 0.5              // share of failures in the window that opens a circuit
	minCalls     = 20               // calls of the window that make a share
	windowSlices = 10               // the window is counted in so many parts
	slice        = 6 * time.Second  // one of them
	probeTimeout = 2 * time.Minute  // a probe that has not reported by then has failed; no call takes longer
	pollProbe    = time.Second      // when to ask again while the probe is under way
)

// circuit is the state of one key; b.mu owns it. Instants are ticks:
// nanoseconds since the breaker was opened, on its monotonic clock.
type circuit struct {
	key Key
	b   *Breaker

	run    int // failures in a row, while closed
	window [windowSlices]tally

	gen     uint64
	state   State
	hand    Hand
	reason  string
	until   int64 // deadline while open; of the probe while half-open
	wait    int64 // the whole wait that until ends
	trips   int   // waits in a row, for the doubling
	probing bool  // the probe was given out and not reported
	stored  bool  // half-open is on disk: the probe may go out
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
	if c.state == StateHalfOpen && t >= c.until && c.probing {
		tr = c.trip(t, 0, ReasonSilence)
	}
	if c.state == StateOpen {
		if t < c.until {
			return p, c.until, c.reason, tr
		}
		tr = c.enter(StateHalfOpen, c.reason)
		c.until = t + int64(probeTimeout)
		c.probing, c.stored = false, false
		return p, 0, "", tr
	}
	if !c.stored || c.probing {
		return p, t + int64(min(pollProbe, c.b.opts.Reset)), ReasonProbing, nil
	}
	return c.probe(t), 0, "", nil
}

// probe gives out the probe of a half-open circuit.
func (c *circuit) probe(t int64) Permit {
	c.probing = true
	// a probe may take its whole time whenever it started
	c.until = t + int64(probeTimeout)
	return Permit{c: c, gen: c.gen}
}

// done books the outcome at t of a call of generation gen. It returns the
// transition it made, if any.
func (c *circuit) done(t int64, gen uint64, o Outcome, retryAfter time.Duration) *Transition {
	switch {
	case gen != c.gen || c.hand != Auto:
		return nil // late, or nothing counts
	case c.state == StateClosed:
		return c.count(t, o, retryAfter)
	case !c.probing:
		return nil // it was reported before
	}
	c.probing = false
	switch o {
	case Failure:
		return c.trip(t, retryAfter, ReasonProbe)
	case Success:
		c.trips = 0
		return c.enter(StateClosed, "")
	}
	return nil
}

// count books a call of a closed circuit in the slice of t.
func (c *circuit) count(t int64, o Outcome, retryAfter time.Duration) *Transition {
	if o == Ignored {
		return nil
	}
	n := t / int64(slice)
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
	case calls >= minCalls && float64(failed) >= maxRate*float64(calls):
		return c.trip(t, retryAfter, ReasonRate)
	}
	return nil
}

// rate is the calls and failures of the window that ends at t.
func (c *circuit) rate(t int64) (calls, failed int) {
	n := t / int64(slice)
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
	wait := time.Duration(min(float64(o.Reset)*math.Exp2(float64(c.trips)), float64(max(maxReset, o.Reset))))
	c.trips++
	if retryAfter > 0 {
		wait = min(retryAfter, o.MaxRetryAfter)
	}
	return c.open(t, wait, reason)
}

// open refuses calls for a wait from t on.
func (c *circuit) open(t int64, wait time.Duration, reason string) *Transition {
	tr := c.enter(StateOpen, reason)
	c.wait, c.until = int64(wait), t+int64(wait)
	tr.RetryAt = c.b.instant(c.until)
	return tr
}

// enter makes a transition: a new generation that no earlier call can touch.
func (c *circuit) enter(to State, reason string) *Transition {
	c.state, c.reason = to, reason
	c.gen++
	c.run, c.window = 0, [windowSlices]tally{}
	return &Transition{Key: c.key, To: to, Reason: reason}
}
