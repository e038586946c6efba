package syncer

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/store"
)

// drift makes the shop and the copy differ by lost webhooks: n edits, n new
// products, n deleted ones.
func (r *runRig) drift(n int) {
	r.t.Helper()
	ids := r.shop.IDs()
	for i := range n {
		r.shop.UpdateProduct(ids[i*3], func(p *fakeshopify.Product) { p.Title += " (changed)" })
		r.shop.DeleteProduct(ids[i*3+1])
		r.shop.CreateProduct(nil)
	}
	time.Sleep(3 * time.Second)
}

func TestAReconcileFindsAndRepairsExactlyTheDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 300})
		r.synced()
		r.drift(5)
		run, err := r.reconcile(false)
		if err != nil || run.State != store.RunDone || !run.Proven || run.ProvenAt != run.StartedAt || run.Error != "" {
			t.Fatalf("%+v, %v", run, err)
		}
		if run.Added != 5 || run.Changed != 5 || run.Removed != 5 || run.Read != 300 {
			t.Errorf("%+v", run)
		}
		r.same()
		list, err := r.store.Drift(t.Context(), run.ID, 0, 100)
		r.check(err)
		kinds := map[store.DriftKind]int{}
		for _, d := range list {
			kinds[d.Kind]++
			if d.Title == "" || d.Kind == store.DriftDifferent && len(d.Fields) == 0 {
				t.Errorf("%+v", d)
			}
		}
		if kinds[store.DriftMissing] != 5 || kinds[store.DriftDifferent] != 5 || kinds[store.DriftExtra] != 5 {
			t.Errorf("%v", kinds)
		}
		again, err := r.reconcile(false)
		if err != nil || again.Added+again.Changed+again.Removed > 0 || again.ProvenAt == 0 || again.Points > 100 {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

func TestADryRunReportsAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 4, Products: 60})
		r.synced()
		r.drift(3)
		before := r.dump()
		run, err := r.reconcile(true)
		if err != nil || run.State != store.RunDone || run.Added != 3 || run.Changed != 3 || run.Removed != 3 || run.ProvenAt != 0 {
			t.Errorf("%+v, %v", run, err)
		}
		list, err := r.store.Drift(t.Context(), run.ID, 0, 100)
		if err != nil || len(list) != 9 {
			t.Errorf("%d rows, %v", len(list), err)
		}
		if after := r.dump(); after != before {
			t.Error("the catalogue changed")
		}
	})
}

// TestALostEditOfTheSameSecondIsFound holds what times alone can't show: the
// first of two edits in one second was delivered, the second was lost.
func TestALostEditOfTheSameSecondIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 5, Products: 20})
		r.synced()
		id := r.shop.IDs()[4]
		r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "first" })
		r.apply(fakeshopify.TopicUpdate, id)
		r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "second" })
		time.Sleep(3 * time.Second)
		dry, err := r.reconcile(true)
		if err != nil || dry.Changed != 1 || dry.ProvenAt != 0 {
			t.Errorf("a dry run that finds it proves nothing: %+v, %v", dry, err)
		}
		run, err := r.reconcile(false)
		if err != nil || run.Changed != 1 || run.ProvenAt == 0 {
			t.Errorf("%+v, %v", run, err)
		}
		r.same()
		again, err := r.reconcile(false)
		if err != nil || again.Changed+again.Unchanged > 0 {
			t.Errorf("read again for nothing: %+v, %v", again, err)
		}
	})
}

// TestStockThatMovesWithoutTheProductsTimeIsFound holds a change that no listing by
// time shows.
func TestStockThatMovesWithoutTheProductsTimeIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 6, Products: 20})
		r.synced()
		time.Sleep(48 * time.Hour)
		id := r.shop.IDs()[4]
		p, _ := r.shop.Product(id)
		r.shop.SetInventoryQuietly(p.Variants[0].ID, 0, p.Variants[0].Available[0]-1)
		dry, err := r.reconcile(true)
		if err != nil || dry.Changed != 1 || dry.ProvenAt != 0 {
			t.Errorf("a dry run: %+v, %v", dry, err)
		}
		run, err := r.reconcile(false)
		if err != nil || run.Changed != 1 || run.ProvenAt == 0 {
			t.Errorf("%+v, %v", run, err)
		}
		list, err := r.store.Drift(t.Context(), run.ID, 0, 100)
		if err != nil || len(list) != 1 || list[0].ExternalID != id || len(list[0].Fields) != 1 ||
			!strings.HasSuffix(list[0].Fields[0].Path, ".inventory_quantity") {
			t.Errorf("%+v, %v", list, err)
		}
		r.same()
		if again, err := r.reconcile(false); err != nil || again.Changed+again.Unchanged > 0 {
			t.Errorf("read again for nothing: %+v, %v", again, err)
		}
		r.sql(`UPDATE products SET stock_total = NULL`) // as after an upgrade
		if again, err := r.reconcile(false); err != nil || again.Changed+again.Unchanged > 0 {
			t.Errorf("an unknown total was taken for another: %+v, %v", again, err)
		}
	})
}
