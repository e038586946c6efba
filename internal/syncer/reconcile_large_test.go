package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/store"
)

// TestALargeShopWithOnePercentDrift repairs exactly what differs; with
// STOCKROOM_TORTURE in a shop of 100,000 products.
func TestALargeShopWithOnePercentDrift(t *testing.T) {
	products := 2000
	switch {
	case raceEnabled:
		products = 600
	case long():
		products = 100_000
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 9, Products: products, MaxVariants: 2, Lean: true, Large: -1, Huge: -1})
		r.synced()
		n := products / 300
		r.drift(n) // n changed, n deleted, n new: one per cent together
		run, err := r.reconcile(false)
		if err != nil || run.ProvenAt == 0 || run.Added != int64(n) || run.Changed != int64(n) || run.Removed != int64(n) {
			t.Errorf("%+v, %v", run, err)
		}
		t.Logf("%d products: %d added, %d changed, %d removed; %d calls, %d points, %v at the shop's pace",
			products, run.Added, run.Changed, run.Removed, run.Calls, run.Points, time.Duration(run.FinishedAt-run.StartedAt)*time.Millisecond)
		again, err := r.reconcile(false)
		if err != nil || again.Added+again.Changed+again.Removed > 0 {
			t.Errorf("%+v, %v", again, err)
		}
		t.Logf("in step: %d calls, %d points", again.Calls, again.Points)
		if !long() {
			r.same()
		}
	})
}

// TestAListingGoesBeyondItsDeepestPage holds the slices: the simulated shop ends
// a listing after 25,000 objects, as Shopify does.
func TestAListingGoesBeyondItsDeepestPage(t *testing.T) {
	if raceEnabled {
		t.Skip("25,300 products take too long under the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 9, Products: shopify.DeepestPage + 300, MaxVariants: 1, Lean: true, Large: -1, Huge: -1})
		run, ctx := r.newRun(t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunReconcile, Phase: phaseListing}, 0, "reconcile")
		err := run.begin(ctx)
		r.check(err)
		list, complete, err := run.list(ctx)
		if err != nil || !complete || len(list) != shopify.DeepestPage+300 {
			t.Errorf("%d listed, %v, %v", len(list), complete, err)
		}
		for i, id := range r.shop.IDs() {
			if list[i].ID != id {
				t.Fatalf("%d. is %d, not %d", i, list[i].ID, id)
			}
		}
	})
}

func TestSoManyDifferencesAreLeftToAFullSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 9, Products: fewest + 10, MaxVariants: 1, Lean: true, Large: -1, Huge: -1})
		run, err := r.reconcile(false)
		if err != nil || run.State != store.RunDone || run.Proven || run.ProvenAt != 0 || run.Added > 0 || run.Error == "" {
			t.Errorf("%+v, %v", run, err)
		}
		list, err := r.store.WantedList(t.Context())
		if err != nil || len(list) != 1 || list[0].Kind != store.WantSync {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// BenchmarkCompareInStep compares 100,000 products of which none differs.
func BenchmarkCompareInStep(b *testing.B) {
	const products = 100_000
	listed := make([]shopify.Listed, products)
	local := make([]store.LocalProduct, products)
	for i := range products {
		id := 7_000_000_000_000 + int64(i)*37
		listed[i] = shopify.Listed{ID: id, UpdatedAt: 1_790_000_000_000, Variants: 3}
		local[i] = store.LocalProduct{ID: id, UpdatedAt: 1_790_000_000_000, Variants: 3, Selected: true, SyncedAt: 1_790_000_100_000, ReadAt: 1_790_000_100_000}
	}
	for b.Loop() {
		at := 0
		found, err := choose(catalog.Selection{}).compare(listed, nil,
			&pages[store.LocalProduct]{id: func(p *store.LocalProduct) int64 { return p.ID }, load: func(int64) ([]store.LocalProduct, error) {
				from := at
				at = min(at+pageOf, products)
				return local[from:at], nil
			}},
			&pages[store.Passed]{id: func(p *store.Passed) int64 { return p.ID }, load: func(int64) ([]store.Passed, error) { return nil, nil }},
			time.UnixMilli(1_790_000_200_000), 0)
		if err != nil || found.equal != products {
			b.Fatalf("%+v, %v", found, err)
		}
	}
}
