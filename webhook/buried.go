package webhook

import (
	"context"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

const buriedKept = 4096

// buried remembers the newest dead letters by body, so that the same body sent
// again does not make another one. It is in memory only: what it forgets costs
// one dead letter more, never one less.
type buried struct {
	mu  sync.Mutex
	ids *lru.LRU[int64, uint64] // de-duplication key without the webhook id, to job id
}

func newBuried() *buried {
	ids, err := lru.NewLRU[int64, uint64](buriedKept, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &buried{ids: ids}
}

func (b *buried) add(body int64, id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids.Add(body, id)
}

// stillThere reports whether the queue still keeps the body's dead letter;
// somebody may have discarded it since.
func (b *buried) stillThere(ctx context.Context, q Queue, body int64) bool {
	b.mu.Lock()
	id, ok := b.ids.Get(body)
	b.mu.Unlock()
	if !ok {
		return false
	}
	_, err := q.Get(ctx, id)
	return err == nil
}
