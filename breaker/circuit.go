package breaker

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	slices    = 10          // of the window
	pollProbe = time.Second // when to ask again while probes are under way
)

// circuit is the state of one key. The closed path touches the atomics only; mu
// owns the rest and every transition. Instants are ticks: nanoseconds since the
// breaker was opened, on its monotonic clock.
type circuit struct {
	key Key
	b   *Breaker

	gate atomic.Uint64 // generation<<1, and 1 if every call may pass
	run  atomic.Uint64 // generation<<32 and failures in a row, while closed
	// window of outcomes: slice number<<32 | calls<<16 | failures
	window [slices]atomic.Uint64

	mu       sync.Mutex
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

// allow decides at t for a circuit whose gate is shut. A non-nil transition was
// made and must be written before its probe goes out: see admit.
func (c *circuit) allow(t int64) (p Permit, retry int64, reason string, tr *Transition) {
	switch {
	case c.hand == HeldOpen:
		return p, -1, ReasonHand, nil
	case c.hand == HeldClosed || c.state == StateClosed:
		return Permit{c: c, gen: c.gen, at: t}, 0, "", nil
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
	return Permit{c: c, gen: c.gen, at: t, probe: bit}
}

// done books the outcome of a call of generation gen at t, which does not take
// the closed path. It returns the transition it made, if any.
func (c *circuit) done(t int64, p Permit, o Outcome, retryAfter time.Duration) *Transition {
	if p.gen != c.gen || c.hand != Auto {
		return nil // late, or nothing counts
	}
	if c.state == StateClosed {
		calls, failed := c.rate(t)
		switch {
		case o != Failure:
		case c.failures() >= c.b.opts.Failures:
			return c.trip(t, retryAfter, ReasonFailures)
		case calls >= c.b.opts.MinCalls && float64(failed) >= c.b.opts.Rate*float64(calls):
			return c.trip(t, retryAfter, ReasonRate)
		}
		return nil
	}
	if c.state != StateHalfOpen || c.issued&p.probe == 0 {
		return nil
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

// trip opens the circuit: for what the server asks, else for Reset doubled by
// every wait in a row.
func (c *circuit) trip(t int64, retryAfter time.Duration, reason string) *Transition {
	o := &c.b.opts
	wait := o.MaxReset
	if shift := c.trips; shift < 30 && o.Reset<<shift > 0 {
		wait = min(o.Reset<<shift, o.MaxReset)
	}
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
	c.run.Store(c.gen << 32)
	for i := range c.window {
		c.window[i].Store(0)
	}
	c.setGate()
	return tr
}

func (c *circuit) setGate() {
	pass := uint64(0)
	if c.hand == HeldClosed || c.hand == Auto && c.state == StateClosed {
		pass = 1
	}
	c.gate.Store(c.gen<<1 | pass)
}

// count books a call of the closed path in the slice of t.
func (c *circuit) count(t int64, failed uint64) {
	n := uint64(uint32(t / int64(c.b.slice)))
	w := &c.window[n%slices]
	for {
		old := w.Load()
		word := old
		if word>>32 != n {
			word = n << 32
		}
		if calls := word >> 16 & 0xffff; calls < 0xffff { // full: the share stays as it is
			word += 1<<16 | failed
		}
		if w.CompareAndSwap(old, word) {
			return
		}
	}
}

// rate is the calls and failures of the window that ends at t.
func (c *circuit) rate(t int64) (calls, failed int) {
	n := uint32(t / int64(c.b.slice))
	for i := range c.window {
		w := c.window[i].Load()
		if age := n - uint32(w>>32); age < slices {
			calls += int(w >> 16 & 0xffff)
			failed += int(w & 0xffff)
		}
	}
	return calls, failed
}

// failures is how many calls of this generation failed in a row.
func (c *circuit) failures() int { return int(c.run.Load() & 0xffff_ffff) }

// succeed ends a row of failures of generation gen, and of no other.
func (c *circuit) succeed(gen uint64) {
	for {
		old := c.run.Load()
		if old == gen<<32 || old>>32 != gen&0xffff_ffff || c.run.CompareAndSwap(old, gen<<32) {
			return
		}
	}
}
