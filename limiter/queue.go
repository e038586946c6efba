package limiter

import (
	"math"
	"slices"
	"time"
)

// The classes share by start-time fair queueing: each has a virtual time that
// grows by points/weight, the smallest goes next, ties go to the higher class.
// A class that was idle starts at the present virtual time, so it can neither
// save up nor be starved. A call that is next and does not fit holds back all
// others: otherwise small calls would starve a large one.

// join puts g at the end of its class.
func (s *shop) join(g *Grant) {
	if len(s.queue[g.class]) == 0 {
		s.vtime[g.class] = max(s.vtime[g.class], s.vnow)
	}
	s.queue[g.class] = append(s.queue[g.class], g)
}

// unqueue takes a waiting call out of the queue into its next state.
func (s *shop) unqueue(g *Grant, next grantState) {
	g.state = next
	q := s.queue[g.class]
	i := slices.Index(q, g)
	s.queue[g.class] = slices.Delete(q, i, i+1)
	if s.pick() == nil {
		s.vnow, s.vtime = 0, [classes]int64{}
		s.takeProbeBack()
	}
}

// pick is the call whose turn it is; nil when nobody waits.
func (s *shop) pick() *Grant {
	var best *Grant
	low := int64(math.MaxInt64)
	for c, q := range s.queue {
		if len(q) > 0 && s.vtime[c] < low {
			best, low = q[0], s.vtime[c]
		}
	}
	return best
}

// pump grants every waiting call that is due at t, and sets the alarm for the
// next. It reports whether it stopped for want of a record or a lease on disk:
// then the flusher pumps when it has been by. Needs enter(t).
func (s *shop) pump(t int64) (dry bool) {
	for g := s.pick(); g != nil; g = s.pick() {
		if err := s.tooDear(g); err != nil {
			s.fail(g, err)
			continue
		}
		probe := s.untaught(t)
		if !probe && !s.fits(t, g.Cost) {
			s.arm(t)
			return false
		}
		if probe && !s.noteProbe(t) {
			return true
		}
		if !probe && s.lease < g.Cost {
			s.request(g.Cost)
			return true
		}
		if probe {
			g.Cost, g.Probe, g.before = ProbePoints, true, s.before
			s.due, s.probe = false, g
		}
		s.vnow = s.vtime[g.class]
		s.vtime[g.class] += int64(g.Cost) * (1 << 16) / weights[g.class]
		s.unqueue(g, inFlight)
		s.take(t, g)
		close(g.ready)
	}
	return false
}

// fail ends a waiting call with an error.
func (s *shop) fail(g *Grant, err error) {
	g.err = err
	s.unqueue(g, ended)
	close(g.ready)
}

func (s *shop) failAll(err error) {
	for g := s.pick(); g != nil; g = s.pick() {
		s.fail(g, err)
	}
}

// turn is the earliest instant at which g can be granted: not before the call
// whose turn it is, and not before the calls of its own class ahead of it. ok is
// false when only an answer can tell.
func (s *shop) turn(t int64, g *Grant) (int64, bool) {
	first := s.pick()
	at, ok := s.when(t, first.Cost)
	if !ok || first == g {
		return at, ok
	}
	cost := 0
	for _, p := range s.queue[g.class] {
		if cost += p.Cost; p == g {
			break
		}
	}
	if limit, ok := s.limit(); ok {
		// all of them need not fit at once: a lower bound is what is wanted
		cost = min(cost, limit)
	}
	own, ok := s.when(t, cost)
	return max(at, own), ok
}

// arm sets the alarm to the instant at which the next call is due.
func (s *shop) arm(t int64) {
	at, ok := s.turn(t, s.pick())
	if !ok {
		at = t + int64(pollFlight)
	}
	d := time.Duration(max(at-s.l.tick(time.Now()), 1))
	if s.alarm == nil {
		s.alarm = time.AfterFunc(d, s.ring)
		return
	}
	s.alarm.Reset(d)
}

// ring is the alarm going off.
func (s *shop) ring() {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.pump(s.enter(s.l.tick(time.Now())))
}

// untaught tells that the budget is not known and that the next call should be a
// probe.
func (s *shop) untaught(t int64) bool {
	return !s.l.opts.Fixed && !s.bkt.known && t >= s.penalty &&
		(s.due || s.probed == never || t-s.probed >= s.log.span)
}

// noteProbe tells whether a probe may go: disk knows of it, and its points are
// leased. Otherwise it asks for both.
func (s *shop) noteProbe(t int64) bool {
	if !s.due {
		s.due, s.noted, s.before, s.probed = true, false, s.probed, t
	}
	if s.noted && s.lease >= ProbePoints {
		return true
	}
	s.request(ProbePoints)
	return false
}

// takeProbeBack forgets a probe that is due and that nobody was given.
func (s *shop) takeProbeBack() {
	if s.due {
		s.due, s.probed = false, s.before
	}
}
