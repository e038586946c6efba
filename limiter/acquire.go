package limiter

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Call is a call to a shop that wants to go out.
type Call struct {
	Shop  string
	Class Class
	// Query stands for the text and the page sizes: two pages of different size
	// are two names. What Shopify asked for it before counts (see Bound).
	Query string
	Cost  int // the most that it costs, as computed from its text
}

type grantState uint8

const (
	waiting  grantState = iota // holds a place in its class's queue
	inFlight                   // holds its points
	ended                      // settled or failed
)

// Grant is a call's right to go out. Settle it; one that is forgotten is settled
// for its whole cost after Options.MaxFlight.
type Grant struct {
	// Cost is what is reserved, in points.
	Cost int
	// Probe: the shop's budget is not known, and this grant is for a cheap query
	// whose answer teaches it. Settle it and acquire again for the call itself.
	Probe bool

	s     *shop
	class Class
	query string
	ready chan struct{} // closed when it leaves the queue; nil if it never queued

	// owned by l.mu
	state   grantState
	counted bool  // see limited
	before  int64 // of a probe: s.probed before it
	at      int64 // tick of the grant
	mark    int64 // s.settled at the grant
	err     error
}

// Acquire blocks until the call's points are granted, first come first served
// within the class. It gives up with a *WaitError, which carries the instant of
// the next possible grant, when Options.MaxWait or ctx's deadline runs out; at once
// when it is certain that they will. When ctx ends, nothing has been spent. A
// *CostError says that the call can never be granted.
//
// While the shop's budget is not known, the first call in the queue gets a probe,
// even while the window counts as spent: at most one per window, of ProbePoints,
// noted on disk before it is given. The others wait for what it teaches. One that
// cost nothing, because it never left or the shop turned it away, does not
// count: the next call in the queue gets another.
func (l *Limiter) Acquire(ctx context.Context, c Call) (*Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("limiter: wait: %w", err)
	}
	start := time.Now()
	limit, cause := start.Add(l.opts.MaxWait), error(nil)
	if dl, ok := ctx.Deadline(); ok && dl.Before(limit) {
		limit, cause = dl, context.DeadlineExceeded
	}
	g, err := l.line(c, start, limit, cause)
	if err != nil || g.ready == nil {
		return g, err
	}
	bound := time.NewTimer(limit.Sub(start))
	defer bound.Stop()
	select {
	case <-g.ready:
	case <-ctx.Done():
		cause = ctx.Err()
	case <-bound.C:
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	s := g.s
	t := s.enter(l.tick(time.Now()))
	if g.state == waiting {
		s.pump(t)
	}
	switch {
	case g.err != nil:
		return nil, g.err
	case ctx.Err() != nil && g.state == inFlight:
		s.settle(t, g, 0, nil)
		s.pump(t)
		return nil, &WaitError{Shop: s.name, Next: time.Now(), Err: ctx.Err()}
	case g.state == waiting:
		return nil, s.giveUp(t, g, cause)
	}
	return g, nil
}

// line is the call's grant, or its place in the queue: then it has a ready. A call
// whose turn comes after limit gets an error.
func (l *Limiter) line(c Call, now, limit time.Time, cause error) (*Grant, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, t := l.shop(c.Shop, now)
	if s == nil {
		return nil, ErrClosed
	}
	g := &Grant{s: s, class: min(c.Class, Bulk), Cost: max(l.bound(c.Query, c.Cost), 1), query: c.Query}
	if err := s.tooDear(g); err != nil {
		s.limited(g)
		return nil, err
	}
	if s.pick() == nil && !s.untaught(t) && s.lease >= g.Cost && s.fits(t, g.Cost) {
		s.take(t, g)
		return g, nil
	}
	g.ready = make(chan struct{})
	s.join(g)
	dry := s.pump(t)
	if g.state != waiting {
		return g, g.err
	}
	if !dry && s.probe == nil {
		s.limited(g)
	}
	if len(s.flight) == 0 && !s.due {
		if at, ok := s.turn(t, g); ok && at > l.tick(limit) {
			return nil, s.giveUp(t, g, cause)
		}
	}
	return g, nil
}

// limited counts a call that was delayed, denied or throttled, once.
func (s *shop) limited(g *Grant) {
	if !g.counted {
		g.counted = true
		s.l.opts.OnLimited(s.name)
	}
}

// pollFlight is how soon to ask again when only an answer can free points.
const pollFlight = time.Second

// giveUp leaves the queue and says when to try again.
func (s *shop) giveUp(t int64, g *Grant, cause error) error {
	at, ok := s.turn(t, g)
	if !ok {
		at = t + int64(pollFlight)
	}
	s.unqueue(g, ended)
	s.limited(g)
	s.pump(t)
	return &WaitError{Shop: s.name, Next: time.Now().Add(time.Duration(at - t)), Err: cause,
		Asked: s.penalty > t, Guessed: s.guessed(t)}
}

// Answer is what came of a call.
type Answer struct {
	// Actual is what the shop charged (actualQueryCost): 0 for a call that it turned
	// away. Or Unknown, or Unsent.
	Actual int
	// Requested is the requestedQueryCost, which is remembered for the query; 0
	// when the answer did not tell.
	Requested int
	// Status is the answer's throttleStatus; nil when it had none.
	Status *ThrottleStatus
	// Until keeps every call of the shop back until then, bounded by
	// Options.MaxPenalty: for THROTTLED, 429 and 430 with or without Retry-After.
	// It survives a restart.
	Until time.Time
}

// What became of a call whose answer did not tell its cost.
const (
	Unknown = -1 // the shop may have counted it: the whole reserved cost is charged
	Unsent  = -2 // it never left: nothing is charged
)

// Settle ends the call, at the moment when its answer was received. Only the
// first time counts.
func (g *Grant) Settle(a Answer) {
	s, l, now := g.s, g.s.l, time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := s.enter(l.tick(now))
	if !a.Until.IsZero() {
		s.limited(g)
		if p := min(l.tick(a.Until), t+int64(l.opts.MaxPenalty)); p > s.penalty {
			s.penalty = p
			s.request(0)
		}
	}
	if g.state == inFlight {
		actual := g.Cost
		switch {
		case a.Actual == Unsent:
			actual = 0
		case a.Actual >= 0:
			s.answer, actual = t, a.Actual
		}
		s.settle(t, g, actual, a.Status)
		if !g.Probe && l.learn(g.query, a.Requested) {
			s.request(0)
		}
	}
	s.pump(t)
}

// take moves leased points into flight. Needs fits and lease >= g.Cost.
func (s *shop) take(t int64, g *Grant) {
	s.lease -= g.Cost
	s.flying += g.Cost
	g.at, g.mark, g.state = t, s.settled, inFlight
	s.flight = append(s.flight, g)
	s.prefetch()
}

// settle ends a grant under way: actual points are charged, the rest goes back
// to the lease, and what the shop says about its bucket is believed as far as
// no other call can have changed it since.
func (s *shop) settle(t int64, g *Grant, actual int, st *ThrottleStatus) {
	actual = min(actual, mostTimes*g.Cost)
	i := slices.Index(s.flight, g)
	s.flight = slices.Delete(s.flight, i, i+1)
	s.flying -= g.Cost
	s.lease += g.Cost - actual
	g.state = ended
	if s.probe == g {
		s.probe = nil
	}
	others := s.settled - g.mark // settled since this call was granted
	s.charge(t, actual)
	if st.valid() {
		s.believe(t, g, others, *st)
	} else if g.Probe && actual == 0 {
		s.probed = g.before
		s.request(0) // a restart need not wait for it either
	}
}
