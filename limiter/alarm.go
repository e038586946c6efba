package limiter

import "time"

// alarm wakes the queue of a shop when its next call is due.
type alarm struct {
	timer *time.Timer
	at    int64 // what it is set to; 0 when it is not
}

// arm sets the alarm to the next turn, or stops it. Needs s.mu.
func (s *shop) arm(t int64) {
	a := &s.alarm
	if s.queued == 0 {
		if a.timer != nil && a.at != 0 {
			a.timer.Stop()
			a.at = 0
		}
		return
	}
	g := s.pick()
	at, ok := s.turn(t, g)
	if !ok {
		// only an answer frees points, or giving up on one
		at = t + int64(s.l.opts.MaxFlight)
		if h := s.flight.head; h != nil {
			at = h.at + int64(s.l.opts.MaxFlight)
		}
	}
	if at == a.at {
		return
	}
	a.at = at
	d := time.Duration(max(at-s.l.tick(time.Now()), 1))
	if a.timer == nil {
		a.timer = time.AfterFunc(d, s.ring)
		return
	}
	a.timer.Reset(d)
}

// ring is the alarm going off.
func (s *shop) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarm.at = 0
	if s.dead {
		return
	}
	s.pump(s.enter(s.l.tick(time.Now())))
}
