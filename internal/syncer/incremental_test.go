package syncer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/limiter"
	"stockroom/store"
)

func TestAnIncrementalBringsWhatChangedAndDropsWhatWasDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 120})
		if run, err := r.incremental(); err == nil || run.State != store.RunFailed {
			t.Errorf("without a full sync: %+v, %v", run, err)
		}
		r.synced()
		for range 4 { // each window begins where the last one was
			time.Sleep(time.Hour)
			r.drift(4)
			run, err := r.incremental()
			if err != nil || run.State != store.RunDone || run.Added != 4 || run.Changed != 4 || run.Removed != 4 || run.Proven || run.ProvenAt != 0 {
				t.Errorf("%+v, %v", run, err)
			}
			if run.Read > 20 {
				t.Errorf("%d products were listed", run.Read)
			}
			r.same()
		}
	})
}

func TestAnIncrementalGoesOnWithoutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 60})
		r.synced()
		r.drift(3)
		r.o.API = noEvents{r.api}
		run, err := r.incremental()
		if err != nil || run.State != store.RunDone || run.Added != 3 || run.Changed != 3 || run.Removed != 0 || run.Error == "" {
			t.Errorf("%+v, %v", run, err)
		}
	})
}

// TestDeletionsThatCouldNotBeListedAreListedLater holds that no window of the
// events is passed over because they could not be asked once.
func TestDeletionsThatCouldNotBeListedAreListedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 60})
		r.synced()
		r.shop.DeleteProduct(r.shop.IDs()[1])
		time.Sleep(10 * time.Minute)
		r.o.API = noEvents{r.api}
		_, err := r.incremental()
		r.check(err)
		if d := r.differences(); len(d) != 1 {
			t.Fatalf("%v", d)
		}
		time.Sleep(10 * time.Minute)
		r.o.API = r.api
		if run, err := r.incremental(); err != nil || run.Removed != 1 {
			t.Errorf("%+v, %v", run, err)
		}
		r.same()
	})
}

// noEvents is a shop whose events and counts can't be asked.
type noEvents struct{ API }

func (n noEvents) Look(ctx context.Context, shop string, class limiter.Class, since time.Time, most int) (shopify.Look, error) {
	look, err := n.API.Look(ctx, shop, class, since, most)
	look.Deleted, look.NoEvents = nil, &shopify.Error{Kind: shopify.KindPartial, Op: "Look"}
	return look, err
}

func (noEvents) Count(context.Context, string, limiter.Class) (int, bool, error) {
	return 0, false, &shopify.Error{Kind: shopify.KindServer, Op: "Count"}
}
