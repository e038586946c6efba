package syncer

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
	"stockroom/store"
)

// hooked lets a test act between a read and what is done with it.
type hooked struct {
	API
	read func(p *catalog.Product)
}

func (h hooked) Product(ctx context.Context, shop string, class limiter.Class, id int64) (*catalog.Product, error) {
	p, err := h.API.Product(ctx, shop, class, id)
	if err == nil {
		h.read(p)
	}
	return p, err
}

// A delivery that is stored while a product is read, of the same second and with
// other content, is not overwritten by the older read: it is read again.
func TestAFetchOvertakenWithinItsSecondIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1, MaxVariants: 2})
		id := r.shop.IDs()[0]
		var reads atomic.Int64
		r.o.API = hooked{r.o.API, func(*catalog.Product) {
			if reads.Add(1) > 1 {
				return
			}
			r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "edited while it was read" })
			change, err := catalog.Decode("products/update", r.shop.Body(fakeshopify.TopicUpdate, id))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := r.store.Apply(t.Context(), store.Delivery{Shop: testShop, Topic: "products/update", ReceivedAt: time.Now(), Dedupe: 1}, change); err != nil {
				t.Error(err)
			}
		}}
		time.Sleep(time.Hour) // the edits of the shop's making are long past
		r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "edited before" })
		r.want(store.WantProduct, id)
		time.Sleep(5 * time.Minute)
		row, err := r.store.Product(t.Context(), testShop, id)
		if err != nil || row.Title.Value() != "edited while it was read" {
			t.Errorf("stored %v, %v", row.Title, err)
		}
		if n := reads.Load(); n < 2 {
			t.Errorf("%d reads, want another one to decide", n)
		}
		if list, err := r.store.WantedList(t.Context()); err != nil || len(list) > 0 || len(r.jobs()) > 0 {
			t.Errorf("still wanted %v (%v), jobs %v", list, err, r.jobs())
		}
	})
}

// A job costs a call only while its wish is there: not when its product was deleted since,
// nor when a run has read it. What was wanted after the delete is read all the same.
func TestAReadThatNobodyWantsAnyMoreAsksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := openRig(t, fakeshopify.Options{Products: 3, MaxVariants: 2})
		time.Sleep(time.Hour) // the edits of the shop's making are long past
		deleted, read, again := r.shop.IDs()[0], r.shop.IDs()[1], r.shop.IDs()[2]
		var asked []int64
		r.o.API = hooked{r.o.API, func(p *catalog.Product) {
			if p == nil {
				p = &catalog.Product{ID: deleted}
			}
			asked = append(asked, p.ID)
		}}
		remove := func(id int64) {
			change := catalog.Change{Kind: catalog.Delete, ID: id}
			d := store.Delivery{Shop: testShop, Topic: "products/delete", ReceivedAt: time.Now(), Dedupe: id}
			if _, err := r.store.Apply(t.Context(), d, change); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		for _, id := range []int64{deleted, read, again} {
			r.want(store.WantProduct, id)
		}
		r.shop.DeleteProduct(deleted)
		remove(deleted)
		p, err := r.api.Product(t.Context(), testShop, 0, read)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.put(t.Context(), store.Read{Shop: testShop, Source: "bulk", Started: time.Now()}, read, p); err != nil {
			t.Fatal(err)
		}
		remove(again)
		r.want(store.WantProduct, again)
		r.runs()
		time.Sleep(5 * time.Minute)
		if !slices.Equal(asked, []int64{again}) || !r.stored(again) || r.stored(deleted) {
			t.Errorf("asked for %v, want only %d, which is stored: %t", asked, again, r.stored(again))
		}
		if list, err := r.store.WantedList(t.Context()); err != nil || len(list) > 0 || len(r.jobs()) > 0 {
			t.Errorf("still wanted %v (%v), jobs %v", list, err, r.jobs())
		}
	})
}
