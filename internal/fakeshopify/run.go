package fakeshopify

import (
	"context"
	"sync"
	"time"
)

// Run lives the shop's life until ctx ends: rate edits a second on average, at
// uneven intervals, and webhooks as they fall due. A rate of zero edits
// nothing. Attempts under way at the end are finished, for at most
// Options.Timeout. It always returns nil.
func (s *Shop) Run(ctx context.Context, rate float64) error {
	var wg sync.WaitGroup
	if rate > 0 {
		wg.Go(func() { s.editLoop(ctx, rate) })
	}
	wg.Go(func() { s.bulkLoop(ctx) })
	s.deliverLoop(ctx, &wg)
	wg.Wait()
	return nil
}

func (s *Shop) editLoop(ctx context.Context, rate float64) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		s.mu.Lock()
		wait := time.Duration(s.paceRand.ExpFloat64() / rate * float64(time.Second))
		s.mu.Unlock()
		t.Reset(min(wait, time.Duration(5/rate*float64(time.Second))))
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.RandomEdit()
		}
	}
}

// deliverLoop starts an attempt for each due delivery, Options.Parallel at a
// time.
func (s *Shop) deliverLoop(ctx context.Context, wg *sync.WaitGroup) {
	slots := make(chan struct{}, s.opt.Parallel)
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		d, next := s.take(s.opt.Now())
		if d != nil {
			wg.Go(func() {
				s.attempt(context.WithoutCancel(ctx), d)
				<-slots
			})
			continue
		}
		<-slots
		wait := time.Minute
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(s.opt.Now()), time.Millisecond))
		}
		t.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-t.C:
		}
	}
}
