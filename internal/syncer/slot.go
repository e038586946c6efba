package syncer

import (
	"context"
	"time"
)

// lendAfter is the shortest wait during which another shop's run takes the place
// of one that waits.
const lendAfter = 10 * time.Second

// slot is a run's place among those that are made at a time. While the run waits
// for long, for points, a circuit or an export, another shop's run has it.
type slot struct {
	all  chan struct{}
	turn chan struct{} // one of the run's requests at a time takes or gives
	held bool
}

type slotKey struct{}

// takeSlot waits for a place. The context is for the run that has it.
func (s *Syncer) takeSlot(ctx context.Context) (context.Context, *slot, error) {
	sl := &slot{all: s.slots, turn: make(chan struct{}, 1)}
	if err := sl.take(ctx); err != nil {
		return ctx, nil, err
	}
	return context.WithValue(ctx, slotKey{}, sl), sl, nil
}

// lend gives the place of the context's run away for a wait. The function it
// returns takes one again; both do nothing when the wait is short.
func lend(ctx context.Context, wait time.Duration) (back func(ctx context.Context) error) {
	sl, _ := ctx.Value(slotKey{}).(*slot)
	if sl == nil || wait < lendAfter {
		return func(context.Context) error { return nil }
	}
	sl.give()
	return sl.take
}

func (sl *slot) take(ctx context.Context) error {
	select {
	case sl.turn <- struct{}{}:
		defer func() { <-sl.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if sl.held {
		return nil
	}
	select {
	case sl.all <- struct{}{}:
		sl.held = true
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (sl *slot) give() {
	sl.turn <- struct{}{}
	defer func() { <-sl.turn }()
	if sl.held {
		<-sl.all
		sl.held = false
	}
}
