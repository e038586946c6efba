package limiter

import (
	"fmt"
	"time"
)

// Snapshot is what the page shows of one shop.
type Snapshot struct {
	Shop string
	Mode string // "fixed", "default" (budget not learnt yet) or "adaptive"
	// Guessed: the budget is our own assumption, or the points that count against
	// it are. It is no reason to give to a person for a wait.
	Guessed  bool
	Used     int // points that count against the budget, calls under way included
	Budget   int // points a window may hold
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
func (l *Limiter) Snapshot(shop string) (Snapshot, bool) { return l.SnapshotAt(time.Now(), shop) }

// SnapshotAt is Snapshot at an explicit instant.
func (l *Limiter) SnapshotAt(now time.Time, name string) (Snapshot, bool) {
	s, t := l.shop(name, l.tick(now))
	if s == nil {
		return Snapshot{}, false
	}
	defer s.mu.Unlock()
	snap := Snapshot{Shop: name, Mode: "adaptive", Used: int(s.used()), Budget: int(s.budget(t)),
		Window: l.opts.Window, InFlight: s.flight.n, Leased: int(s.lease)}
	for c := range s.queue {
		snap.Waiting[c] = s.queue[c].n
	}
	cost := int64(1)
	if g := s.pick(); g != nil {
		cost = g.cost
	}
	if at, ok := s.when(t, cost); ok {
		snap.Next = now.Add(time.Duration(at - t))
	}
	if s.penalty > t {
		snap.Penalty = now.Add(time.Duration(s.penalty - t))
	}
	snap.Guessed = !l.opts.Fixed && !s.bkt.known || l.opts.Fixed && t < s.assumed
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

// Compact writes the shops that have been idle for two windows to disk, returns
// their leases and drops them from memory; they come back when they are asked
// for. It reports how many. Call it now and then.
func (l *Limiter) Compact() (int, error) {
	t := l.tick(time.Now())
	l.lease.io.Lock()
	defer l.lease.io.Unlock()
	var idle []note
	for _, s := range l.all() {
		s.mu.Lock()
		if s.idle(t) {
			s.enter(t)
			// from here on, whoever wants points needs a new lease, and whoever
			// changes anything a record: both are pending until this one is written
			s.lease = 0
			idle = append(idle, note{s: s, rec: s.record(0)})
		}
		s.mu.Unlock()
	}
	if len(idle) == 0 || l.lease.poison != nil || l.closed.Load() {
		return 0, l.lease.poison
	}
	if err := l.put(idle); err != nil {
		return 0, fmt.Errorf("limiter: compact: %w", err)
	}
	n := 0
	for _, i := range idle {
		i.s.mu.Lock()
		drop := i.s.unused()
		if drop {
			i.s.end()
		}
		i.s.mu.Unlock()
		if drop {
			l.drop(i.s)
			n++
		}
	}
	return n, nil
}

// idle tells that nothing of s is in use and nothing happened for two windows.
func (s *shop) idle(t int64) bool { return s.unused() && t-s.last >= 2*s.log.span }

func (s *shop) unused() bool {
	return !s.dead && s.flight.n == 0 && s.queued == 0 && !s.pending
}
