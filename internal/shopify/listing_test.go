package shopify

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

func plusRig(t *testing.T, o fakeshopify.Options) *rig {
	t.Helper()
	o.API.Plan = fakeshopify.Plus
	return newRig(t, rigOptions{static: "token", shop: o})
}

// all follows a listing to its end.
func all[T any](t *testing.T, page func(w *Walk) ([]T, error)) []T {
	t.Helper()
	var list []T
	for w := (Walk{}); w.More(); {
		p, err := page(&w)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p...)
	}
	return list
}

func TestProductsAreListedByIDInSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 600, MaxVariants: 3, Large: -1, Huge: -1})
		ids := r.shop.IDs()
		for _, tt := range []struct{ from, to int64 }{{0, 0}, {ids[100], 0}, {ids[100], ids[400]}, {0, ids[0]}} {
			var want []int64
			for _, id := range ids {
				if id >= tt.from && (tt.to == 0 || id < tt.to) {
					want = append(want, id)
				}
			}
			var got []int64
			for _, l := range all(t, func(w *Walk) ([]Listed, error) {
				return r.IDs(t.Context(), testShop, limiter.Bulk, tt.from, tt.to, w)
			}) {
				got = append(got, l.ID)
				p, _ := r.shop.Product(l.ID)
				if l.Variants != len(p.Variants) || l.UpdatedAt != p.UpdatedAt.UnixMilli() {
					t.Fatalf("%+v", l)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("from %d to %d: %d products, not %d", tt.from, tt.to, len(got), len(want))
			}
		}
		if n, exact, err := r.Count(t.Context(), testShop, limiter.Bulk); n != 600 || !exact || err != nil {
			t.Errorf("counted %d, %v, %v", n, exact, err)
		}
	})
}

func TestOfTheIDsThoseAreFoundThatAreThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 10})
		ids := r.shop.IDs()
		r.shop.DeleteProduct(ids[2])
		r.shop.DeleteProduct(ids[5])
		left, err := r.Existing(t.Context(), testShop, limiter.Reconcile, ids)
		if want := r.shop.IDs(); err != nil || !slices.Equal(left, want) {
			t.Errorf("existing: %v, %v", left, err)
		}
	})
}

func TestASearchThatShopifyMisunderstandsIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 3})
		vars := map[string]any{"query": "updated:>2026-01-01T00:00:00Z"}
		list, err := page[listedNode](t.Context(), r.Client, testShop, limiter.Reconcile, "ProductIDs", vars, largestPage, &Walk{})
		if KindOf(err) != KindRefused {
			t.Errorf("got %v and %d products", err, len(list))
		}
	})
}

const export = `{ products { edges { node { id title variants { edges { node { id } } } } } } }`

func TestAnExportRunsFromStartToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 5})
		id, err := r.RunBulk(t.Context(), testShop, limiter.Bulk, export, true)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		b, found, err := r.Bulk(t.Context(), testShop, limiter.Bulk, id)
		if err != nil || !found || b.Status != "COMPLETED" || !b.Ended() || b.Roots != 5 || b.Objects <= 5 || b.FileSize == 0 || b.URL == "" || b.CompletedAt.IsZero() {
			t.Errorf("%+v, %v, %v", b, found, err)
		}
		list, err := r.Bulks(t.Context(), testShop, limiter.Bulk, "COMPLETED")
		if err != nil || len(list) != 1 || list[0].ID != id {
			t.Errorf("%+v, %v", list, err)
		}
		if err := r.CancelBulk(t.Context(), testShop, limiter.Bulk, id); KindOf(err) != KindRefused {
			t.Errorf("cancelled an export that had ended: %v", err)
		}
		if _, found, err := r.Bulk(t.Context(), testShop, limiter.Bulk, "gid://shopify/BulkOperation/1"); found || err != nil {
			t.Errorf("an unknown export: %v, %v", found, err)
		}
	})
}

