package limiter

import "time"

type grantState uint8

const (
	waiting  grantState = iota // holds a place in its class's queue
	inFlight                   // holds its points
	ended                      // settled, cancelled or failed
)

// Grant is a call's right to go out, or its place in the queue until then. End
// every grant that holds points with Settle or Cancel; one that is forgotten is
// settled for its whole cost after Options.MaxFlight. All methods may be called
// from any goroutine, and any number of times: only the first end counts.
type Grant struct {
	s     *shop
	class Class
	wait  bool          // a goroutine sleeps in Wait on it
	ready chan struct{} // closed when it leaves the queue; nil if it never queued

	// owned by s.mu
	state      grantState
	sent       bool
	probe      bool
	before     int64 // of a probe: s.probed before it
	cost       int64
	at         int64 // tick of the grant
	mark       int64 // s.settled at the grant
	err        error
	prev, next *Grant // in the queue or in flight
}

// Cost is the reserved upper bound, in points.
func (g *Grant) Cost() int { return int(g.cost) }

// Sent notes that the call left, or may have left. A later Cancel then charges
// the whole cost, because the shop may have counted it.
func (g *Grant) Sent() {
	g.s.mu.Lock()
	g.sent = true
	g.s.mu.Unlock()
}

// Settle ends the call with what the shop charged (actualQueryCost; 0 for one
// it throttled, Unknown when there is no telling) and its throttleStatus, nil
// when the answer had none.
func (g *Grant) Settle(actual int, st *ThrottleStatus) { g.SettleAt(time.Now(), actual, st) }

// SettleAt is Settle at an explicit instant: when the answer was received.
func (g *Grant) SettleAt(now time.Time, actual int, st *ThrottleStatus) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.enter(s.l.tick(now))
	if g.state != inFlight {
		s.leave(g)
		return
	}
	if actual < 0 {
		s.settle(t, g, g.cost, st)
	} else {
		s.answer = t
		s.settle(t, g, int64(actual), st)
	}
	s.pump(t)
}

// Cancel gives the points of a call that never left back, or the place in the
// queue. After Sent it charges the whole cost instead.
func (g *Grant) Cancel() { g.CancelAt(time.Now()) }

// CancelAt is Cancel at an explicit instant.
func (g *Grant) CancelAt(now time.Time) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.enter(s.l.tick(now))
	s.cancel(t, g)
	s.pump(t)
}

// cancel ends g without an answer. Needs s.mu.
func (s *shop) cancel(t int64, g *Grant) {
	switch {
	case g.state == waiting:
		s.leave(g)
	case g.state == inFlight && g.sent:
		s.settle(t, g, g.cost, nil)
	case g.state == inFlight:
		s.settle(t, g, 0, nil)
	}
}

// Penalty keeps every call of the shop back until then, bounded by
// Options.MaxPenalty: for THROTTLED, 429 and 430 with or without Retry-After.
// It survives a restart. Settle the grant as well.
func (g *Grant) Penalty(until time.Time) { g.PenaltyAt(time.Now(), until) }

// PenaltyAt is Penalty at an explicit instant.
func (g *Grant) PenaltyAt(now, until time.Time) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.enter(s.l.tick(now))
	s.counts.Throttled++
	p := min(t+int64(until.Sub(now)), t+int64(s.l.opts.MaxPenalty))
	if p > s.penalty {
		s.penalty = p
		s.request(0)
	}
	s.pump(t)
}

// Ready is closed when the grant holds its points or has failed (see Err).
func (g *Grant) Ready() <-chan struct{} {
	if g.ready == nil {
		return g.s.l.now
	}
	return g.ready
}

// Err is why a queued grant failed: the limiter was closed, the lease could not
// be written, or the budget was lowered below its cost. nil while it waits and
// when it holds its points.
func (g *Grant) Err() error {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	return g.err
}

// pollFlight is how soon to ask again when only an answer can free points.
const pollFlight = time.Second

// DelayFrom grants the points if they are due at now, and returns 0 when the
// grant holds them or has failed; else how long until it can. The delay is
// exact for the next call in line as long as no other call is under way, and the
// earliest possible for the others: ask again after it.
func (g *Grant) DelayFrom(now time.Time) time.Duration {
	s := g.s
	t := s.l.tick(now)
	s.mu.Lock()
	t = s.enter(t)
	t = s.pumpLeased(t)
	defer s.mu.Unlock()
	if g.state != waiting {
		return 0
	}
	at, ok := s.turn(t, g)
	if !ok {
		at = t + int64(pollFlight)
	}
	return time.Duration(max(at-t, 1))
}

// flights are the grants under way, oldest first.
type flights struct {
	head, tail *Grant
	points     int64
	n          int
}

func (f *flights) push(g *Grant) {
	g.prev, g.next = f.tail, nil
	if f.tail != nil {
		f.tail.next = g
	} else {
		f.head = g
	}
	f.tail = g
	f.points += g.cost
	f.n++
}

func (f *flights) remove(g *Grant) {
	if g.prev != nil {
		g.prev.next = g.next
	} else {
		f.head = g.next
	}
	if g.next != nil {
		g.next.prev = g.prev
	} else {
		f.tail = g.prev
	}
	g.prev, g.next = nil, nil
	f.points -= g.cost
	f.n--
}
