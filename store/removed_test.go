package store

import (
	"slices"
	"testing"

	"stockroom/internal/catalog"
)

// removed opens a store with an active and a draft product of a shop that was
// removed.
func removed(t *testing.T) *bench {
	t.Helper()
	b := open(t)
	if err := b.s.PutShop(t.Context(), Shop{Shop: testShop}); err != nil {
		t.Fatal(err)
	}
	draft := product(2, "v1", 10_000, "2")
	draft.Status = catalog.Of("draft")
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	b.want(upsertOf(draft), Applied)
	done, err := b.s.RemoveShop(t.Context(), testShop, false, "shop removed")
	if err != nil || done != (Removal{Deactivated: 1}) {
		t.Fatalf("%+v %v", done, err)
	}
	return b
}

func TestARemovedShopsProductsStayAndAreInactive(t *testing.T) {
	b := removed(t)
	for id := range int64(2) {
		if p := b.product(id + 1); p.Status != "INACTIVE" {
			t.Errorf("product %d is %s, and nobody keeps it current", id+1, p.Status)
		}
	}
	b.title(1, "Shirt v1")
	if got := b.kinds(0); !slices.Equal(got, []string{"created", "created", "deactivated"}) {
		t.Errorf("feed %v", got)
	}
	if done, err := b.s.RemoveShop(t.Context(), testShop, false, "shop removed"); err != nil || done != (Removal{}) {
		t.Errorf("the second time: %+v %v", done, err)
	}
	if done, err := b.s.RemoveShop(t.Context(), testShop, true, "shop removed"); err != nil || done != (Removal{Deleted: 2}) {
		t.Errorf("the purge of what is left: %+v %v", done, err)
	}
	b.absent(1)
}

func TestAShopThatIsAddedAgainBringsItsProductsBack(t *testing.T) {
	for name, comes := range map[string]func(b *bench){
		"by the first read": func(b *bench) {
			run := b.fullRun()
			b.putBulk(bulkRead(run), run, product(1, "v1", 10_000, "1"))
		},
		"by a delivery before it": func(b *bench) { b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied) },
		"by a repeated delivery":  func(b *bench) { b.want(upsertOf(product(1, "v1", 10_000, "1", "2")), Applied) },
	} {
		t.Run(name, func(t *testing.T) {
			b := removed(t)
			if err := b.s.PutShop(t.Context(), Shop{Shop: testShop}); err != nil {
				t.Fatal(err)
			}
			if p := b.product(1); p.Status != "INACTIVE" {
				t.Errorf("it is %s before anything was heard of it", p.Status)
			}
			comes(b)
			if p := b.product(1); p.Status != "ACTIVE" || b.product(2).Status != "INACTIVE" {
				t.Errorf("it is %s", p.Status)
			}
			if got := b.kinds(0); got[len(got)-1] != "activated" && got[len(got)-1] != "updated" {
				t.Errorf("feed %v", got)
			}
		})
	}
}

func TestStockOfAShopThatWasAddedAgainIsFetched(t *testing.T) {
	b := removed(t)
	if err := b.s.PutShop(t.Context(), Shop{Shop: testShop}); err != nil {
		t.Fatal(err)
	}
	item := b.product(1).Variants[0].InventoryItemID.Value()
	b.want(catalog.Change{Kind: catalog.Inventory, ID: item}, Applied)
	if w := b.wanted(); len(w) != 1 || w[0].ID != 1 || w[0].Kind != WantProduct {
		t.Errorf("wanted %v", w)
	}
}
