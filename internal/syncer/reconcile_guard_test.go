package syncer

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/limiter"
	"stockroom/queue"
	"stockroom/store"
)

// bentShop is a shop whose listing or count is wrong.
type bentShop struct {
	API
	count func(n int) int
	ids   func(list []shopify.Listed) []shopify.Listed // the only page
}

func (b bentShop) Count(ctx context.Context, shop string, class limiter.Class) (int, bool, error) {
	n, exact, err := b.API.Count(ctx, shop, class)
	if b.count != nil {
		n = b.count(n)
	}
	return n, exact, err
}

func (b bentShop) IDs(ctx context.Context, shop string, class limiter.Class, from, to int64, w *shopify.Walk) ([]shopify.Listed, error) {
	list, err := b.API.IDs(ctx, shop, class, from, to, w)
	if err != nil || b.ids == nil {
		return list, err
	}
	return b.ids(list), w.Turn(shop, "", 0, 1, false, "")
}

// TestNothingIsRemovedFromAnIncompleteListing is I15 for comparisons.
func TestNothingIsRemovedFromAnIncompleteListing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bent   bentShop
		failed bool
	}{
		{"more are counted", bentShop{count: func(n int) int { return n + 1 }}, false},
		{"fewer are counted", bentShop{count: func(n int) int { return n - 1 }}, false},
		{"half of the listing is missing", bentShop{ids: func(list []shopify.Listed) []shopify.Listed {
			return list[:len(list)/2]
		}}, false},
		{"the listing is empty", bentShop{ids: func([]shopify.Listed) []shopify.Listed {
			return nil
		}}, false},
		{"the listing is empty and so is the count", bentShop{count: func(int) int { return 0 }, ids: func([]shopify.Listed) []shopify.Listed {
			return nil
		}}, false},
		{"the listing is out of order", bentShop{ids: func(list []shopify.Listed) []shopify.Listed {
			list[0], list[1] = list[1], list[0]
			return list
		}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 40})
				r.synced()
				r.shop.UpdateProduct(r.shop.IDs()[30], func(p *fakeshopify.Product) { p.Title = "new" })
				before := r.rows()
				time.Sleep(3 * time.Second)
				tt.bent.API = r.api
				r.o.API = tt.bent
				run, err := r.reconcile(false)
				if (err != nil) != tt.failed || run.Removed > 0 {
					t.Errorf("%+v, %v", run, err)
				}
				if tt.bent.count != nil && tt.bent.ids == nil && (run.Proven || run.ProvenAt != 0 || run.Error == "" || run.Changed != 1) {
					t.Errorf("%+v", run)
				}
				r.lostNothing(before)
			})
		})
	}
}

func TestAComparisonGoesOnWithoutCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 40})
		r.synced()
		r.drift(2)
		r.o.API = noEvents{r.api}
		run, err := r.reconcile(false)
		if err != nil || run.ProvenAt == 0 || run.Removed != 2 || !strings.Contains(run.Error, "counted") {
			t.Errorf("%+v, %v", run, err)
		}
		r.same()
		r.o.API = noEvents{r.api}
		full, err := r.full()
		if err != nil || full.ProvenAt == 0 {
			t.Errorf("%+v, %v", full, err)
		}
	})
}

// TestACountWaitsForPoints holds that a spent budget does not do away with the
// check that a listing is complete.
func TestACountWaitsForPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 40})
		r.synced()
		short := bentShop{API: r.api, ids: func(list []shopify.Listed) []shopify.Listed {
			return list[:len(list)/2]
		}}
		r.o.API = &dearCount{bentShop: short, refuse: 3}
		run, err := r.reconcile(false)
		if err != nil || run.Proven || run.ProvenAt != 0 || !strings.Contains(run.Error, "lists 20") {
			t.Errorf("%+v, %v", run, err)
		}
	})
}

// dearCount has no points for the first counts.
type dearCount struct {
	bentShop
	refuse int
}

