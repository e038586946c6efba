package limiter

import "time"

// Snapshot is what the page shows of one shop.
type Snapshot struct {
	Shop string
	Mode string // "fixed", "default" (budget not learnt yet) or "adaptive"
	// Guessed: the budget is our own assumption, or the points that count against
	// it are. It is no reason to give to a person for a wait.
	Guessed  bool
	Untaught bool // the next call is a probe, or one is under way: see Acquire
	Used     int  // points that count against the budget, calls under way included
	Budget   int  // points a window may hold
	Window   time.Duration
	InFlight int       // calls under way
	Waiting  [3]int    // calls in the queue, by Class
	Next     time.Time // when the next call (the next in the queue, else one of one point) can go; zero when only an answer can tell
	Penalty  time.Time // the shop asked to stay away until then; zero when it did not
	Leased   int       // points leased and not granted: what a crash would burn

	// What the shop says; zero while the budget is not learnt.
	Server    ThrottleStatus // CurrentlyAvailable is our lower bound at this moment
	ServerAge time.Duration  // since the last throttleStatus
}

// Snapshot is the state of a shop now; false when the limiter is closed.
func (l *Limiter) Snapshot(name string) (Snapshot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, t := l.shop(name, time.Now())
	if s == nil {
		return Snapshot{}, false
	}
	instant := func(tick int64) time.Time { return l.base.Add(time.Duration(tick)) }
	snap := Snapshot{Shop: name, Mode: "adaptive", Guessed: s.guessed(t), Untaught: s.untaught(t) || s.probe != nil, Used: s.used(), Budget: s.budget(t),
		Window: l.opts.Window, InFlight: len(s.flight), Leased: s.lease}
	for c, q := range s.queue {
		snap.Waiting[c] = len(q)
	}
	cost := 1
	if g := s.pick(); g != nil {
		cost = g.Cost
	}
	if at, ok := s.when(t, cost); ok {
		snap.Next = instant(at)
	}
	if s.penalty > t {
		snap.Penalty = instant(s.penalty)
	}
	switch {
	case l.opts.Fixed:
		snap.Mode = "fixed"
	case !s.bkt.known:
		snap.Mode = "default"
	}
	if s.bkt.known {
		snap.Server = ThrottleStatus{MaximumAvailable: float64(s.bkt.size) / nano,
			CurrentlyAvailable: float64(max(s.bkt.levelAt(t), 0)) / nano, RestoreRate: float64(s.bkt.rate) / 1000}
		snap.ServerAge = time.Duration(t - s.learned)
	}
	return snap, true
}
