package shopify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

// export runs a full export to its end and downloads it.
func (r *rig) export(t *testing.T, grouped bool) (BulkOperation, []byte) {
	t.Helper()
	id, err := r.RunBulk(t.Context(), testShop, limiter.Bulk, BulkProductsQuery(), grouped)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Hour)
	b, found, err := r.Bulk(t.Context(), testShop, limiter.Bulk, id)
	if err != nil || !found || b.Status != "COMPLETED" {
		t.Fatalf("%+v, %v, %v", b, found, err)
	}
	if b.URL == "" {
		return b, nil
	}
	d, err := r.Download(t.Context(), testShop, b.URL, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Body.Close()
	body, err := io.ReadAll(d.Body)
	if err != nil || int64(len(body)) != b.FileSize || d.Total != b.FileSize {
		t.Fatalf("read %d bytes of %d, told %d: %v", len(body), b.FileSize, d.Total, err)
	}
	return b, body
}

// lineGroup is what belongs to one product. It is put together here apart from
// the code under test.
type lineGroup struct {
	root     []byte
	children [][]byte
}

func groupLines(t *testing.T, file []byte) map[string]*lineGroup {
	t.Helper()
	groups := map[string]*lineGroup{}
	get := func(id string) *lineGroup {
		if groups[id] == nil {
			groups[id] = &lineGroup{}
		}
		return groups[id]
	}
	lines := bufio.NewScanner(bytes.NewReader(file))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var at struct {
			ID     string `json:"id"`
			Parent string `json:"__parentId"`
		}
		line := bytes.Clone(lines.Bytes())
		if err := json.Unmarshal(line, &at); err != nil {
			t.Fatal(err)
		}
		if at.Parent == "" {
			get(at.ID).root = line
		} else {
			get(at.Parent).children = append(get(at.Parent).children, line)
		}
	}
	return groups
}

// TestAProductOfABulkResultIsTheOneThatAFetchReads: all three forms of a product
// have one content, and a fetch and a bulk result agree in every field.
func TestAProductOfABulkResultIsTheOneThatAFetchReads(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		edits := rapid.IntRange(0, 30).Draw(rt, "edits")
		grouped := rapid.Bool().Draw(rt, "grouped")
		shuffle := rapid.Bool().Draw(rt, "shuffle")
		most := rapid.SampledFrom([]int{1, 9, 9, 9, 120}).Draw(rt, "variants")
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{
				Seed: seed, Products: 5, MinVariants: 1, MaxVariants: most,
				API: fakeshopify.APIOptions{Plan: fakeshopify.Plus, Bulk: fakeshopify.BulkOptions{Shuffle: shuffle}},
			}})
			for range edits {
				r.shop.RandomEdit()
			}
			b, file := r.export(t, grouped)
			groups := groupLines(t, file)
			ids := r.shop.IDs()
			if len(groups) != len(ids) || b.Roots != int64(len(ids)) {
				t.Fatalf("%d groups and %d roots of %d products", len(groups), b.Roots, len(ids))
			}
			for _, id := range ids {
				g := groups[catalog.GID("Product", id)]
				if n, of, err := BulkRoot(g.root); n != len(g.children) || of != id || err != nil {
					t.Errorf("product %d: its line says %d children of %d, not %d (%v)", id, n, of, len(g.children), err)
				}
				ordered := grouped && !shuffle
				got, err := ProductOfLines(g.root, g.children, ordered)
				if err != nil || !got.Whole {
					t.Fatalf("product %d: whole %v, %v", id, got.Whole, err)
				}
				sameAsFetch(t, r, got.Product, ordered)
			}
		})
	})
}

