package syncer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
	"stockroom/queue"
	"stockroom/store"
)

// BenchmarkFetchWhileJobsWait measures the end of a fetch: it may not cost more with
// 50,000 waiting jobs than with 10.
func BenchmarkFetchWhileJobsWait(b *testing.B) {
	for _, n := range []int{10, 1000, 50_000} {
		r := newRunRig(b, fakeshopify.Options{Seed: 1})
		id := int64(7_000_000_000_001)
		later := time.Now().Add(time.Hour)
		first := queue.NewJob{Kind: string(store.WantProduct), Labels: map[string]string{"shop": testShop}, NotBefore: later}
		jobs := []queue.NewJob{first}
		for range n {
			jobs = append(jobs, queue.NewJob{Kind: store.DeliveryJob, Labels: map[string]string{"shop": testShop}, NotBefore: later})
		}
		for jobs = append(jobs, first); len(jobs) > 0; {
			part := min(5000, len(jobs))
			r.check(r.queue.EnqueueAll(b.Context(), jobs[:part]))
			jobs = jobs[part:]
		}
		p := &catalog.Product{ID: id, Title: catalog.Of("A product"), Status: catalog.Of("active"), UpdatedAt: catalog.Of(time.Now().UnixMilli()),
			Variants: catalog.Of([]catalog.Variant{}), Coverage: catalog.Complete, VariantsComplete: true, Images: catalog.Of([]catalog.Image{})}
		r.o.API = oneProduct{r.api, p}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				r.check(r.store.Want(b.Context(), store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: id}))
				if err := r.fetchProduct(b.Context(), task{Shop: testShop, ID: id}, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// oneProduct answers each read of a product from memory.
type oneProduct struct {
	API
	p *catalog.Product
}

func (o oneProduct) Product(context.Context, string, limiter.Class, int64) (*catalog.Product, error) {
	return o.p, nil
}
