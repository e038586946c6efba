package catalog

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"
)

// fixtures returns Shopify's sample bodies by file name.
func fixtures(t *testing.T) map[string][]byte {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "fixtures", "webhooks")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skip("skipped: the sample bodies are not at ../shared/fixtures beside the project")
	}
	bodies := map[string][]byte{}
	for _, e := range entries {
		body, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		bodies[e.Name()] = body
	}
	return bodies
}

func isMalformed(err error) bool {
	_, ok := errors.AsType[*MalformedError](err)
	return ok
}

func isMismatch(err error) bool {
	_, ok := errors.AsType[*MismatchError](err)
	return ok
}

// TestEverySampleFitsItsOwnTopicsOnly decodes every sample under every topic.
// A sample that fits a second topic has the very same shape as that topic's own
// bodies, so nothing but the unsigned header could tell them apart.
func TestEverySampleFitsItsOwnTopicsOnly(t *testing.T) {
	products := []Topic{ProductsCreate, ProductsUpdate}
	levels := []Topic{InventoryLevelsUpdate, InventoryLevelsConnect, InventoryLevelsDisconnect}
	fits := map[string][]Topic{
		"docs2026-07_app_scopes_update.json":                          {AppScopesUpdate},
		"docs2026-07_app_uninstalled.json":                            {AppUninstalled},
		"docs2026-07_bulk_operations_finish.json":                     {BulkOperationsFinish},
		"docs2026-07_inventory_items_create.json":                     {InventoryItemsUpdate},
		"docs2026-07_inventory_items_delete.json":                     {InventoryItemsUpdate},
		"docs2026-07_inventory_items_update.json":                     {InventoryItemsUpdate},
		"docs2026-07_inventory_levels_connect.json":                   levels,
		"docs2026-07_inventory_levels_disconnect.json":                levels,
		"docs2026-07_inventory_levels_update.json":                    levels,
		"docs2026-07_locations_delete.json":                           {ProductsDelete}, // {"id": n}
		"docs2026-07_locations_update.json":                           nil,
		"docs2026-07_product_listings_add.json":                       nil,
		"docs2026-07_product_listings_remove.json":                    nil,
		"docs2026-07_product_publications_create.json":                nil,
		"docs2026-07_products_create.json":                            products,
		"docs2026-07_products_delete.json":                            {ProductsDelete},
		"docs2026-07_products_update.json":                            products,
		"docs_bulk_operations_finish_guide.json":                      {BulkOperationsFinish},
		"docs_customers_data_request.json":                            {CustomersDataRequest},
		"docs_customers_redact.json":                                  {CustomersRedact},
		"docs_events_product_update_after_2026-09-16.json":            {EventProduct},
		"docs_shop_redact.json":                                       {ShopRedactTopic},
		"headers_real_products_update_2025-09.json":                   nil, // headers, no body
		"synthetic_products_update_2048_variants_100_full.json":       products,
		"synthetic_products_update_include_fields_minimal.json":       products,
		"synthetic_products_update_unicode_escaped_like_shopify.json": products,
	}
	for name, body := range fixtures(t) {
		want, known := fits[name]
		if !known {
			t.Errorf("%s: no expectation for this sample", name)
		}
		for _, topic := range Topics() {
			c, err := Decode(topic, body)
			switch {
			case slices.Contains(want, topic) && err != nil:
				t.Errorf("%s under %s: %v", name, topic, err)
			case slices.Contains(want, topic) && (c.Topic != topic || c.Kind != topic.Kind()):
				t.Errorf("%s under %s: answered as %s", name, topic, c.Topic)
			case !slices.Contains(want, topic) && !isMismatch(err):
				t.Errorf("%s under %s: %v, want a mismatch", name, topic, err)
			}
		}
	}
}

func decodeProduct(t *testing.T, body string) *Product {
	t.Helper()
	c, err := Decode(ProductsUpdate, []byte(body))
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return c.Product
}

