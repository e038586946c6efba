package web

import (
	"context"
	"sync"
	"time"

	"stockroom/store"
)

// shopCounts keeps each shop's counts for a moment: counting reads every row.
type shopCounts struct {
	store *store.Store
	mu    sync.Mutex
	kept  map[string]*keptCount
}

type keptCount struct {
	counts   store.Counts
	err      error
	seq      int64
	at       time.Time
	took     time.Duration
	counting chan struct{} // closed when the count under way has ended; nil for none
}

const (
	countQuick = 20 * time.Millisecond // a count that takes no longer is waited for
	countMost  = 30 * time.Second      // that a count may take
)

func newShopCounts(s *store.Store) *shopCounts {
	return &shopCounts{store: s, kept: map[string]*keptCount{}}
}

// get counts again when something changed since, but spends at most a twentieth
// of the time on it. While a slow count is under way it returns the one before.
func (c *shopCounts) get(ctx context.Context, shop string) (store.Counts, error) {
	c.mu.Lock()
	seq, now := c.store.LastSeq(), time.Now()
	k := c.kept[shop]
	if k == nil {
		if len(c.kept) > 4096 { // shops that were removed long ago
			clear(c.kept)
		}
		k = &keptCount{}
		c.kept[shop] = k
	}
	age := now.Sub(k.at)
	if k.counting == nil && (k.at.IsZero() || k.err != nil || (k.seq != seq || age >= 30*time.Second) && age >= 20*k.took) {
		k.counting = make(chan struct{})
		go c.count(shop, k, seq, now)
	}
	known, counting := !k.at.IsZero() && k.err == nil && k.took > countQuick, k.counting
	c.mu.Unlock()
	if counting != nil && !known {
		select {
		case <-counting:
		case <-ctx.Done():
			return store.Counts{}, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return k.counts, k.err
}

// count counts for whoever asks meanwhile; a reader that leaves ends nothing.
func (c *shopCounts) count(shop string, k *keptCount, seq int64, began time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), countMost)
	defer cancel()
	counts, err := c.store.CountShop(ctx, shop)
	c.mu.Lock()
	defer c.mu.Unlock()
	k.counts, k.err, k.seq, k.at, k.took = counts, err, seq, began, time.Since(began)
	close(k.counting)
	k.counting = nil
}
