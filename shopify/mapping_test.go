package shopify

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"stockroom/catalog"
	"stockroom/fakeshopify"
	"stockroom/limiter"
)

// TestAProductReadByGraphQLHashesAsItsWebhookDoes is the property that lets a
// refetch find out that nothing changed.
func TestAProductReadByGraphQLHashesAsItsWebhookDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		edits := rapid.IntRange(0, 30).Draw(rt, "edits")
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{
				Seed: seed, Products: 6, MinVariants: 1, MaxVariants: 9, API: fakeshopify.APIOptions{Plan: fakeshopify.Plus},
			}})
			for range edits {
				r.shop.RandomEdit()
			}
			for _, id := range r.shop.IDs() {
				sameAsWebhook(t, r, id)
			}
		})
	})
}

func sameAsWebhook(t *testing.T, r *rig, id int64) {
	t.Helper()
	c, err := catalog.Decode(catalog.ProductsUpdate, r.shop.Body(fakeshopify.TopicUpdate, id))
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Product(t.Context(), testShop, limiter.WebhookRefetch, id)
	if err != nil {
		t.Fatal(err)
	}
	if p.ContentHash() != c.Product.ContentHash() {
		t.Errorf("product %d: %v", id, c.Product.Diff(p))
	}
	if p.UpdatedAt.Value() != c.Product.UpdatedAt.Value() {
		t.Errorf("product %d: updated at %d by GraphQL, %d by webhook", id, p.UpdatedAt.Value(), c.Product.UpdatedAt.Value())
	}
	if p.Coverage != catalog.Complete || !p.VariantsComplete {
		t.Errorf("product %d: coverage %v, all variants: %v", id, p.Coverage, p.VariantsComplete)
	}
}

func TestWeightsAreWholeGrams(t *testing.T) {
	for _, tt := range []struct {
		value float64
		unit  string
		grams int64
		ok    bool
	}{
		{0, "GRAMS", 0, true},
		{499.6, "GRAMS", 500, true},
		{1.5, "KILOGRAMS", 1500, true},
		{2, "POUNDS", 907, true},
		{8, "OUNCES", 227, true},
		{1, "STONES", 0, false},
		{-1, "GRAMS", 0, false},
		{1e30, "KILOGRAMS", 0, false},
	} {
		if g, ok := grams(tt.value, tt.unit); g != tt.grams || ok != tt.ok {
			t.Errorf("%v %s: got %d %v", tt.value, tt.unit, g, ok)
		}
	}
}

func TestIDsBeyondTheExactFloatsStayExact(t *testing.T) {
	for _, tt := range []struct {
		in string
		id int64
		ok bool
	}{
		{"gid://shopify/Product/788032119674292922", 788032119674292922, true},
		{"gid://shopify/Product/1?x=2", 1, true},
		{"gid://shopify/ProductVariant/1", 0, false},
		{"gid://shopify/Product/0", 0, false},
		{"gid://shopify/Product/-1", 0, false},
		{"gid://shopify/Product/99999999999999999999", 0, false},
		{"", 0, false},
	} {
		if id, err := parseGID("Product", tt.in); id != tt.id || (err == nil) != tt.ok {
			t.Errorf("%q: got %d, %v", tt.in, id, err)
		}
	}
}

func TestAVideoIsNoImage(t *testing.T) {
	n := productNode{ID: "gid://shopify/Product/1", Media: connection[mediaNode]{Nodes: []mediaNode{{}, {Image: &struct {
		URL    string `json:"url"`
		Width  int64  `json:"width"`
		Height int64  `json:"height"`
	}{"https://cdn.example/a.jpg", 3, 4}}}}}
	p, err := productOf(&n)
	if err != nil {
		t.Fatal(err)
	}
	want := []catalog.Image{{Position: 1, Src: "https://cdn.example/a.jpg", Width: 3, Height: 4}}
	if d := cmp.Diff(want, p.Images.Value()); d != "" {
		t.Error(d)
	}
}