// TestTheNewestExportsAreListedFirst holds an app with more exports than one page
// lists: the one whose id was lost is among the newest.
func TestTheNewestExportsAreListedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 1})
		last := ""
		for range 25 {
			id, err := r.RunBulk(t.Context(), testShop, limiter.Bulk, export, true)
			if err != nil {
				t.Fatal(err)
			}
			last = id
			time.Sleep(time.Minute)
		}
		list, err := r.Bulks(t.Context(), testShop, limiter.Bulk, "")
		if err != nil || len(list) != 20 || list[0].ID != last || list[19].CreatedAt.After(list[0].CreatedAt) {
			t.Errorf("%d exports, not with %s first: %+v, %v", len(list), last, list[:min(len(list), 1)], err)
		}
		if list, err = r.Bulks(t.Context(), testShop, limiter.Bulk, "RUNNING"); err != nil || len(list) != 0 {
			t.Errorf("%d running, %v", len(list), err)
		}
	})
}

func TestASixthExportIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 5, API: fakeshopify.APIOptions{Bulk: fakeshopify.BulkOptions{Base: time.Hour}}})
		var err error
		for i := range 6 {
			if _, err = r.RunBulk(t.Context(), testShop, limiter.Bulk, export, true); err != nil && i < 5 {
				t.Fatal(err)
			}
		}
		if v := Judge(err); KindOf(err) != KindBusy || v.Job != Snooze {
			t.Errorf("got %v", err)
		}
		running, err := r.Bulks(t.Context(), testShop, limiter.Bulk, "")
		if err != nil || len(running) != 5 || running[0].Ended() {
			t.Fatalf("%+v, %v", running, err)
		}
		if err := r.CancelBulk(t.Context(), testShop, limiter.Bulk, running[0].ID); err != nil {
			t.Error(err)
		}
	})
}

func TestBothCodesForTooManyExportsMeanLater(t *testing.T) {
	for code, kind := range map[string]Kind{"OPERATION_IN_PROGRESS": KindBusy, "LIMIT_REACHED": KindBusy, "INVALID": KindRefused} {
		if err := refusal(testShop, "BulkRun", []userError{{Code: code, Message: "no"}}); KindOf(err) != kind {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestAnExportThatMakesNoSenseIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{})
		if _, err := r.RunBulk(t.Context(), testShop, limiter.Bulk, `{ shop { name } }`, false); KindOf(err) != KindRefused || Judge(err).Job != Permanent {
			t.Errorf("got %v", err)
		}
	})
}

func TestSubscriptionsAreMadeFoundMovedAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{})
		ctx := t.Context()
		const uri = "https://stockroom.example/webhooks/shopify/products"
		topics := []string{"products/create", "products/update", "inventory_levels/update", "app/uninstalled", "app/scopes_update", "bulk_operations/finish"}
		for _, topic := range topics {
			if id, err := r.Subscribe(ctx, testShop, limiter.Reconcile, topic, uri); id == "" || err != nil {
				t.Fatalf("%s: %q, %v", topic, id, err)
			}
		}
		if _, err := r.Subscribe(ctx, testShop, limiter.Reconcile, topics[0], uri); !IsTaken(err) {
			t.Errorf("a second one: %v", err)
		}
		if _, err := r.Subscribe(ctx, testShop, limiter.Reconcile, topics[0], "http://stockroom.example/x"); KindOf(err) != KindRefused || IsTaken(err) {
			t.Errorf("without https: %v", err)
		}
		list, err := r.Subscriptions(ctx, testShop, limiter.Reconcile)
		if err != nil || len(list) != len(topics) {
			t.Fatalf("%+v, %v", list, err)
		}
		for i, s := range list {
			if s.Topic != topics[i] || s.URI != uri || s.Format != "JSON" {
				t.Errorf("%+v", s)
			}
		}
		if err := r.MoveSubscription(ctx, testShop, limiter.Reconcile, list[0].ID, uri+"/2"); err != nil {
			t.Error(err)
		}
		if err := r.Unsubscribe(ctx, testShop, limiter.Reconcile, list[1].ID); err != nil {
			t.Error(err)
		}
		if err := r.Unsubscribe(ctx, testShop, limiter.Reconcile, list[1].ID); KindOf(err) != KindRefused {
			t.Errorf("deleted twice: %v", err)
		}
		list, err = r.Subscriptions(ctx, testShop, limiter.Reconcile)
		if err != nil || len(list) != len(topics)-1 || list[0].URI != uri+"/2" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