func TestSampleProductIsReadInFull(t *testing.T) {
	body, ok := fixtures(t)["docs2026-07_products_update.json"]
	if !ok {
		t.Skip("skipped: the sample is not there")
	}
	p := decodeProduct(t, string(body))
	if p.ID != 788032119674292922 || p.Title.Value() != "Example T-Shirt" || p.Status.Value() != "active" {
		t.Errorf("product %d %q %q", p.ID, p.Title.Value(), p.Status.Value())
	}
	if !p.CreatedAt.IsNull() || p.UpdatedAt.Value() != time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("created %v, updated %v", p.CreatedAt, p.UpdatedAt)
	}
	if got := p.Tags.Value(); !slices.Equal(got, []string{"example", "mens", "t-shirt"}) {
		t.Errorf("tags %q", got)
	}
	variants := p.Variants.Value()
	if len(variants) != 2 || p.Coverage != Complete || !p.VariantsComplete {
		t.Fatalf("%d variants, %s, complete %t", len(variants), p.Coverage, p.VariantsComplete)
	}
	v := variants[0]
	if v.ID != 642667041472713922 || v.Price.Value() != "19.99" || v.CompareAtPrice.Value() != "24.99" ||
		!v.SKU.IsNull() || !v.InventoryItemID.IsNull() || v.InventoryQuantity.Value() != 75 ||
		v.InventoryPolicy.Value() != "deny" || !v.Taxable.Value() || v.WeightGrams.Present() || !v.ImageID.IsNull() {
		t.Errorf("variant %+v", v)
	}
	named := p.Named.Value()
	if len(named) != 2 || named[0].ID != 757650484644203962 || named[0].UpdatedAt != time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("named %+v", named)
	}
}

func TestSampleWith2048VariantsIsTruncated(t *testing.T) {
	body, ok := fixtures(t)["synthetic_products_update_2048_variants_100_full.json"]
	if !ok {
		t.Skip("skipped: the sample is not there")
	}
	p := decodeProduct(t, string(body))
	if p.Coverage != Truncated || p.VariantsComplete || len(p.Variants.Value()) != 100 || len(p.Named.Value()) != 2048 {
		t.Errorf("%s, complete %t, %d variants, %d named", p.Coverage, p.VariantsComplete, len(p.Variants.Value()), len(p.Named.Value()))
	}
}

func TestSampleTextSurvivesShopifysEscaping(t *testing.T) {
	body, ok := fixtures(t)["synthetic_products_update_unicode_escaped_like_shopify.json"]
	if !ok {
		t.Skip("skipped: the sample is not there")
	}
	p := decodeProduct(t, string(body))
	const html = "<p>\u00c9 \u2713 \u2028 \u00a0 &amp; <script>alert(1)</script></p>\r\n"
	if p.BodyHTML.Value() != html || p.Handle.Value() != "unicode-\U0001F455" {
		t.Errorf("body_html %q, handle %q", p.BodyHTML.Value(), p.Handle.Value())
	}
	if got := p.Tags.Value(); len(got) != 5 || got[3] != `"quoted"` || got[4] != "a'b" {
		t.Errorf("tags %q", got)
	}
	if p.Variants.Value()[0].InventoryQuantity.Value() != -2 {
		t.Error("a negative quantity changed")
	}
}

