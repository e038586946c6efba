package limiter

import (
	"math"
	"sync"
)

// shop is the state of one shop. mu owns every field below it. Instants are
// ticks: nanoseconds since the limiter was opened, on its monotonic clock.
type shop struct {
	name string
	l    *Limiter

	mu   sync.Mutex
	dead bool  // left the map: look the shop up again
	last int64 // newest tick seen; an older instant counts as this one

	log     window
	settled int64 // points ever settled, to know what a late answer missed
	flight  grants
	bkt     bucket
	held    int64 // budget before it was lowered, in force until heldEnd
	heldEnd int64
	penalty int64 // no grants before this tick
	answer  int64 // tick of the shop's last answer
	learned int64 // tick of its last throttleStatus
	probed  int64 // tick of the last probe
	assumed int64 // until this tick the window holds points that nobody saw spent

	lease    int64         // points on disk and not yet granted
	want     int64         // the lease somebody needs
	pending  bool          // handed to the flusher
	again    bool          // changed while the flusher had it
	flushed  chan struct{} // closed when the flusher has been by; nil if nobody waits
	flushErr error

	queue  [classes]grants
	queued int
	vnow   int64
	vtime  [classes]int64
	alarm  alarm
}

// never is an instant before all others.
const never = math.MinInt64 / 4

// enter makes t the shop's present: never before what was seen, with expired
// points and abandoned flights settled. Needs mu.
func (s *shop) enter(t int64) int64 {
	t = max(t, s.last)
	s.last = t
	for g := s.flight.head; g != nil && g.at+int64(s.l.opts.MaxFlight) <= t; g = s.flight.head {
		// abandoned: it may have gone out at any time until now
		s.settle(t, g, g.cost, nil)
	}
	s.log.expire(t)
	return t
}

// budget is what one window may hold at t.
func (s *shop) budget(t int64) int64 {
	if s.l.opts.Fixed || !s.bkt.known {
		return int64(s.l.opts.Points)
	}
	b := s.learnedBudget()
	if t < s.heldEnd {
		b = max(b, s.held)
	}
	return b
}

// learnedBudget is maximumAvailable + restoreRate x window, in points.
func (s *shop) learnedBudget() int64 {
	return s.bkt.size/nano + int64(float64(s.bkt.rate)/1000*s.l.opts.Window.Seconds())
}

// used is what counts against the budget: the window and what is under way.
func (s *shop) used() int64 { return s.log.sum + s.flight.points }

// limit is the highest cost that can ever be granted; false when any can.
func (s *shop) limit() (int64, bool) {
	switch {
	case s.bkt.known && s.l.opts.Fixed:
		return min(int64(s.l.opts.Points), s.bkt.size/nano), true
	case s.bkt.known:
		return s.bkt.size / nano, true
	case s.l.opts.Fixed:
		return int64(s.l.opts.Points), true
	}
	return 0, false
}

// alone tells that a call of this cost waits for an empty window: it is above
// the default budget, and the real one is not known.
func (s *shop) alone(cost int64) bool {
	return !s.l.opts.Fixed && !s.bkt.known && cost > int64(s.l.opts.Points)
}

// quietEnd is the instant before which the shop's numbers are too old for
// another call: while it does not answer, one call per StaleAfter goes out.
func (s *shop) quietEnd(t int64) int64 {
	stale := int64(s.l.opts.StaleAfter)
	if s.bkt.known && s.flight.n > 0 && t-s.answer > stale {
		return s.flight.tail.at + stale
	}
	return t
}

// fits tells whether a call of this cost may go out at t. Needs enter(t).
func (s *shop) fits(t, cost int64) bool {
	if t < s.penalty || t < s.quietEnd(t) {
		return false
	}
	if used := s.used(); used+cost > s.budget(t) && !(used == 0 && s.alone(cost)) {
		return false
	}
	return !s.bkt.known || s.bkt.levelAt(t) >= (cost+s.flight.points)*nano
}

// when is the instant at which a call of this cost will fit. It is exact unless
// it depends on calls under way: then ok is false and nobody knows.
func (s *shop) when(t, cost int64) (at int64, ok bool) {
	at = max(t, s.penalty, s.quietEnd(t))
	if s.alone(cost) {
		if s.flight.n > 0 {
			return 0, false
		}
		if w := s.log.live(); len(w) > 0 {
			at = max(at, w[len(w)-1].at+s.log.span)
		}
	} else {
		// a held budget that ends while we wait asks again
		for range 2 {
			need := s.used() + cost - s.budget(at)
			if need <= 0 {
				break
			}
			free, ok := s.log.freeAt(need)
			if !ok {
				return 0, false
			}
			at = max(at, free)
		}
	}
	if s.bkt.known {
		full, ok := s.bkt.holds(t, cost+s.flight.points)
		if !ok {
			return 0, false
		}
		at = max(at, full)
	}
	return at, true
}

// take moves leased points into flight. Needs fits and lease >= g.cost.
func (s *shop) take(t int64, g *Grant) {
	s.lease -= g.cost
	g.at, g.mark, g.state = t, s.settled, inFlight
	s.flight.push(g)
	s.prefetch()
}

// charge books points the shop has taken by t.
func (s *shop) charge(t, points int64) {
	s.log.add(t, points)
	s.settled += points
	if s.bkt.known {
		s.bkt.charge(t, points)
	}
}

// settle ends a grant under way: actual points are charged, the rest goes back
// to the lease, and what the shop says about its bucket is believed as far as
// no other call can have changed it since.
func (s *shop) settle(t int64, g *Grant, actual int64, st *ThrottleStatus) {
	actual = min(actual, mostTimes*g.cost)
	s.flight.remove(g)
	g.state = ended
	s.lease += g.cost - actual
	others := s.settled - g.mark // settled since this call was granted
	s.charge(t, actual)
	if !st.valid() {
		if g.probe && actual == 0 {
			s.probed = g.before
			s.request(0) // a restart need not wait for it either
		}
		return
	}
	old, known := s.learnedBudget(), s.bkt.known
	size, rate := s.bkt.size, s.bkt.rate
	// The shop's number includes this call. Others that overlapped it may have
	// been charged after it was taken; those still under way are subtracted by
	// fits. So this is a lower bound of the level now.
	before := s.bkt.levelAt(t)
	s.bkt.set(t, *st)
	said := s.bkt.level
	s.bkt.level -= others * nano
	if known && t-g.at > int64(s.l.opts.StaleAfter) {
		// a slow answer is a poor bound: it may lower ours to what it says,
		// not to what it leaves open
		s.bkt.level = max(s.bkt.level, min(before, said))
	}
	s.learned = t
	if known && s.learnedBudget() < old {
		if t >= s.heldEnd {
			s.held = 0
		}
		s.held, s.heldEnd = max(s.held, old), t+s.log.span
	}
	if s.bkt.size != size || s.bkt.rate != rate {
		s.request(0) // the budget itself must survive a restart
	}
}

// block is how many points one lease commit brings: enough that commits are
// rare, few enough that a burnt lease is a small part of the window.
func (s *shop) block(t int64) int64 { return max(10, s.budget(t)/32) }

// prefetch asks for the next block while the present one lasts.
func (s *shop) prefetch() {
	if !s.pending && s.lease < s.block(s.last)/2 {
		s.request(0)
	}
}