func (d *dearCount) Count(ctx context.Context, shop string, class limiter.Class) (int, bool, error) {
	if d.refuse--; d.refuse >= 0 {
		return 0, false, &shopify.Error{Kind: shopify.KindBudget, Op: "Count", RetryAt: time.Now().Add(20 * time.Second)}
	}
	return d.bentShop.Count(ctx, shop, class)
}

// blindShop shows nothing, as where a right was taken away.
type blindShop struct{ API }

func (blindShop) Count(context.Context, string, limiter.Class) (int, bool, error) {
	return 0, true, nil
}

func (blindShop) IDs(_ context.Context, _ string, _ limiter.Class, _, _ int64, w *shopify.Walk) ([]shopify.Listed, error) {
	return nil, w.Turn("", "", 0, 1, false, "")
}

func (blindShop) Existing(context.Context, string, limiter.Class, []int64) ([]int64, error) {
	return nil, nil
}

func (blindShop) Access(context.Context, string, limiter.Class) (shopify.Access, error) {
	return shopify.Access{Scopes: []string{"read_inventory", "read_locations"}}, nil
}

func TestNothingIsRemovedWhereARightIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 20})
		r.synced()
		before := r.rows()
		r.o.API = blindShop{r.api}
		run, err := r.reconcile(false)
		if err == nil || run.State != store.RunFailed || run.Removed > 0 || !strings.Contains(run.Error, "read_products") {
			t.Errorf("%+v, %v", run, err)
		}
		if p, _ := r.state.Shop(testShop); p.Pause.Reason != state.PauseScope {
			t.Errorf("%+v", p.Pause)
		}
		r.lostNothing(before)
	})
}

// TestTheShopWinsOverARowFromTheFuture holds a row that is newer than the shop
// itself: believed for a while, then not.
func TestTheShopWinsOverARowFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 10})
		r.synced()
		id := r.shop.IDs()[2]
		c, err := catalog.Decode(catalog.ProductsUpdate, r.shop.Body(fakeshopify.TopicUpdate, id))
		r.check(err)
		c.Product.Title = catalog.Of("from nowhere")
		c.Product.UpdatedAt = catalog.Of(time.Now().Add(24 * time.Hour).UnixMilli())
		_, err = r.store.Apply(t.Context(), store.Delivery{Shop: testShop, Topic: fakeshopify.TopicUpdate, ReceivedAt: time.Now()}, c)
		r.check(err)
		time.Sleep(time.Minute)
		run, err := r.reconcile(false)
		if err != nil || run.ProvenAt != 0 || run.Changed != 0 || !strings.Contains(run.Error, "newer here") {
			t.Errorf("%+v, %v", run, err)
		}
		time.Sleep(20 * time.Minute)
		run, err = r.reconcile(false)
		if err != nil || run.ProvenAt == 0 || run.Changed != 1 {
			t.Errorf("%+v, %v", run, err)
		}
		r.same()
	})
}

// TestAProductThatCannotBeReadIsLeftToTheQueue holds that one such product stops
// nothing and that the run says so.
func TestAProductThatCannotBeReadIsLeftToTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 30})
		r.synced()
		r.drift(3)
		poison := r.shop.IDs()[0]
		r.shop.UpdateProduct(poison, func(p *fakeshopify.Product) { p.Title = "poison" })
		time.Sleep(3 * time.Second)
		r.o.API = poisoned{singly{r.api}, poison}
		run, err := r.reconcile(false)
		if err != nil || run.State != store.RunDone || !run.Proven || run.ProvenAt != 0 || !strings.Contains(run.Error, "1 product could not be read") {
			t.Errorf("%+v, %v", run, err)
		}
		if d := r.differences(); len(d) != 1 {
			t.Errorf("%v", d)
		}
		list, err := r.store.WantedList(t.Context())
		if err != nil || len(list) != 1 || list[0].ID != poison {
			t.Errorf("%+v, %v", list, err)
		}
		if len(r.wanted) != 1 || (<-r.wanted).ID != poison {
			t.Errorf("%d pieces of work are passed on", len(r.wanted))
		}
		r.o.API = r.api
		run, err = r.reconcile(false)
		if err != nil || run.ProvenAt == 0 {
			t.Errorf("%+v, %v", run, err)
		}
		r.same()
	})
}

