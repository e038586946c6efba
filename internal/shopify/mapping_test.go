package shopify

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
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
	samePictures(t, c.Product, p)
	if p.UpdatedAt.Value() != c.Product.UpdatedAt.Value() {
		t.Errorf("product %d: updated at %d by GraphQL, %d by webhook", id, p.UpdatedAt.Value(), c.Product.UpdatedAt.Value())
	}
	if p.Coverage != catalog.Complete || !p.VariantsComplete {
		t.Errorf("product %d: coverage %v, all variants: %v", id, p.Coverage, p.VariantsComplete)
	}
}

// samePictures checks that a read shows which variant has which picture as the
// webhook does, with the webhook's numbers.
func samePictures(t *testing.T, webhook, read *catalog.Product) {
	t.Helper()
	shown := map[int64]catalog.Field[int64]{}
	for _, v := range webhook.Variants.Value() {
		shown[v.ID] = v.ImageID
	}
	for _, v := range read.Variants.Value() {
		if v.ImageID != shown[v.ID] {
			t.Errorf("variant %d has picture %v by GraphQL, %v by webhook", v.ID, v.ImageID, shown[v.ID])
		}
	}
	for i, m := range webhook.Images.Value() {
		got := read.Images.Value()[i]
		if len(m.VariantIDs) > 0 && got.ID != m.ID || !slices.Equal(got.VariantIDs, m.VariantIDs) {
			t.Errorf("picture %d is that of %v by webhook, %d that of %v by GraphQL", m.ID, m.VariantIDs, got.ID, got.VariantIDs)
		}
	}
}

func TestAPictureOfAVariantIsFoundByItsFile(t *testing.T) {
	n := productNode{
		ID: "gid://shopify/Product/1",
		Media: connection[mediaNode]{Nodes: []mediaNode{
			{Image: &imageNode{URL: "https://cdn.shopify.com/s/files/1/2/files/a.jpg?v=1"}},
			{Image: &imageNode{URL: "https://cdn.shopify.com/s/files/1/2/files/b.jpg?v=1"}},
		}},
		Variants: connection[variantNode]{Nodes: []variantNode{
			{ID: "gid://shopify/ProductVariant/11", Image: &imageNode{
				ID: "gid://shopify/ProductImage/7", URL: "https://cdn.shopify.com/s/files/1/2/files/b.jpg?v=2&width=90",
			}},
			{ID: "gid://shopify/ProductVariant/12"},
			{ID: "gid://shopify/ProductVariant/13", Image: &imageNode{
				ID: "gid://shopify/ImageSource/9", URL: "https://shop.example/s/files/1/2/files/a.jpg",
			}},
		}},
	}
	for i := range n.Variants.Nodes {
		n.Variants.Nodes[i].InventoryItem.ID = "gid://shopify/InventoryItem/5"
	}
	p, err := productOf(&n)
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	for _, m := range p.Images.Value() {
		got = append(got, m.ID, m.VariantIDs)
	}
	for _, v := range p.Variants.Value() {
		got = append(got, v.ImageID.Value(), v.ImageID.Present())
	}
	// A number of another kind is not taken for an image's.
	want := []any{int64(0), []int64{13}, int64(7), []int64{11}, int64(7), true, int64(0), true, int64(0), false}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
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
	n := productNode{ID: "gid://shopify/Product/1", Media: connection[mediaNode]{Nodes: []mediaNode{{},
		{Image: &imageNode{URL: "https://cdn.example/a.jpg", Width: 3, Height: 4}}}}}
	p, err := productOf(&n)
	if err != nil {
		t.Fatal(err)
	}
	want := []catalog.Image{{Position: 1, Src: "https://cdn.example/a.jpg", Width: 3, Height: 4}}
	if d := cmp.Diff(want, p.Images.Value()); d != "" {
		t.Error(d)
	}
}
