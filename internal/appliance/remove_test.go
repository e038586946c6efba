package appliance

import (
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// A crash between state.db and products.db must not leave rows ACTIVE that nobody
// keeps current.
func TestARemovalThatTheCatalogueDidNotHearOfIsFinishedAtTheNextStart(t *testing.T) {
	o, _ := slowly(t, func() {})
	const shop = "linen.myshopify.com"
	a, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.state.AddShop(shop, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := a.loadShops(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Decode(catalog.ProductsUpdate, []byte(`{"id":7,"title":"Hat","status":"active","updated_at":"2026-11-01T10:00:00Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Apply(t.Context(), store.Delivery{Shop: shop, Topic: "products/update", ReceivedAt: time.Now()}, c); err != nil {
		t.Fatal(err)
	}
	counts := func() store.Counts {
		t.Helper()
		n, err := a.store.CountShop(t.Context(), shop)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := counts(); n.Active != 1 {
		t.Fatalf("%+v", n)
	}
	if err := a.state.RemoveShop(shop, time.Now()); err != nil { // and no more
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	if n := counts(); n.Products != 1 || n.Active != 0 {
		t.Errorf("after the start: %+v", n)
	}
}
