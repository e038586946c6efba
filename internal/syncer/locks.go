package syncer

import (
	"context"
	"sync"
)

// shopLocks lets one at a time work on a shop. The zero value is ready.
type shopLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// lock waits until nobody else works on the shop, or ctx ends.
func (l *shopLocks) lock(ctx context.Context, shop string) error {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]chan struct{}{}
	}
	token := l.held[shop]
	if token == nil {
		token = make(chan struct{}, 1)
		l.held[shop] = token
	}
	l.mu.Unlock()
	select {
	case token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *shopLocks) unlock(shop string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	<-l.held[shop]
}
