package limiter

import "time"

type grantState uint8

const (
	waiting  grantState = iota // holds a place in its class's queue
	inFlight                   // holds its points
	ended                      // settled, cancelled or failed
)

// Grant is a call's right to go out, or its place in the queue until then. End
// every grant that holds points with SettleAt or Cancel; one that is forgotten is
// settled for its whole cost after Options.MaxFlight. All methods may be called
// from any goroutine, and any number of times: only the first end counts.
type Grant struct {
	s     *shop
	class Class
	ready chan struct{} // closed when it leaves the queue; nil if it never queued

	// owned by s.mu
	state      grantState
	sent       bool
	probe      bool
	counted    bool  // see limited
	before     int64 // of a probe: s.probed before it
	cost       int64
	at         int64 // tick of the grant
	mark       int64 // s.settled at the grant
	err        error
	prev, next *Grant // in the queue or in flight
}

// Sent notes that the call left, or may have left. A later Cancel then charges
// the whole cost, because the shop may have counted it.
func (g *Grant) Sent() {
	g.s.mu.Lock()
	g.sent = true
	g.s.mu.Unlock()
}

// SettleAt ends the call with what the shop charged (actualQueryCost; 0 for one
// it throttled, Unknown when there is no telling) and its throttleStatus, nil
// when the answer had none. now is when the answer was received.
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

// PenaltyAt keeps every call of the shop back until then, bounded by
// Options.MaxPenalty: for THROTTLED, 429 and 430 with or without Retry-After.
// It survives a restart. End the grant with SettleAt as well.
func (g *Grant) PenaltyAt(now, until time.Time) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.enter(s.l.tick(now))
	s.limited(g)
	p := min(t+int64(until.Sub(now)), t+int64(s.l.opts.MaxPenalty))
	if p > s.penalty {
		s.penalty = p
		s.request(0)
	}
	s.pump(t)
}

// grants are those under way, or those that wait in one class: oldest first.
type grants struct {
	head, tail *Grant
	points     int64
	n          int
}

func (l *grants) push(g *Grant) {
	g.prev, g.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = g
	} else {
		l.head = g
	}
	l.tail = g
	l.points += g.cost
	l.n++
}

func (l *grants) remove(g *Grant) {
	if g.prev != nil {
		g.prev.next = g.next
	} else {
		l.head = g.next
	}
	if g.next != nil {
		g.next.prev = g.prev
	} else {
		l.tail = g.prev
	}
	g.prev, g.next = nil, nil
	l.points -= g.cost
	l.n--
}
