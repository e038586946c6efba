package catalog

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEveryFormOfOneContentHasOneHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProduct.Draw(t, "product")
		other := otherForm(t, p)
		if p.ContentHash() != other.ContentHash() {
			t.Fatalf("%+v\n%+v", p, other)
		}
		if diff := append(p.Diff(other), other.Diff(p)...); diff != nil {
			t.Fatalf("equal products differ: %v", diff)
		}
	})
}

func TestHashesDifferExactlyWhenADiffIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := filled(drawProduct.Draw(t, "a"))
		b := filled(drawProduct.Draw(t, "b"))
		if rapid.Bool().Draw(t, "nearly the same") {
			b = Merge(nil, a)
			mutate(t, b)
		}
		diff := a.Diff(b)
		if (len(diff) == 0) != (a.ContentHash() == b.ContentHash()) {
			t.Fatalf("hashes equal: %t, diff %v\n%+v\n%+v", a.ContentHash() == b.ContentHash(), diff, a, b)
		}
		back := b.Diff(a)
		if len(back) != len(diff) {
			t.Fatalf("%v one way, %v the other", diff, back)
		}
		for i, d := range diff {
			if d.Path == "" || d.Old == d.New || back[i].Old != d.New || back[i].New != d.Old || back[i].Path != d.Path {
				t.Fatalf("%+v one way, %+v the other", d, back[i])
			}
		}
	})
}

// mutate changes one thing in p, perhaps into what it was.
func mutate(t *rapid.T, p *Product) {
	list := p.Variants.Value()
	switch what := rapid.IntRange(0, 5).Draw(t, "what"); {
	case what == 0:
		p.Tags = Of(rapid.SliceOfN(drawTag, 0, 3).Draw(t, "tags"))
	case what == 1:
		p.Options = Of(drawOptions.Draw(t, "options"))
	case what == 2:
		p.Images = Of(drawImages.Draw(t, "images"))
	case what == 3 || len(list) == 0:
		p.PublishedAt = Of(drawInstant.Draw(t, "instant"))
	case what == 4:
		list[0].Price = Of(drawPrice.Draw(t, "price"))
	default:
		p.Variants = Of(list[1:])
	}
}

// TestEachFieldCountsOrIsLeftOutOnPurpose changes every field in turn. It finds
// them by reflection, so that one added later has to be decided about here.
func TestEachFieldCountsOrIsLeftOutOnPurpose(t *testing.T) {
	leftOut := []string{"Product.UpdatedAt", "Product.StockTotal", "Product.Named", "Product.SEOTitle", "Product.SEODescription", "Variant.WeightGrams", "Variant.ImageID", "Variant.UpdatedAt", "Variant.Tracked", "Variant.RequiresShipping"}
	older, newer := alike("1"), alike("2")
	check := func(in string, kind reflect.Type, change func(p *Product, field int)) {
		for i := range kind.NumField() {
			field := kind.Field(i)
			if field.Type.Kind() != reflect.Struct || field.Name == "Variants" {
				continue
			}
			p := alike("1")
			change(p, i)
			counts := !slices.Contains(leftOut, in+"."+field.Name)
			if (p.ContentHash() != older.ContentHash()) != counts || (len(older.Diff(p)) > 0) != counts || len(p.Diff(older)) > 1 {
				t.Errorf("%s.%s: hash differs %t, diff %v, want %t", in, field.Name, p.ContentHash() != older.ContentHash(), older.Diff(p), counts)
			}
		}
	}
	check("Product", reflect.TypeFor[Product](), func(p *Product, i int) {
		reflect.ValueOf(p).Elem().Field(i).Set(reflect.ValueOf(newer).Elem().Field(i))
	})
	check("Variant", reflect.TypeFor[Variant](), func(p *Product, i int) {
		reflect.ValueOf(&p.Variants.Value()[0]).Elem().Field(i).Set(reflect.ValueOf(newer.Variants.Value()[0]).Field(i))
	})
}

