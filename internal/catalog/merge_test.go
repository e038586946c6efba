package catalog

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMergeKeepsWhatIsAbsentAndClearsWhatIsNull(t *testing.T) {
	old := decodeProduct(t, `{"id":1,"title":"a","vendor":"v","tags":"x","variants":[{"id":5,"sku":"s","price":"1","barcode":"b"},{"id":6}]}`)
	in := decodeProduct(t, `{"id":1,"title":"b","vendor":null,"variant_ids":[5,6,7],"variants":[{"id":5,"price":"2","barcode":null}]}`)
	p := Merge(old, in)
	if p.Title.Value() != "b" || !p.Vendor.IsNull() || !slices.Equal(p.Tags.Value(), []string{"x"}) {
		t.Errorf("%+v", p)
	}
	v := p.Variants.Value()
	if len(v) != 2 || v[0].ID != 5 || v[0].Price.Value() != "2" || v[0].SKU.Value() != "s" || !v[0].Barcode.IsNull() || v[1].ID != 6 {
		t.Errorf("variants %+v", v)
	}
	if len(p.Named.Value()) != 3 || p.Coverage != Truncated || p.VariantsComplete {
		t.Errorf("named %v, %s, complete %t", p.Named, p.Coverage, p.VariantsComplete)
	}
}

func TestOnlyACompleteListRemovesVariants(t *testing.T) {
	for body, want := range map[string][]int64{
		`{"id":1,"variants":[{"id":6},{"id":7}]}`:                       {6, 7},
		`{"id":1,"variants":[{"id":6},{"id":7}],"variant_ids":[6,7]}`:   {6, 7},
		`{"id":1,"variants":[{"id":6},{"id":7}],"variant_ids":[6,7,8]}`: {6, 7, 5},
		`{"id":1,"variants":[{"id":6},{"id":7}],"variant_ids":[6]}`:     {6, 7, 5},
		`{"id":1,"variants":null,"title":"t"}`:                          {5, 6},
		`{"id":1,"title":"t"}`:                                          {5, 6},
		`{"id":1,"title":"t","variant_ids":[6]}`:                        {5, 6},
	} {
		old := decodeProduct(t, `{"id":1,"variants":[{"id":5},{"id":6}]}`)
		var got []int64
		for _, v := range Merge(old, decodeProduct(t, body)).Variants.Value() {
			got = append(got, v.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s leaves %v, want %v", body, got, want)
		}
	}
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawProduct.Draw(t, "a"), drawProduct.Draw(t, "b"), drawProduct.Draw(t, "c")
		if got := Merge(nil, a); !reflect.DeepEqual(got, a) {
			t.Fatalf("onto nothing: %+v", got)
		}
		if got := Merge(a, nil); !reflect.DeepEqual(got, a) {
			t.Fatalf("nothing onto it: %+v", got)
		}
		if got := Merge(a, a); !reflect.DeepEqual(got, a) {
			t.Fatalf("onto itself: %+v", got)
		}
		ab := Merge(a, b)
		if again := Merge(ab, b); again.ContentHash() != ab.ContentHash() {
			t.Fatalf("twice is not once: %v", ab.Diff(again))
		}
		// A merge of b and c cannot pass on what b alone would remove from a.
		// As long as b removes nothing, the grouping does not matter.
		if !b.VariantsComplete {
			if left, right := Merge(ab, c), Merge(a, Merge(b, c)); left.ContentHash() != right.ContentHash() {
				t.Fatalf("not associative: %v", left.Diff(right))
			}
		}
	})
}

func TestMergeTakesEachFieldFromTheNewerOneThatHasIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, in := drawProduct.Draw(t, "old"), drawProduct.Draw(t, "in")
		p := Merge(old, in)
		// Walk over the fields by reflection, so that a field added later and
		// forgotten in Merge is found.
		checkFields(t, reflect.ValueOf(*p), reflect.ValueOf(*old), reflect.ValueOf(*in))
		for _, v := range p.Variants.Value() {
			older, newer := variantByID(old, v.ID), variantByID(in, v.ID)
			switch {
			case newer == nil && older == nil:
				t.Fatalf("variant %d comes from nowhere", v.ID)
			case newer == nil:
				newer = &Variant{ID: v.ID}
			case older == nil:
				older = &Variant{ID: v.ID}
			}
			checkFields(t, reflect.ValueOf(v), reflect.ValueOf(*older), reflect.ValueOf(*newer))
		}
	})
}

func variantByID(p *Product, id int64) *Variant {
	for i, v := range p.Variants.Value() {
		if v.ID == id {
			return &p.Variants.Value()[i]
		}
	}
	return nil
}

func checkFields(t *rapid.T, got, old, in reflect.Value) {
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		state := func(v reflect.Value) uint64 { return v.Field(i).FieldByName("state").Uint() }
		if got.Field(i).Kind() != reflect.Struct || name == "Variants" {
			continue
		}
		from := in
		if state(in) == uint64(fieldAbsent) {
			from = old
		}
		if !reflect.DeepEqual(got.Field(i).Interface(), from.Field(i).Interface()) {
			t.Fatalf("field %s is %v, want %v", name, got.Field(i), from.Field(i))
		}
	}
}

func TestMergeSharesNoSlice(t *testing.T) {
	fresh := func() *Product {
		alt := "alt"
		return &Product{ID: 1, Tags: Of([]string{"a"}), Options: Of([]Option{{Name: "o", Values: []string{"v"}}}),
			Images: Of([]Image{{Src: "s", Alt: &alt, VariantIDs: []int64{1}}}), Variants: Of([]Variant{{ID: 5, SKU: Of("s")}}),
			Named: Of([]VariantRef{{ID: 5}})}
	}
	for name, merged := range map[string]func(p *Product) *Product{
		"as the older": func(p *Product) *Product { return Merge(p, &Product{ID: 1}) },
		"as the newer": func(p *Product) *Product { return Merge(&Product{ID: 1}, p) },
		"as both":      func(p *Product) *Product { return Merge(p, p) },
		"alone":        func(p *Product) *Product { return Merge(nil, p) },
	} {
		p := fresh()
		out := merged(p)
		out.Tags.Value()[0] = "x"
		out.Options.Value()[0].Values[0] = "x"
		out.Options.Value()[0].Name = "x"
		*out.Images.Value()[0].Alt = "x"
		out.Images.Value()[0].VariantIDs[0] = 9
		out.Variants.Value()[0].SKU = Of("x")
		out.Named.Value()[0].ID = 9
		if !reflect.DeepEqual(p, fresh()) {
			t.Errorf("%s: the argument became %+v", name, p)
		}
	}
}

func TestMergeFindsVariantsInLongLists(t *testing.T) {
	var old, in []Variant
	for i := range 300 {
		old = append(old, Variant{ID: int64(i + 1), SKU: Of("old")})
	}
	for i := 299; i >= 200; i-- {
		in = append(in, Variant{ID: int64(i + 1), Price: Of("1")})
	}
	p := Merge(&Product{ID: 1, Variants: Of(old)}, &Product{ID: 1, Variants: Of(in)})
	list := p.Variants.Value()
	if len(list) != 300 || list[0].ID != 300 || list[0].SKU.Value() != "old" || list[0].Price.Value() != "1" || list[100].ID != 1 {
		t.Errorf("%d variants, first %+v", len(list), list[0])
	}
}