type poisoned struct {
	API
	id int64
}

func (p poisoned) Product(ctx context.Context, shop string, class limiter.Class, id int64) (*catalog.Product, error) {
	if id == p.id {
		return nil, &shopify.Error{Kind: shopify.KindPartial, Op: "Product"}
	}
	return p.API.Product(ctx, shop, class, id)
}

// TestARunPausesAShopThatDoesNotLetUsIn holds that a run ends at once and says
// why.
func TestARunPausesAShopThatDoesNotLetUsIn(t *testing.T) {
	for _, kind := range []string{"full", "reconcile", "incremental"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 10})
				r.synced()
				before := r.dump()
				r.shop.Fail(fakeshopify.Fault{Status: 402, Times: -1})
				make := map[string]func() (store.SyncRun, error){"full": r.full, "incremental": r.incremental, "reconcile": func() (store.SyncRun, error) { return r.reconcile(false) }}
				run, err := make[kind]()
				if err == nil || run.State != store.RunFailed || !strings.Contains(run.Error, "frozen") {
					t.Errorf("%+v, %v", run, err)
				}
				if left := r.left(); left != nil {
					t.Errorf("it still counts as running: %+v", left)
				}
				if p, _ := r.state.Shop(testShop); p.Pause.Reason != state.PauseFrozen {
					t.Errorf("%+v", p.Pause)
				}
				if r.dump() != before {
					t.Error("the catalogue changed")
				}
			})
		})
	}
}

// TestARunWaitsForTheCircuitAndThePoints holds that an outage in the middle of a
// comparison only makes it later.
func TestARunWaitsForTheCircuitAndThePoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 60, API: fakeshopify.APIOptions{Plan: fakeshopify.Standard}})
		r.synced()
		r.drift(8)
		r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultThrottled, Times: 2}, fakeshopify.Fault{Status: 502, Times: 12})
		run, err := r.reconcile(false)
		if err != nil || run.ProvenAt == 0 || run.FinishedAt-run.StartedAt < 30_000 {
			t.Errorf("%+v, %v", run, err)
		}
		r.same()
	})
}

// TestAProvenRunMendsDeadLetters holds that work which died is not asked of a
// person once the copy is shown to be right.
func TestAProvenRunMendsDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 5})
		r.synced()
		w := store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: r.shop.IDs()[0], Reason: "test"}
		_, _, err := r.queue.Enqueue(t.Context(), jobOf(w))
		r.check(err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r.check(r.queue.Work(ctx, string(store.WantProduct), 1, time.Hour, func(context.Context, queue.Job) error {
			return queue.Permanent(&shopify.Error{Kind: shopify.KindRefused}, queue.ClassValidation)
		}))
		if n := r.queue.Stats().Kinds[string(store.WantProduct)].Dead; n != 1 {
			t.Fatalf("%d dead", n)
		}
		time.Sleep(time.Second)
		if _, err := r.reconcile(true); err != nil || r.queue.Stats().Kinds[string(store.WantProduct)].Dead != 1 {
			t.Errorf("after a dry run: %+v, %v", r.queue.Stats(), err)
		}
		if _, err := r.reconcile(false); err != nil || r.queue.Stats().Kinds[string(store.WantProduct)].Dead != 0 {
			t.Errorf("%+v, %v", r.queue.Stats(), err)
		}
	})
}

// In pull mode no delivery tells that a right was taken away.
func TestAComparisonThatFindsNothingNoticesALostRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Products: 3})
		r.synced()
		r.shop.SetScopes("read_products", "write_inventory")
		run, err := r.reconcile(false)
		if shop, _ := r.state.Shop(testShop); err == nil || run.Proven || shop.Pause.Reason != state.PauseScope {
			t.Errorf("%v, proven %t, paused for %q", err, run.Proven, shop.Pause.Reason)
		}
	})
}
