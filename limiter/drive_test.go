package limiter

import "time"

// always is the Ready of a grant that never waited.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// What follows drives a limiter at explicit instants, without the wait of Wait.

// Allow takes cost points of the shop if they are there now. It is for calls
// that leave at once and whose answers teach nothing; a real call uses Wait or
// Reserve, so that its time on the wire counts. A denied call costs nothing.
func (l *Limiter) Allow(shop string, class Class, cost int) bool {
	return l.AllowAt(time.Now(), shop, class, cost)
}

// AllowAt is Allow at an explicit instant.
func (l *Limiter) AllowAt(now time.Time, name string, class Class, cost int) bool {
	s, t := l.shop(name, l.tick(now))
	if s == nil {
		return false
	}
	ok := s.allow(t, class, int64(max(cost, 1)))
	if !ok {
		s.counts.Denied++
	}
	s.mu.Unlock()
	return ok
}

func (s *shop) allow(t int64, class Class, cost int64) bool {
	for {
		var dry bool
		if s.queued == 0 {
			if !s.fits(t, cost) {
				return false
			}
			if s.lease >= cost {
				s.spend(t, cost)
				return true
			}
			s.request(cost)
		} else {
			// others wait: stand in the queue for this instant
			g := &Grant{s: s, class: class, cost: cost, ready: make(chan struct{})}
			s.join(g)
			dry = s.pump(t)
			if g.state == inFlight {
				s.settle(t, g, cost, nil)
				return true
			}
			s.leave(g)
			if !dry {
				return false
			}
		}
		if s.awaitLease() != nil || s.dead {
			return false
		}
		t = s.enter(t)
	}
}

// Reserve takes cost points, or a place in the queue of its class when they are
// not there yet: see Grant.DelayFrom and Grant.Ready. The error is
// ErrCostAboveBudget, ErrClosed, or the disk's.
func (l *Limiter) Reserve(shop string, class Class, cost int) (*Grant, error) {
	return l.ReserveAt(time.Now(), shop, class, cost)
}

// ReserveAt is Reserve at an explicit instant.
func (l *Limiter) ReserveAt(now time.Time, name string, class Class, cost int) (*Grant, error) {
	s, t := l.shop(name, l.tick(now))
	if s == nil {
		return nil, ErrClosed
	}
	defer s.mu.Unlock()
	g, err := s.reserve(t, class, cost, false)
	if err != nil {
		return nil, err
	}
	if g.state == waiting {
		s.pumpLeased(t)
	}
	if g.err != nil {
		return nil, g.err
	}
	if g.state == waiting {
		s.counts.Delayed++
	}
	return g, nil
}

// Ready is closed when the grant holds its points or has failed (see Err).
func (g *Grant) Ready() <-chan struct{} {
	if g.ready == nil {
		return always
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

// spend grants a call that is never settled: charged whole, at once.
func (s *shop) spend(t, cost int64) {
	s.lease -= cost
	s.charge(t, cost)
	s.prefetch()
}

// pumpLeased pumps and waits for the disk where the lease ran dry. It releases
// s.mu while it waits and returns the instant it ended at.
func (s *shop) pumpLeased(t int64) int64 {
	for s.pump(t) && s.awaitLease() == nil {
		t = s.enter(t)
	}
	return t
}

// Penalty keeps every call of the shop back until then: see Grant.PenaltyAt.
func (l *Limiter) Penalty(shop string, until time.Time) { l.PenaltyAt(time.Now(), shop, until) }

func (l *Limiter) PenaltyAt(now time.Time, name string, until time.Time) {
	s, _ := l.shop(name, l.tick(now))
	if s == nil {
		return
	}
	s.mu.Unlock()
	(&Grant{s: s}).PenaltyAt(now, until)
}

// OpenAt is Open at an explicit instant, for callers that use the At forms.
func OpenAt(now time.Time, db DB, opts Options) (*Limiter, error) {
	opts = opts.withDefaults()
	boot, up, ok := opts.Uptime()
	return open(now, db, opts, stamp{boot, up, ok})
}

// Settle ends the call with what the shop charged (actualQueryCost; 0 for one
// it throttled, Unknown when there is no telling) and its throttleStatus, nil
// when the answer had none.
func (g *Grant) Settle(actual int, st *ThrottleStatus) { g.SettleAt(time.Now(), actual, st) }
