package store

import (
	"encoding/json"
	"strings"
	"testing"

	"stockroom/internal/catalog"
)

// Every kept field is stored and shown by its name, and a row is read from the
// API's JSON as it was written.
func TestARowIsReadFromItsJSONAsItWasWritten(t *testing.T) {
	b := open(t)
	const text = "a<b>&c \u2028 \x01\x1f \"q\" \\ \r\n é 漢字 \U0001F600"
	alt := text
	p := product(1<<60+1, text, 10_000, "1", "2.50")
	p.Tags = catalog.Of([]string{text, ""})
	p.Options = catalog.Of([]catalog.Option{{ID: 1 << 61, Name: text, Position: 1, Values: []string{text}}, {Name: "x", Position: 2}})
	p.Images = catalog.Of([]catalog.Image{{ID: 1 << 62, Position: 1, Src: text, Alt: &alt, Width: 3, VariantIDs: []int64{1 << 60}}, {Position: 2}})
	p.PublishedAt = catalog.Null[int64]()
	p.Variants.Value()[0].WeightGrams, p.Variants.Value()[0].Taxable = catalog.Of[int64](1<<60), catalog.Of(false)
	b.want(upsertOf(p), Applied)
	row := b.product(p.ID)
	first, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	var back ProductRow
	if err := json.Unmarshal(first, &back); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(back); err != nil || string(again) != string(first) {
		t.Errorf("%v\n%s\n%s", err, first, again)
	}
	for _, k := range catalog.ProductFields {
		if !strings.Contains(string(first), `"`+k.ColumnName()+`":`) {
			t.Errorf("%s is not shown", k.Name)
		}
	}
	for _, k := range catalog.VariantFields {
		if !strings.Contains(string(first), `"`+k.ColumnName()+`":`) {
			t.Errorf("%s of variants is not shown", k.Name)
		}
	}
	for _, part := range []string{`"title":"Shirt a\u003cb\u003e\u0026c \u2028 \u0001`, `"published_at":null`, `"shopify_updated_at":"1970-01-01T00:00:10Z"`, `"weight_grams":1152921504606846976`, `"taxable":false`} {
		if !strings.Contains(string(first), part) {
			t.Errorf("%s is missing in %s", part, first)
		}
	}
}

// A list that another program has spoilt hides neither the rest of the product nor
// the other products; the API refuses to show it as if it were empty.
func TestAColumnThatCanNotBeReadIsNamed(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	err := b.s.write(t.Context(), b.s.urgent, 1, func(t *tx) error { return t.do("spoil", `UPDATE products SET tags = '["a'`) })
	if err != nil {
		t.Fatal(err)
	}
	b.title(1, "Shirt v1")
	row := b.product(1)
	if _, err := json.Marshal(row); err == nil || !strings.Contains(err.Error(), "product 1: column tags") || row.Unreadable() != "tags" {
		t.Errorf("%v, unreadable %q", err, row.Unreadable())
	}
}