// alike returns a product in which every text is s and every number follows
// from it.
func alike(s string) *Product {
	text, number := Of(s), Of(int64(s[0]))
	return &Product{
		ID: 1, Title: text, BodyHTML: text, Vendor: text, ProductType: text, Handle: text, Tags: Of([]string{s}), Status: text,
		Options: Of([]Option{{Name: "o", Values: []string{s}}}), Images: Of([]Image{{Src: s}}),
		PublishedAt: number, CreatedAt: number, UpdatedAt: number, StockTotal: number, Named: Of([]VariantRef{{ID: int64(s[0])}}),
		TemplateSuffix: text, Category: text, SEOTitle: text, SEODescription: text,
		Variants: Of([]Variant{{
			ID: 5, Title: text, SKU: text, Barcode: text, Price: text, CompareAtPrice: text, Position: number, Option1: text,
			Option2: text, Option3: text, InventoryItemID: number, InventoryQuantity: number, InventoryPolicy: text,
			Taxable: Of(s == "1"), WeightGrams: number, ImageID: number, CreatedAt: number, UpdatedAt: number,
			Tracked: Of(s == "1"), RequiresShipping: Of(s == "1"),
		}}),
	}
}

func TestValuesCannotPoseAsTheirNeighbours(t *testing.T) {
	tags := func(tags ...string) *Product { return &Product{ID: 1, Tags: Of(tags)} }
	variant := func(v Variant) *Product { v.ID = 1; return &Product{ID: 1, Variants: Of([]Variant{v})} }
	alt := "b"
	products := []*Product{
		{ID: 1}, {ID: 2}, {ID: 1, Title: Of("ab")}, {ID: 1, Title: Of("a"), BodyHTML: Of("b")}, {ID: 1, BodyHTML: Of("ab")},
		{ID: 1, Vendor: Of("ab")}, {ID: 1, Handle: Of("ab")}, {ID: 1, Status: Of("ab")},
		tags("a", "b"), tags("a,b"), tags("ab"), tags("A", "b"),
		{ID: 1, Options: Of([]Option{{Name: "a", Values: []string{"b"}}})}, {ID: 1, Options: Of([]Option{{Name: "a"}, {Name: "b"}})},
		{ID: 1, Options: Of([]Option{{Name: "a", Values: []string{"b", "c"}}})}, {ID: 1, Options: Of([]Option{{Name: "a", Values: []string{"c", "b"}}})},
		{ID: 1, Images: Of([]Image{{Src: "a"}, {Src: "b"}})}, {ID: 1, Images: Of([]Image{{Src: "b"}, {Src: "a"}})}, {ID: 1, Images: Of([]Image{{Src: "a", Alt: &alt}})},
		{ID: 1, PublishedAt: Of(int64(0))}, {ID: 1, CreatedAt: Of(int64(0))}, {ID: 1, PublishedAt: Of(int64(1))},
		variant(Variant{}), variant(Variant{Price: Of("1")}), variant(Variant{CompareAtPrice: Of("1")}), variant(Variant{Price: Of("cheap")}),
		variant(Variant{SKU: Of("1")}), variant(Variant{Barcode: Of("1")}), variant(Variant{Title: Of("1")}),
		variant(Variant{Taxable: Of(true)}), variant(Variant{Taxable: Of(false)}), variant(Variant{InventoryQuantity: Of(int64(0))}),
		variant(Variant{InventoryQuantity: Of(int64(-1))}), variant(Variant{Position: Of(int64(0))}), variant(Variant{InventoryItemID: Of(int64(1))}),
		variant(Variant{Option1: Of("1")}), variant(Variant{Option2: Of("1")}), variant(Variant{Option3: Of("1")}),
		variant(Variant{InventoryPolicy: Of("deny")}), variant(Variant{CreatedAt: Of(int64(0))}),
	}
	seen := map[Hash]int{}
	for i, p := range products {
		h := p.ContentHash()
		if j, ok := seen[h]; ok {
			t.Errorf("products %d and %d have one hash", j, i)
		}
		seen[h] = i
		if len(h.String()) != 32 {
			t.Errorf("hash %q", h)
		}
	}
}

