package limiter

import (
	"math"
	"time"
)

// shop is the state of one shop, which l.mu owns. Instants are ticks: nanoseconds
// since the limiter was opened, on its monotonic clock.
type shop struct {
	name string
	l    *Limiter

	last int64 // newest tick seen; an older instant counts as this one

	log     window
	settled int64    // points ever settled, to know what a late answer missed
	flight  []*Grant // calls under way, oldest first
	flying  int      // their points
	bkt     bucket
	held    int64 // budget before it was lowered, in force until heldEnd
	heldEnd int64
	penalty int64 // no grants before this tick
	answer  int64 // tick of the shop's last answer
	learned int64 // tick of its last throttleStatus
	assumed int64 // until this tick the window holds points that nobody saw spent

	probed int64  // tick of the last probe
	before int64  // of a probe that is due: probed before it
	due    bool   // the next call in the queue is to be a probe
	noted  bool   // it is on disk
	probe  *Grant // the one under way

	lease   int  // points on disk and not yet granted
	want    int  // the lease somebody needs
	stale   bool // its record has to be written
	writing bool // it is being written
	resting bool // it may leave memory when that is done

	queue [classes][]*Grant
	vnow  int64
	vtime [classes]int64
	alarm *time.Timer // wakes the queue when its next call is due
}

// never is an instant before all others.
const never = math.MinInt64 / 4

func newShop(l *Limiter, name string, t int64) *shop {
	return &shop{name: name, l: l, last: t, log: window{span: int64(l.opts.Window)},
		answer: never, learned: never, probed: never, assumed: never}
}

// enter makes t the shop's present: never before what was seen, with expired
// points and abandoned flights settled.
func (s *shop) enter(t int64) int64 {
	t = max(t, s.last)
	s.last = t
	for len(s.flight) > 0 && s.flight[0].at+int64(s.l.opts.MaxFlight) <= t {
		// abandoned: it may have gone out at any time until now
		s.settle(t, s.flight[0], s.flight[0].Cost, nil)
	}
	s.log.expire(t)
	return t
}

// budget is what one window may hold at t.
func (s *shop) budget(t int64) int {
	if s.l.opts.Fixed || !s.bkt.known {
		return s.l.opts.Points
	}
	b := s.learnedBudget()
	if t < s.heldEnd {
		b = max(b, s.held)
	}
	return int(min(b, 1<<30)) // an int has 32 bits on some machines
}

// learnedBudget is maximumAvailable + restoreRate x window, in points.
func (s *shop) learnedBudget() int64 {
	return s.bkt.size/nano + int64(float64(s.bkt.rate)/1000*s.l.opts.Window.Seconds())
}

// used is what counts against the budget: the window and what is under way.
func (s *shop) used() int { return int(s.log.sum) + s.flying }

// limit is the highest cost that can ever be granted; false when any can.
func (s *shop) limit() (int, bool) {
	switch size := int(s.bkt.size / nano); {
	case s.bkt.known && s.l.opts.Fixed:
		return min(s.l.opts.Points, size), true
	case s.bkt.known:
		return size, true
	}
	return s.l.opts.Points, s.l.opts.Fixed
}

// tooDear is a *CostError when g can never be granted.
func (s *shop) tooDear(g *Grant) error {
	if limit, ok := s.limit(); ok && g.Cost > limit {
		return &CostError{g.Cost, limit}
	}
	return nil
}

// alone tells that a call of this cost waits for an empty window: it is above
// the default budget, and the real one is not known.
func (s *shop) alone(cost int) bool {
	return !s.l.opts.Fixed && !s.bkt.known && cost > s.l.opts.Points
}

// guessed tells that the budget is our own assumption, or what counts against it.
func (s *shop) guessed(t int64) bool {
	if s.l.opts.Fixed {
		return t < s.assumed
	}
	return !s.bkt.known
}

// quietEnd is the instant before which the shop's numbers are too old for
// another call: while it does not answer, one call per staleAfter goes out.
func (s *shop) quietEnd(t int64) int64 {
	if n := len(s.flight); s.bkt.known && n > 0 && t-s.answer > staleAfter {
		return s.flight[n-1].at + staleAfter
	}
	return t
}

// fits tells whether a call of this cost may go out at t. Needs enter(t).
func (s *shop) fits(t int64, cost int) bool {
	if t < s.penalty || t < s.quietEnd(t) {
		return false
	}
	if used := s.used(); used+cost > s.budget(t) && !(used == 0 && s.alone(cost)) {
		return false
	}
	return !s.bkt.known || s.bkt.levelAt(t) >= int64(cost+s.flying)*nano
}

// when is the instant at which a call of this cost will fit. It is exact unless
// it depends on calls under way: then ok is false and nobody knows.
func (s *shop) when(t int64, cost int) (at int64, ok bool) {
	at = max(t, s.penalty, s.quietEnd(t))
	if s.alone(cost) {
		if len(s.flight) > 0 {
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
			free, ok := s.log.freeAt(int64(need))
			if !ok {
				return 0, false
			}
			at = max(at, free)
		}
	}
	if s.bkt.known {
		full, ok := s.bkt.holds(t, int64(cost+s.flying))
		if !ok {
			return 0, false
		}
		at = max(at, full)
	}
	return at, true
}

// charge books points the shop has taken by t.
func (s *shop) charge(t int64, points int) {
	s.log.add(t, int64(points))
	s.settled += int64(points)
	if s.bkt.known {
		s.bkt.charge(t, int64(points))
	}
}

// believe takes over what the answer to g says of the shop's bucket; others are the
// points settled since g was granted.
func (s *shop) believe(t int64, g *Grant, others int64, st ThrottleStatus) {
	was, old, before := s.bkt, s.learnedBudget(), s.bkt.levelAt(t)
	// The shop's number includes this call. Others that overlapped it may have
	// been charged after it was taken; those still under way are subtracted by
	// fits. So this is a lower bound of the level now.
	s.bkt.set(t, st)
	said := s.bkt.level
	s.bkt.level -= others * nano
	if was.known && t-g.at > staleAfter {
		// a slow answer is a poor bound: it may lower ours to what it says,
		// not to what it leaves open
		s.bkt.level = max(s.bkt.level, min(before, said))
	}
	s.learned = t
	if was.known && s.learnedBudget() < old {
		if t >= s.heldEnd {
			s.held = 0
		}
		s.held, s.heldEnd = max(s.held, old), t+s.log.span
	}
	if s.bkt.size != was.size || s.bkt.rate != was.rate {
		s.request(0) // the budget itself must survive a restart
	}
}
