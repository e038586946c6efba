package limiter

import (
	"context"
	"fmt"
	"time"
)

// Wait blocks until cost points of the shop are granted, first come first
// served within the class. It gives up with a *WaitError, which carries the
// instant of the next possible grant, when Options.MaxWait or ctx's deadline
// runs out; at once when it is certain that they will. When ctx ends, nothing
// has been spent.
func (l *Limiter) Wait(ctx context.Context, name string, class Class, cost int) (*Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("limiter: wait: %w", err)
	}
	start := time.Now()
	s, t := l.shop(name, l.tick(start))
	if s == nil {
		return nil, ErrClosed
	}
	g, err := s.reserve(t, class, cost)
	if err != nil || g.state == inFlight {
		s.mu.Unlock()
		return g, err
	}
	dry := s.pump(t)
	if g.state == waiting && !dry {
		s.limited(g)
	}
	limit, cause := start.Add(l.opts.MaxWait), error(nil)
	if dl, ok := ctx.Deadline(); ok && dl.Before(limit) {
		limit, cause = dl, context.DeadlineExceeded
	}
	if g.state == waiting && s.flight.n == 0 {
		if at, ok := s.turn(t, g); ok && at-t > int64(limit.Sub(start)) {
			err := s.giveUp(t, start, g, cause)
			s.mu.Unlock()
			return nil, err
		}
	}
	s.mu.Unlock()

	bound := time.NewTimer(limit.Sub(start))
	defer bound.Stop()
	select {
	case <-g.ready:
	case <-ctx.Done():
		cause = ctx.Err()
	case <-bound.C:
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t = s.enter(l.tick(now))
	if g.state == waiting {
		s.pump(t)
	}
	switch {
	case g.err != nil:
		return nil, g.err
	case ctx.Err() != nil && g.state == inFlight:
		s.cancel(t, g)
		s.pump(t)
		return nil, &WaitError{Shop: s.name, Next: now, Err: ctx.Err()}
	case g.state == waiting:
		return nil, s.giveUp(t, now, g, cause)
	}
	return g, nil
}

// reserve makes a grant that holds its points, or one that stands in the queue.
func (s *shop) reserve(t int64, class Class, cost int) (*Grant, error) {
	g := &Grant{s: s, class: min(class, Bulk), cost: int64(max(cost, 1))}
	if limit, ok := s.limit(); ok && g.cost > limit {
		s.limited(g)
		return nil, &CostError{int(g.cost), int(limit)}
	}
	if !s.tryNow(t, g) {
		g.ready = make(chan struct{})
		s.join(g)
	}
	return g, nil
}

// limited counts a call that was delayed, denied or throttled, once. Needs s.mu.
func (s *shop) limited(g *Grant) {
	if !g.counted {
		g.counted = true
		s.l.opts.OnLimited(s.name)
	}
}

// pollFlight is how soon to ask again when only an answer can free points.
const pollFlight = time.Second

// giveUp leaves the queue and says when to try again.
func (s *shop) giveUp(t int64, now time.Time, g *Grant, cause error) error {
	at, ok := s.turn(t, g)
	if !ok {
		at = t + int64(pollFlight)
	}
	s.leave(g)
	s.limited(g)
	s.pump(t)
	return &WaitError{Shop: s.name, Next: now.Add(time.Duration(at - t)), Err: cause}
}