func TestALaterFieldIsHashedOnceItHasAValue(t *testing.T) {
	_, later := contentOf([]Kept[Product]{
		{Name: "text", At: func(p *Product) Cell { return &p.Title }, Hashed: true, Later: true},
		{Name: "shown only", At: func(p *Product) Cell { return &p.Vendor }, Later: true},
		{Name: "decimal", At: func(p *Product) Cell { return &p.Handle }, Form: Decimal, Hashed: true, Later: true},
		{Name: "instant", At: func(p *Product) Cell { return &p.PublishedAt }, Form: Instant, Hashed: true, Later: true},
		{Name: "list", At: func(p *Product) Cell { return &p.Tags }, Hashed: true, Later: true},
		{Name: "options", At: func(p *Product) Cell { return &p.Options }, Hashed: true, Later: true},
		{Name: "images", At: func(p *Product) Cell { return &p.Images }, Hashed: true, Later: true},
	})
	_, flag := contentOf([]Kept[Variant]{{Name: "text", At: func(v *Variant) Cell { return &v.Taxable }, Hashed: true, Later: true}})
	added := func(p Product, v Variant) string {
		var e encoder
		encodeLater(&e, "variant", 1, &v, flag)
		encodeLater(&e, "product", 1, &p, later)
		return string(e.buf)
	}
	for i, p := range []Product{{}, {Vendor: Of("v")}, {Title: Of(""), Handle: Of(""), Tags: Of([]string{}), Options: Of([]Option{}), Images: Of([]Image{})},
		{Title: Null[string](), Handle: Null[string](), PublishedAt: Null[int64](), Tags: Null[[]string](), Options: Null[[]Option](), Images: Null[[]Image]()}} {
		if got := added(p, Variant{Taxable: Null[bool]()}); got != "" {
			t.Errorf("product %d without a value adds %q", i, got)
		}
	}
	seen := map[string]bool{"": true}
	for i, got := range []string{added(Product{Title: Of("1")}, Variant{}), added(Product{Handle: Of("1")}, Variant{}), added(Product{Handle: Of("0")}, Variant{}),
		added(Product{PublishedAt: Of(int64(0))}, Variant{}), added(Product{PublishedAt: Of(int64(1))}, Variant{}), added(Product{Tags: Of([]string{"1"})}, Variant{}),
		added(Product{Options: Of([]Option{{}})}, Variant{}), added(Product{Images: Of([]Image{{}})}, Variant{}), added(Product{Title: Of("1"), Handle: Of("1")}, Variant{}),
		added(Product{}, Variant{Taxable: Of(false)}), added(Product{}, Variant{Taxable: Of(true)}), added(Product{Title: Of("\x00")}, Variant{})} {
		if seen[got] {
			t.Errorf("value %d adds %q as another one does", i, got)
		}
		seen[got] = true
	}
}

// TestWhatIsHashedSaysWhereItEnds: so what a later field adds behind it is never
// other content.
func TestWhatIsHashedSaysWhereItEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawProduct.Draw(t, "a")
		b := Merge(nil, a)
		mutate(t, b)
		var short, long encoder
		short.product(a)
		long.product(b)
		if !bytes.Equal(short.buf, long.buf) && (bytes.HasPrefix(long.buf, short.buf) || bytes.HasPrefix(short.buf, long.buf)) {
			t.Fatalf("%q begins like %q", long.buf, short.buf)
		}
	})
}

// TestTheHashOfAProductStaysTheSameForGood pins the encoding. When it has to
// change, hashVersion changes with it.
func TestTheHashOfAProductStaysTheSameForGood(t *testing.T) {
	p := decodeProduct(t, `{"id":788032119674292922,"title":"Shirt","body_html":"\u003cp\u003e","vendor":"Acme","product_type":"Shirts",
		"handle":"shirt","tags":"b, a","status":"active","published_at":"2026-01-01T02:00:00+02:00","created_at":null,
		"options":[{"name":"Size","position":1,"values":["S","M"]}],"images":[{"position":1,"src":"https:\/\/cdn.example\/a.jpg?v=1","alt":"front"}],
		"variants":[{"id":2,"price":"25.00","compare_at_price":"30","sku":"s","barcode":"1","position":1,"option1":"S","inventory_policy":"deny",
			"inventory_item_id":44,"inventory_quantity":-2,"taxable":true,"created_at":"2026-01-01T00:00:00Z"},{"id":1}]}`)
	if got, want := p.ContentHash().String(), "a547facea6e71aec6a728926d92835a5"; got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}