func sameAsFetch(t *testing.T, r *rig, p *catalog.Product, ordered bool) {
	t.Helper()
	want, err := r.Product(t.Context(), testShop, limiter.Bulk, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if p.ImagesUnordered != (!ordered && len(want.Images.Value()) > 1) {
		t.Errorf("product %d: order of %d images unknown: %v, lines in order: %v", p.ID, len(want.Images.Value()), p.ImagesUnordered, ordered)
	}
	if !ordered {
		if len(p.Images.Value()) != len(want.Images.Value()) {
			t.Errorf("product %d: %d images of %d", p.ID, len(p.Images.Value()), len(want.Images.Value()))
		}
		p.Images, p.ImagesUnordered = want.Images, false
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("product %d differs from a fetch: %v", p.ID, want.Diff(p))
	}
	c, err := catalog.Decode(catalog.ProductsUpdate, r.shop.Body(fakeshopify.TopicUpdate, p.ID))
	if err != nil {
		t.Fatal(err)
	}
	if c.Product.VariantsComplete && c.Product.ContentHash() != p.ContentHash() {
		t.Errorf("product %d differs from its webhook: %v", p.ID, c.Product.Diff(p))
	}
}

func TestVariantsComeByPositionWhateverTheOrderOfTheLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Products: 1, Huge: 1, API: fakeshopify.APIOptions{Plan: fakeshopify.Plus}}})
		_, file := r.export(t, true)
		for id, g := range groupLines(t, file) {
			rand.New(rand.NewPCG(1, 1)).Shuffle(len(g.children), func(i, k int) { g.children[i], g.children[k] = g.children[k], g.children[i] })
			b, err := ProductOfLines(g.root, g.children, false)
			if err != nil || !b.Whole || len(b.Product.Variants.Value()) != 2048 {
				t.Fatalf("%s: whole %v, %d variants, %v", id, b.Whole, len(b.Product.Variants.Value()), err)
			}
			for i, v := range b.Product.Variants.Value() {
				if v.Position.Value() != int64(i+1) {
					t.Fatalf("variant %d has position %d", i, v.Position.Value())
				}
			}
		}
	})
}

const (
	rootLine = `{"id":"gid:\/\/shopify\/Product\/7","title":"Shirt","descriptionHtml":"","vendor":"","productType":"","handle":"shirt","tags":[],` +
		`"status":"ACTIVE","publishedAt":null,"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-02T00:00:00Z","options":[],` +
		`"variantsCount":{"count":1,"precision":"EXACT"},"mediaCount":{"count":2,"precision":"EXACT"}}`
	variantLine = `{"id":"gid:\/\/shopify\/ProductVariant\/70","title":"S","sku":null,"barcode":null,"price":"1.00","compareAtPrice":null,"position":1,` +
		`"selectedOptions":[],"inventoryItem":{"id":"gid:\/\/shopify\/InventoryItem\/71","measurement":{"weight":null}},"inventoryQuantity":3,` +
		`"inventoryPolicy":"DENY","taxable":true,"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-02T00:00:00Z","__parentId":"gid:\/\/shopify\/Product\/7"}`
	imageLine = `{"id":"gid:\/\/shopify\/MediaImage\/72","alt":"a","mediaContentType":"IMAGE","image":{"url":"https:\/\/cdn\/1.jpg","width":2,"height":3},"__parentId":"gid:\/\/shopify\/Product\/7"}`
	videoLine = `{"id":"gid:\/\/shopify\/Video\/73","alt":"","mediaContentType":"VIDEO","__parentId":"gid:\/\/shopify\/Product\/7"}`
)

func TestAProductIsWholeOnlyWhenItsOwnCountsHold(t *testing.T) {
	with := func(old, now string) string { return strings.Replace(rootLine, old, now, 1) }
	for _, tt := range []struct {
		name     string
		root     string
		children []string
		whole    bool
		count    int
	}{
		{"as counted", rootLine, []string{variantLine, imageLine, videoLine}, true, 3},
		{"a medium is missing", rootLine, []string{variantLine, imageLine}, false, 3},
		{"the variant is missing", rootLine, []string{imageLine, videoLine}, false, 3},
		{"a medium too many", with(`"mediaCount":{"count":2`, `"mediaCount":{"count":1`), []string{variantLine, imageLine, videoLine}, false, 2},
		{"variants counted at least", with(`"variantsCount":{"count":1,"precision":"EXACT"`, `"variantsCount":{"count":1,"precision":"AT_LEAST"`), []string{variantLine, imageLine, videoLine}, false, -1},
		{"media not counted", with(`"mediaCount":{"count":2,"precision":"EXACT"}`, `"mediaCount":null`), []string{variantLine, imageLine, videoLine}, false, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var children [][]byte
			for _, c := range tt.children {
				children = append(children, []byte(c))
			}
			if n, id, err := BulkRoot([]byte(tt.root)); n != tt.count || id != 7 || err != nil {
				t.Errorf("%d children of %d, %v", n, id, err)
			}
			b, err := ProductOfLines([]byte(tt.root), children, true)
			if err != nil || b.Whole != tt.whole {
				t.Fatalf("whole %v, %v", b.Whole, err)
			}
			if want := map[bool]catalog.Coverage{true: catalog.Complete, false: catalog.Truncated}[tt.whole]; b.Product.Coverage != want || b.Product.VariantsComplete != tt.whole {
				t.Errorf("coverage %v, all variants %v", b.Product.Coverage, b.Product.VariantsComplete)
			}
		})
	}
}

func TestLinesThatDoNotFitAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ root, child string }{
		"no JSON":                  {rootLine[:40], variantLine},
		"a child that is no JSON":  {rootLine, variantLine[:50]},
		"another product's child":  {rootLine, strings.Replace(variantLine, `Product\/7"`, `Product\/8"`, 1)},
		"a root that is a variant": {strings.Replace(rootLine, `Product\/7`, `ProductVariant\/7`, 1), variantLine},
		"a price that is a number": {rootLine, strings.Replace(variantLine, `"1.00"`, `1.00`, 1)},
		"no time":                  {strings.Replace(rootLine, "2026-01-02T00:00:00Z", "yesterday", 1), variantLine},
	} {
		if b, err := ProductOfLines([]byte(tt.root), [][]byte{[]byte(tt.child)}, true); err == nil {
			t.Errorf("%s: taken as %+v", name, b.Product)
		}
	}
}

func TestTheProductsQueryIsOneThatShopifyRuns(t *testing.T) {
	q := BulkProductsQuery()
	for _, word := range []string{"nodes", "pageInfo", "first", "cursor"} {
		if strings.Contains(q, word) {
			t.Errorf("the query has %q", word)
		}
	}
	if len(q) > 65_535 {
		t.Errorf("%d bytes", len(q))
	}
}

func TestAMeterCountsWhatTheShopCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := plusRig(t, fakeshopify.Options{Products: 3})
		if _, err := r.Shop(t.Context(), testShop, limiter.Bulk); err != nil { // teaches the budget, on nobody's account
			t.Fatal(err)
		}
		before := len(r.shop.APICalls())
		var m, other Meter
		ctx := WithMeter(t.Context(), &m)
		for _, id := range r.shop.IDs() {
			if _, err := r.Product(ctx, testShop, limiter.Bulk, id); err != nil {
				t.Fatal(err)
			}
		}
		r.shop.Fail(fakeshopify.Fault{Status: 500})
		if _, _, err := r.Count(ctx, testShop, limiter.Bulk); KindOf(err) != KindServer {
			t.Fatal(err)
		}
		if _, err := r.Shop(WithMeter(t.Context(), &other), testShop, limiter.Bulk); err != nil {
			t.Fatal(err)
		}
		calls, points := int64(0), int64(0)
		for _, c := range r.shop.APICalls()[before:] {
			calls++
			points += int64(c.Actual)
		}
		if m.Calls()+other.Calls() < calls || m.Calls() != 4 || other.Calls() != 1 || m.Points()+other.Points() < points {
			t.Errorf("%d calls for %d points and %d for %d; the shop counts %d for %d",
				m.Calls(), m.Points(), other.Calls(), other.Points(), calls, points)
		}
	})
}

func BenchmarkProductOfLines(b *testing.B) {
	var children [][]byte
	for i := range 9 {
		children = append(children, []byte(strings.Replace(variantLine, "ProductVariant\\/70", fmt.Sprintf("ProductVariant\\/70%d", i), 1)))
	}
	root := []byte(strings.Replace(rootLine, `"count":1`, `"count":9`, 1))
	b.SetBytes(int64(len(root) + 9*len(variantLine)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ProductOfLines(root, children, true); err != nil {
			b.Fatal(err)
		}
	}
}
