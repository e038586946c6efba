package limiter

import (
	"fmt"
	"time"
)

// NeedsProbe tells that the shop's budget is not known and that a cheap call
// should teach it before any other: see Probe.
func (l *Limiter) NeedsProbe(name string) bool {
	s, t := l.shop(name, l.tick(time.Now()))
	if s == nil {
		return false
	}
	defer s.mu.Unlock()
	return s.needsProbe(t)
}

func (s *shop) needsProbe(t int64) bool {
	return !s.l.opts.Fixed && !s.bkt.known && t >= s.penalty &&
		(s.probed == never || t-s.probed >= s.log.span)
}

// Probe grants the first call of a shop whose budget is not known, even while
// its window counts as spent: at most one per window, of at most
// Options.ProbePoints, noted on disk before it is given. Settle it with the
// answer's throttleStatus. One that cost nothing, because it never left or the
// shop turned it away, does not count: another may go at once. ErrNoProbe when
// none is wanted.
func (l *Limiter) Probe(name string, cost int) (*Grant, error) {
	s, t := l.shop(name, l.tick(time.Now()))
	if s == nil {
		return nil, ErrClosed
	}
	defer s.mu.Unlock()
	g := &Grant{s: s, cost: int64(max(cost, 1)), probe: true, before: s.probed}
	if g.cost > int64(l.opts.ProbePoints) {
		return nil, &CostError{int(g.cost), l.opts.ProbePoints}
	}
	if !s.needsProbe(t) {
		return nil, ErrNoProbe
	}
	s.probed = t
	for s.pending { // perhaps being written without the probe
		s.awaitLease()
	}
	for noted := false; !noted || s.lease < g.cost; noted = true {
		s.request(g.cost)
		if err := s.awaitLease(); err != nil || s.dead {
			s.probed = g.before
			return nil, fmt.Errorf("limiter: probe: %w", orClosed(err))
		}
	}
	s.take(s.enter(t), g)
	return g, nil
}

func orClosed(err error) error {
	if err == nil {
		return ErrClosed
	}
	return err
}