func TestWebhookAndGraphQLFormsHaveOneHash(t *testing.T) {
	webhook := decodeProduct(t, `{"id":7,"title":"Shirt","body_html":null,"vendor":"Acme","product_type":"","handle":"shirt",
		"tags":"b, a","status":"active","published_at":"2026-01-01T02:00:00+02:00","created_at":"2025-12-31T19:00:00-05:00",
		"updated_at":"2026-01-02T00:00:00Z","options":[{"id":1,"product_id":7,"name":"Size","position":1,"values":["S","M"]}],
		"images":[{"id":10,"position":1,"src":"https:\/\/cdn.example\/a.jpg?v=1","alt":null,"width":100,"height":50,"variant_ids":[2]}],
		"variants":[{"id":3,"price":"25","compare_at_price":null,"sku":"","position":2,"option1":"M","inventory_policy":"deny","image_id":null,"updated_at":"2026-01-02T00:00:00Z","taxable":true},
			{"id":2,"price":"25","compare_at_price":"30.00","sku":"s","position":1,"option1":"S","inventory_policy":"continue","image_id":10,"updated_at":"2026-01-02T00:00:00Z","taxable":true}]}`)
	at := Of(int64(1767225600000))
	graphQL := &Product{ID: 7, Title: Of("Shirt"), BodyHTML: Of(""), Vendor: Of("Acme"), ProductType: Of(""), Handle: Of("shirt"),
		Tags: Of([]string{"a", "b"}), Status: Of("ACTIVE"), PublishedAt: at, CreatedAt: at, UpdatedAt: Of(int64(1767399999000)),
		Options: Of([]Option{{ID: 1, Name: "Size", Position: 1, Values: []string{"S", "M"}}}),
		Images:  Of([]Image{{ID: 99, Src: "https://cdn.example/a.jpg?v=1"}}),
		Variants: Of([]Variant{
			{ID: 2, Price: Of("25.00"), CompareAtPrice: Of("30.0"), SKU: Of("s"), Position: Of(int64(1)), Option1: Of("S"), InventoryPolicy: Of("CONTINUE"), Taxable: Of(true), WeightGrams: Of(int64(200))},
			{ID: 3, Price: Of("25.00"), CompareAtPrice: Null[string](), SKU: Null[string](), Position: Of(int64(2)), Option1: Of("M"), InventoryPolicy: Of("DENY"), Taxable: Of(true)},
		})}
	if webhook.ContentHash() != graphQL.ContentHash() {
		t.Errorf("different hashes; %v", webhook.Diff(graphQL))
	}
}

