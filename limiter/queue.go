package limiter

import "math"

// The classes share by start-time fair queueing: each has a virtual time that
// grows by points/weight, the smallest goes next, ties go to the higher class.
// A class that was idle starts at the present virtual time, so it can neither
// save up nor be starved. A call that is next and does not fit holds back all
// others: otherwise small calls would starve a large one.

// join puts g at the end of its class.
func (s *shop) join(g *Grant) {
	q := &s.queue[g.class]
	if q.n == 0 {
		s.vtime[g.class] = max(s.vtime[g.class], s.vnow)
	}
	q.push(g)
	s.queued++
}

// leave takes g out of the queue, if it is in it.
func (s *shop) leave(g *Grant) {
	if g.state != waiting {
		return
	}
	g.state = ended
	s.unqueue(g)
}

func (s *shop) unqueue(g *Grant) {
	s.queue[g.class].remove(g)
	s.queued--
	if s.queued == 0 {
		s.vnow, s.vtime = 0, [classes]int64{}
	}
}

// pick is the call whose turn it is.
func (s *shop) pick() *Grant {
	var best *Grant
	low := int64(math.MaxInt64)
	for c := range s.queue {
		if g := s.queue[c].head; g != nil && s.vtime[c] < low {
			best, low = g, s.vtime[c]
		}
	}
	return best
}

// pump grants every waiting call that is due at t, and sets the alarm for the
// next. It reports whether it stopped for want of a lease. Needs enter(t).
func (s *shop) pump(t int64) (dry bool) {
	for g := s.pick(); g != nil; g = s.pick() {
		if limit, ok := s.limit(); ok && g.cost > limit {
			s.fail(g, &CostError{int(g.cost), int(limit)})
			continue
		}
		if !s.fits(t, g.cost) {
			break
		}
		if s.lease < g.cost {
			s.request(g.cost)
			dry = true
			break
		}
		s.vnow = s.vtime[g.class]
		s.vtime[g.class] += g.cost * (1 << 16) / weights[g.class]
		s.unqueue(g)
		s.take(t, g)
		close(g.ready)
	}
	if !dry { // the flusher pumps when it has been by
		s.arm(t)
	}
	return dry
}

// fail ends a waiting call with an error.
func (s *shop) fail(g *Grant, err error) {
	g.err = err
	s.leave(g)
	close(g.ready)
}

// turn is the earliest instant at which g can be granted: not before the call
// whose turn it is, and not before the calls of its own class ahead of it. ok is
// false when only an answer can tell.
func (s *shop) turn(t int64, g *Grant) (int64, bool) {
	first := s.pick()
	at, ok := s.when(t, first.cost)
	if !ok || first == g {
		return at, ok
	}
	cost := g.cost
	for p := g.prev; p != nil; p = p.prev {
		cost += p.cost
	}
	if limit, ok := s.limit(); ok {
		// all of them need not fit at once: a lower bound is what is wanted
		cost = min(cost, limit)
	}
	own, ok := s.when(t, cost)
	return max(at, own), ok
}

// tryNow grants at t without queueing when nobody waits. Needs enter(t).
func (s *shop) tryNow(t int64, g *Grant) bool {
	if s.queued > 0 || s.lease < g.cost || !s.fits(t, g.cost) {
		return false
	}
	s.take(t, g)
	return true
}
