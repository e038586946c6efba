package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// TestEveryIDHasAFormThatJavaScriptReadsWithoutLoss reads each answer that names
// a product as JavaScript does, numbers as floats: beside an id that does not
// survive it stands the global one.
func TestEveryIDHasAFormThatJavaScriptReadsWithoutLoss(t *testing.T) {
	const id int64 = 788032119674292923 // as large as in Shopify's own samples
	r := newRig(t, nil)
	r.product(id, "Shirt", "")
	r.deliver(catalog.InventoryLevelsDisconnect, fmt.Sprintf(`{"inventory_item_id":%d1,"location_id":1}`, id/10))
	run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunReconcile})
	if err != nil {
		t.Fatal(err)
	}
	r.drift(run.ID, store.Drift{ExternalID: id, Kind: store.DriftMissing})
	for path, ids := range map[string]int{
		fmt.Sprintf("/api/v1/products/%s/%d", testShop, id): 3, // with two variants
		fmt.Sprintf("/api/v1/explain/%s/%d", testShop, id):  7, // itself, the product with two variants, its delivery twice, a change
		"/api/v1/products":                            1,
		"/api/v1/products?brief=true":                 1,
		"/api/v1/products-export?format=json":         3,
		"/api/v1/products-export?format=ndjson":       3,
		"/api/v1/changes?after=0":                     1,
		"/api/v1/deliveries":                          2,
		fmt.Sprintf("/api/v1/syncs/%d/drift", run.ID): 1,
	} {
		found := 0
		lines := bufio.NewScanner(strings.NewReader(r.admin(200, "GET", path, "")))
		lines.Buffer(nil, 1<<20)
		for text := ""; lines.Scan(); {
			text += lines.Text()
			var v any
			if json.Unmarshal([]byte(text), &v) == nil {
				found += wholeIDs(t, path, v)
				text = ""
			}
		}
		if found != ids {
			t.Errorf("%s names %d ids, want %d", path, found, ids)
		}
	}
}

// wholeIDs counts the objects that have an external id, each with its global id.
func wholeIDs(t *testing.T, path string, v any) (n int) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += wholeIDs(t, path, e)
		}
	case map[string]any:
		for _, e := range v {
			n += wholeIDs(t, path, e)
		}
		number, has := v["external_id"].(float64)
		if !has {
			return n
		}
		n++
		gid, _ := v["gid"].(string)
		kind, id, ok := strings.Cut(strings.TrimPrefix(gid, "gid://shopify/"), "/")
		var exact int64
		if _, err := fmt.Sscan(id, &exact); !ok || err != nil || float64(exact) != number {
			t.Errorf("%s: %q beside %.0f", path, gid, number)
		}
		want := "Product"
		switch {
		case v["product_id"] != nil:
			want = "ProductVariant"
			item, _ := v["inventory_item_gid"].(string)
			if item != fmt.Sprintf("gid://shopify/InventoryItem/%d", exact) { // the rig gives both the same number
				t.Errorf("%s: item %q of variant %d", path, item, exact)
			}
		case v["topic"] == string(catalog.InventoryLevelsDisconnect):
			want = "InventoryItem"
		}
		if kind != want {
			t.Errorf("%s: %s is no %s", path, gid, want)
		}
	}
	return n
}