func TestDiffNamesEachField(t *testing.T) {
	a := decodeProduct(t, `{"id":1,"title":"a","status":"active","tags":"x, y","published_at":null,"vendor":"only here",
		"options":[{"name":"Size","position":1,"values":["S"]}],"images":[{"src":"a","position":1},{"src":"b","position":2}],
		"variants":[{"id":1,"price":"1.00","taxable":true,"inventory_quantity":5},{"id":2}]}`)
	b := decodeProduct(t, `{"id":1,"title":"b","status":"draft","tags":"y","published_at":"2026-01-01T00:00:00Z","handle":"only there",
		"options":[{"name":"Size","position":1,"values":["S","M"]}],"images":[{"src":"a","position":1,"alt":"x"}],
		"variants":[{"id":1,"price":"1.50","taxable":false,"inventory_quantity":null},{"id":3}]}`)
	want := []FieldDiff{
		{"title", "a", "b"}, {"tags", `"x", "y"`, `"y"`}, {"status", "active", "draft"}, {"options[1].values", `"S"`, `"S", "M"`},
		{"images[1].alt", "", "x"}, {"images[2]", "present", "missing"}, {"published_at", "", "2026-01-01T00:00:00Z"},
		{"variants[1].price", "1", "1.5"}, {"variants[1].inventory_quantity", "5", ""}, {"variants[1].taxable", "true", "false"},
		{"variants[2]", "present", "missing"}, {"variants[3]", "missing", "present"},
	}
	if got := a.Diff(b); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestWhatIsNotHashedIsComparedByItself(t *testing.T) {
	older, newer := alike("1"), alike("2")
	var want []FieldDiff
	for _, path := range []string{"seo_title", "seo_description"} {
		want = append(want, FieldDiff{path, "1", "2"})
	}
	for _, name := range []string{"weight_grams", "image_id"} {
		want = append(want, FieldDiff{"variants[5]." + name, "49", "50"})
	}
	for _, name := range []string{"tracked", "requires_shipping"} {
		want = append(want, FieldDiff{"variants[5]." + name, "true", "false"})
	}
	if wrong, unknown := older.Unhashed(newer); !reflect.DeepEqual(wrong, want) || unknown {
		t.Errorf("got  %v\nwant %v; %t", wrong, want, unknown)
	}
	newer.Variants = Of([]Variant{{ID: 6, WeightGrams: Of(int64(1))}}) // another variant, and nothing of the product
	newer.SEOTitle, newer.SEODescription = Field[string]{}, Of("1")
	if wrong, unknown := older.Unhashed(newer); len(wrong) != 0 || unknown {
		t.Errorf("%v, %t", wrong, unknown)
	}
	older.SEOTitle, newer.SEOTitle = Null[string](), Of("") // GraphQL may say either
	if wrong, unknown := older.Unhashed(newer); len(wrong) != 0 || unknown {
		t.Errorf("%v, %t", wrong, unknown)
	}
	newer.SEOTitle = Of("new")
	if wrong, unknown := older.Unhashed(newer); len(wrong) != 0 || !unknown {
		t.Errorf("%v, %t", wrong, unknown)
	}
}

func TestDiffIgnoresVariantsThatATruncatedSideDoesNotCarry(t *testing.T) {
	stored := &Product{ID: 1, Variants: Of([]Variant{{ID: 5}, {ID: 6}})}
	truncated := &Product{ID: 1, Variants: Of([]Variant{{ID: 5}}), Coverage: Truncated}
	if d := stored.Diff(truncated); d != nil {
		t.Errorf("%v", d)
	}
	if d := truncated.Diff(stored); d != nil {
		t.Errorf("%v", d)
	}
	whole := &Product{ID: 1, Variants: Of([]Variant{{ID: 5}}), Coverage: Partial, VariantsComplete: true}
	if d := stored.Diff(whole); len(d) != 1 || d[0].Path != "variants[6]" || d[0].New != "missing" {
		t.Errorf("%v", d)
	}
	if d := truncated.Diff(&Product{ID: 1, Variants: Of([]Variant{})}); len(d) != 1 || d[0].Path != "variants[5]" {
		t.Errorf("a variant that is gone is not reported: %v", d)
	}
}

func TestHashAndDiffLeaveTheProductAlone(t *testing.T) {
	p := decodeProduct(t, `{"id":1,"tags":"b, a","variants":[{"id":9},{"id":3}],"images":[{"src":"b","position":2},{"src":"a","position":1}]}`)
	p.ContentHash()
	p.Diff(p)
	if !slices.Equal(p.Tags.Value(), []string{"b", "a"}) || p.Variants.Value()[0].ID != 9 || p.Images.Value()[0].Src != "b" {
		t.Errorf("%+v", p)
	}
}

func TestAHugeProductIsHashedLikeASmallOne(t *testing.T) {
	p := &Product{ID: 1, BodyHTML: Of(strings.Repeat("x", 1<<20))}
	first := p.ContentHash()
	if p.ContentHash() != first {
		t.Error("not stable")
	}
}