func TestProductFieldsAreReadExactly(t *testing.T) {
	p := decodeProduct(t, `{
		"id": 9223372036854775807, "updated_at": "2026-03-29T02:30:00.123456+01:00", "published_at": "2026-03-29T01:30:00Z",
		"title": "A\/B \u003cb\u003e \ud83d\udc55 \"q\" \\ \n", "tags": " b ,, a,b,\t", "status": "ACTIVE", "body_html": null,
		"unknown": {"deep": [1, {"title": "no"}]}, "\u0076endor": "escaped name",
		"variants": [
			{"id": "642667041472713922", "price": 12345678901234567890.1234567890123456789, "compare_at_price": "", "grams": 200,
			 "weight": 0.4409245243697551987654321098765432109876, "inventory_policy": "DENY", "product_id": 9223372036854775807},
			{"admin_graphql_api_id": "gid:\/\/shopify\/ProductVariant\/7", "price": "25", "grams": 1.5, "taxable": false},
			{"id": 8, "price": "-0.50", "grams": 2e2, "barcode": "  padded ", "position": 2}
		],
		"images": [{"id": 1, "src": "https:\/\/cdn.example\/a.jpg?v=1", "alt": null, "width": 10, "height": null, "variant_ids": [7, 8]}, {"alt": ""}],
		"options": [{"id": 5, "name": "Size", "position": 1, "values": ["S", "M"]}, {"name": null, "values": null}]
	}`)
	if p.ID != 9223372036854775807 || p.UpdatedAt.Value() != time.Date(2026, 3, 29, 1, 30, 0, 123e6, time.UTC).UnixMilli() ||
		p.PublishedAt.Value() != time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("id %d, updated %d, published %d", p.ID, p.UpdatedAt.Value(), p.PublishedAt.Value())
	}
	if p.Title.Value() != "A/B <b> \U0001F455 \"q\" \\ \n" || p.Vendor.Value() != "escaped name" || p.Status.Value() != "active" {
		t.Errorf("title %q, vendor %q, status %q", p.Title.Value(), p.Vendor.Value(), p.Status.Value())
	}
	if !slices.Equal(p.Tags.Value(), []string{"b", "a", "b"}) || !p.BodyHTML.IsNull() || p.Handle.Present() {
		t.Errorf("tags %q, body_html %v, handle %v", p.Tags.Value(), p.BodyHTML, p.Handle)
	}
	v := p.Variants.Value()
	if v[0].ID != 642667041472713922 || v[0].Price.Value() != "12345678901234567890.1234567890123456789" ||
		!v[0].CompareAtPrice.IsNull() || v[0].WeightGrams.Value() != 200 || v[0].InventoryPolicy.Value() != "deny" {
		t.Errorf("first variant %+v", v[0])
	}
	if v[1].ID != 7 || v[1].Price.Value() != "25" || v[1].WeightGrams.Present() || v[1].Taxable != Of(false) {
		t.Errorf("second variant %+v", v[1])
	}
	if v[2].Price.Value() != "-0.50" || v[2].WeightGrams.Value() != 200 || v[2].Barcode.Value() != "  padded " {
		t.Errorf("third variant %+v", v[2])
	}
	images, options := p.Images.Value(), p.Options.Value()
	if images[0].Src != "https://cdn.example/a.jpg?v=1" || images[0].Alt != nil || !slices.Equal(images[0].VariantIDs, []int64{7, 8}) ||
		images[1].Alt == nil || *images[1].Alt != "" {
		t.Errorf("images %+v", images)
	}
	if options[0].ID != 5 || !slices.Equal(options[0].Values, []string{"S", "M"}) || options[1].Values == nil || len(options[1].Values) != 0 {
		t.Errorf("options %+v", options)
	}
}

func TestNullListsAreNullAndEmptyOnesEmpty(t *testing.T) {
	p := decodeProduct(t, `{"id":1,"variants":null,"options":null,"images":null,"variant_gids":null,"tags":null}`)
	if !p.Variants.IsNull() || !p.Options.IsNull() || !p.Images.IsNull() || !p.Named.IsNull() || !p.Tags.IsNull() {
		t.Errorf("%+v", p)
	}
	p = decodeProduct(t, `{"id":1,"variants":[],"options":[],"images":[],"variant_gids":[]}`)
	if p.Variants.IsNull() || p.Options.IsNull() || p.Images.IsNull() || p.Named.IsNull() {
		t.Errorf("%+v", p)
	}
	for name, list := range map[string]any{"tags": decodeProduct(t, `{"id":1,"tags":""}`).Tags.Value(), "options": p.Options.Value(), "images": p.Images.Value()} {
		if text, err := json.Marshal(list); err != nil || string(text) != "[]" {
			t.Errorf("empty %s are written as %s, %v", name, text, err)
		}
	}
	v := decodeProduct(t, `{"id":1,"variants":[{"id":5,"price":null,"grams":null,"taxable":null,"position":null,"image_id":null,"title":null,"updated_at":null}]}`).Variants.Value()[0]
	if !v.Price.IsNull() || !v.WeightGrams.IsNull() || !v.Taxable.IsNull() || !v.Position.IsNull() || !v.ImageID.IsNull() || !v.Title.IsNull() || !v.UpdatedAt.IsNull() {
		t.Errorf("%+v", v)
	}
}

