package syncer

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/limiter"
	"stockroom/store"
)

// TestAFullSyncReadsHoweverManyProductsItsResultLeavesOpen holds a first sync
// whose result came with mixed lines: of very many products the order of images
// is not known. It reads them by itself and ends proven.
func TestAFullSyncReadsHoweverManyProductsItsResultLeavesOpen(t *testing.T) {
	open := 5100
	if raceEnabled {
		open = 200
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 7, Products: 10})
		have := r.shop.IDs()
		o := &leavesOpen{API: singly{r.api}, store: r.store}
		for n := range open {
			o.want = append(o.want, store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: int64(n + 1), Reason: "test"})
		}
		r.o.API = o
		run, err := r.full()
		if err != nil || !run.Proven || run.ProvenAt != run.StartedAt || run.Error != "" {
			t.Errorf("%+v, %v", run, err)
		}
		if n := int(o.fetched.Load()); n != open {
			t.Errorf("%d fetches of %d products", n, open)
		}
		if list, err := r.store.WantedList(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("%d still wanted, %v", len(list), err)
		}
		if len(r.rows()) != len(have) {
			t.Errorf("%d rows", len(r.rows()))
		}
	})
}

// leavesOpen makes products wanted while the result is read. They are gone when
// they are asked for, which is the quickest answer.
type leavesOpen struct {
	API
	store   *store.Store
	want    []store.Wanted
	fetched atomic.Int64
}

func (o *leavesOpen) Download(ctx context.Context, shop, address string, offset, most int64) (*shopify.Download, error) {
	if err := o.store.Want(ctx, o.want...); err != nil {
		return nil, err
	}
	return o.API.Download(ctx, shop, address, offset, most)
}

func (o *leavesOpen) Product(ctx context.Context, shop string, class limiter.Class, id int64) (*catalog.Product, error) {
	if id > int64(len(o.want)) {
		return o.API.Product(ctx, shop, class, id)
	}
	o.fetched.Add(1)
	return nil, nil
}
