package syncer

import (
	"context"
	"sort"
	"strconv"
	"sync"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/limiter"
	"stockroom/store"
)

// listedShop answers listings from memory.
type listedShop struct {
	API
	list []shopify.Listed
	past *sync.Map // from a walk to the newest id that it has read
}

func (l listedShop) Count(context.Context, string, limiter.Class) (int, bool, error) {
	return len(l.list), true, nil
}

func (l listedShop) IDs(_ context.Context, _ string, _ limiter.Class, from, _ int64, w *shopify.Walk) ([]shopify.Listed, error) {
	if last, begun := l.past.Load(w); begun {
		from = last.(int64) + 1
	}
	at := sort.Search(len(l.list), func(i int) bool { return l.list[i].ID >= from })
	end := min(at+250, len(l.list))
	after := ""
	if end < len(l.list) {
		after = strconv.FormatInt(l.list[end-1].ID, 10)
		l.past.Store(w, l.list[end-1].ID)
	}
	return l.list[at:end], w.Turn("", "", end-at, 250, end < len(l.list), after)
}

// newBenchRig is a rig with many stored products and a shop that lists them.
func newBenchRig(b *testing.B, products int) *runRig {
	b.Helper()
	r := newRunRig(b, fakeshopify.Options{Seed: 1})
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	list := make([]shopify.Listed, products)
	var batch []*catalog.Product
	for i := range products {
		id := 7_000_000_000_000 + int64(i)*37
		list[i] = shopify.Listed{ID: id, UpdatedAt: at.UnixMilli(), Variants: 1}
		batch = append(batch, &catalog.Product{
			ID: id, Title: catalog.Of("A product"), Status: catalog.Of("active"), UpdatedAt: catalog.Of(at.UnixMilli()),
			Variants: catalog.Of([]catalog.Variant{{ID: id + 1, Price: catalog.Of("9.90")}}), Coverage: catalog.Complete, VariantsComplete: true,
			Images: catalog.Of([]catalog.Image{}),
		})
		if len(batch) == 1000 || i == products-1 {
			_, err := r.store.PutFetched(context.Background(), store.Read{Shop: testShop, Source: "fetch", Started: time.Now()}, batch...)
			r.check(err)
			batch = nil
		}
	}
	time.Sleep(5 * time.Millisecond)
	r.o.API = listedShop{r.api, list, new(sync.Map)}
	return r
}