// An option or an image without a position has the one of its place in the list.
// Values that are not carried stay as they are stored, and are asked for.
func TestOptionsAndImagesWithoutAPositionAreGivenTheirPlace(t *testing.T) {
	body := func(options string) *Product {
		return decodeProduct(t, `{"id":4401,"title":"Cup","updated_at":"2026-11-20T10:00:00+01:00","vendor":"V","product_type":"T",
			"handle":"cup","tags":"","status":"active","body_html":null,"published_at":null,"options":`+options+`,
			"images":[{"src":"a"},{"src":"b"}],"variants":[{"id":44013,"title":"S / red","price":"9","option1":"S","option2":"red",
			"option3":null,"sku":"","barcode":null,"compare_at_price":null,"position":1,"inventory_item_id":44014,
			"inventory_quantity":0,"inventory_policy":"deny","taxable":true,"image_id":null,"created_at":null,"updated_at":null}],
			"created_at":null}`)
	}
	whole := body(`[{"id":44011,"name":"Size","position":1,"values":["S"]},{"id":44012,"name":"Colour","position":2,"values":["red"]}]`)
	p := body(`[{"id":44011,"name":"Size"},{"id":44012,"name":"Colour"}]`)
	if whole.Coverage != Complete || p.Coverage != Partial {
		t.Errorf("%v with values, %v without", whole.Coverage, p.Coverage)
	}
	for i := range p.Options.Value() {
		o, m := p.Options.Value()[i], p.Images.Value()[i]
		if o.Position != int64(i+1) || o.Values != nil || m.Position != int64(i+1) {
			t.Errorf("place %d: %+v, %+v", i+1, o, m)
		}
	}
	if merged := Merge(whole, p); merged.ContentHash() != whole.ContentHash() {
		t.Errorf("on top of the stored ones: %v", whole.Diff(merged))
	}
	renamed := body(`[{"id":44012,"name":"Farbe"},{"id":44011,"name":"Size","values":["S","M"]}]`)
	want := []Option{{44012, "Farbe", 1, []string{"red"}}, {44011, "Size", 2, []string{"S", "M"}}}
	if got := Merge(whole, renamed).Options.Value(); !reflect.DeepEqual(got, want) {
		t.Errorf("renamed and moved: %v", got)
	}
}

func TestAWeightThatIsNoWholeGramCountsAsNotSent(t *testing.T) {
	for grams, want := range map[string]Field[int64]{
		"200": Of(int64(200)), "200.0": Of(int64(200)), "2e2": Of(int64(200)), "0.5": {}, "1e30": {}, "1e5000": {}, "null": Null[int64](),
	} {
		v := decodeProduct(t, `{"id":1,"variants":[{"id":5,"grams":`+grams+`}]}`).Variants.Value()[0]
		if v.WeightGrams != want {
			t.Errorf("%s: %+v, want %+v", grams, v.WeightGrams, want)
		}
	}
}

func TestTagsMayComeAsAList(t *testing.T) {
	p := decodeProduct(t, `{"id":1,"tags":[" a ","","b, c",null]}`)
	if got := p.Tags.Value(); !slices.Equal(got, []string{"a", "b, c"}) {
		t.Errorf("tags %q", got)
	}
	if p := decodeProduct(t, `{"id":1,"tags":""}`); !p.Tags.Present() || len(p.Tags.Value()) != 0 {
		t.Errorf("empty tags %v", p.Tags)
	}
	if p := decodeProduct(t, `{"id":1,"tags":null}`); !p.Tags.IsNull() {
		t.Errorf("null tags %v", p.Tags)
	}
}

func TestTheLastOfARepeatedNameCounts(t *testing.T) {
	p := decodeProduct(t, `{"id":1,"title":"a","variants":[{"id":5,"product_id":9}],"id":2,"title":"b","variants":[{"id":6,"product_id":2}]}`)
	if p.ID != 2 || p.Title.Value() != "b" || len(p.Variants.Value()) != 1 || p.Variants.Value()[0].ID != 6 {
		t.Errorf("%+v", p)
	}
}

func TestDecodeKeepsNothingOfTheBody(t *testing.T) {
	body := typicalBody()
	c, err := Decode(ProductsUpdate, body)
	if err != nil {
		t.Fatal(err)
	}
	before := c.Product.ContentHash()
	for i := range body {
		body[i] = 'x'
	}
	if c.Product.ContentHash() != before {
		t.Error("the product changed with the body")
	}
}

func TestDecodeLeavesTheBodyAlone(t *testing.T) {
	for _, topic := range Topics() {
		body := typicalBody()
		Decode(topic, body)
		if string(body) != string(typicalBody()) {
			t.Errorf("%s: the body changed", topic)
		}
	}
}

func TestDecodeMayBeCalledFromManyGoroutines(t *testing.T) {
	want := decodeProduct(t, string(typicalBody())).ContentHash()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if (g+i)%3 == 0 {
					Decode(ProductsUpdate, []byte(`{"id":1,"title":"other","variants":[{"id":1,"price":"x"}]}`))
				}
				c, err := Decode(ProductsUpdate, typicalBody())
				if err != nil || c.Product.ContentHash() != want {
					t.Errorf("decode: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestProductOfABodyThatIsNotApplied(t *testing.T) {
	for _, tt := range []struct {
		name  string
		topic Topic
		body  string
		want  int64
	}{
		{"a title that is no text", ProductsUpdate, `{"id":5,"title":{"a":1}}`, 5},
		{"a deletion with more than an id", ProductsDelete, `{"id":5,"title":"x"}`, 5},
		{"a product under the topic of inventory", InventoryLevelsUpdate, `{"id":5,"admin_graphql_api_id":"gid:\/\/shopify\/Product\/5"}`, 5},
		{"the global id alone", ProductsUpdate, `{"admin_graphql_api_id":"gid://shopify/Product/5"}`, 5},
		{"an id under the topic of inventory", InventoryLevelsUpdate, `{"id":5}`, 0},
		{"something else's global id", ProductsUpdate, `{"id":5,"admin_graphql_api_id":"gid://shopify/Order/5"}`, 0},
		{"two ids", ProductsUpdate, `{"id":5,"admin_graphql_api_id":"gid://shopify/Product/6"}`, 0},
		{"an id that is no number", ProductsUpdate, `{"id":"five"}`, 0},
		{"no id", ProductsUpdate, `{"title":"x"}`, 0},
		{"a list", ProductsUpdate, `[{"id":5}]`, 0},
		{"no JSON", ProductsUpdate, `{"id":5`, 0},
		{"nothing", ProductsUpdate, ``, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ProductOf(tt.topic, []byte(tt.body)); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestACategoryIsKeptByItsFullName(t *testing.T) {
	for body, want := range map[string]Field[string]{
		`{"full_name":"Animals \u003e Pets","name":"Pets","admin_graphql_api_id":"gid://shopify/TaxonomyCategory/ap-2"}`: Of("Animals > Pets"),
		`null`: Null[string](), `{"full_name":null}`: Null[string](), `{"name":"Pets"}`: {}, `{}`: {},
	} {
		if p := decodeProduct(t, `{"id":1,"title":"a","category":`+body+`,"vendor":"b"}`); p.Category != want || p.Vendor.Value() != "b" {
			t.Errorf("%s: category %+v, vendor %v", body, p.Category, p.Vendor)
		}
	}
	if _, err := Decode(ProductsUpdate, []byte(`{"id":1,"title":"a","category":5}`)); err == nil {
		t.Error("a number is taken for a category")
	}
}
