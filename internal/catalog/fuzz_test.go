package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDecode holds Decode to its promises on any body under any topic, and
// compares what it reads with the standard library's slow but independent
// reading.
func FuzzDecode(f *testing.F) {
	f.Add("products/update", []byte(`{"id":1,"title":"t"}`))
	f.Add("products/delete", []byte(`{"id":1}`))
	f.Add("Product", []byte(`{"topic":"Product","action":"update","fields_changed":{"updated":["product[id: 'gid:\/\/shopify\/Product\/1'].variants[id: 'x].y'].price"]},"query_variables":{"productId":null}}`))
	f.Add("Location", []byte(`{"topic":"Location","query_errors":[{}],"fields_changed":[]}`))
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		before := bytes.Clone(body)
		c, err := Decode(Topic(topic), body)
		if !bytes.Equal(before, body) {
			t.Fatal("the body changed")
		}
		if err != nil {
			checkRefusal(t, Topic(topic), body, c, err)
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatal("accepts what is not JSON")
		}
		if c.Topic != Topic(topic) || c.Kind != c.Topic.Kind() || c.Kind == 0 {
			t.Fatalf("topic %q, kind %d", c.Topic, c.Kind)
		}
		switch c.Kind {
		case Upsert, Delete, Inventory, BulkFinished, ProductEvent, ItemEvent:
			if c.ID <= 0 {
				t.Fatalf("id %d", c.ID)
			}
		case OtherEvent:
		default:
			if c.ID != 0 {
				t.Fatalf("id %d", c.ID)
			}
		}
		if (c.Product != nil) != (c.Kind == Upsert) || (c.Scopes != nil) != (c.Kind == ScopesChanged) || (c.Status != "") != (c.Kind == BulkFinished) {
			t.Fatalf("%+v", c)
		}
		if (c.What != "") != c.Kind.Event() || len(c.What) > 1200 || strings.ContainsFunc(c.What, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("what happened: %q", c.What)
		}
		if c.Product == nil {
			return
		}
		if c.Product.ID != c.ID {
			t.Fatalf("id %d of product %d", c.ID, c.Product.ID)
		}
		checkProduct(t, c.Product)
		compareWithLibrary(t, c.Product, body)
	})
}

func checkRefusal(t *testing.T, topic Topic, body []byte, c Change, err error) {
	malformed, isMalformed := errors.AsType[*MalformedError](err)
	mismatch, isMismatch := errors.AsType[*MismatchError](err)
	var reason string
	switch {
	case isMalformed:
		reason = malformed.Reason
	case isMismatch:
		reason = mismatch.Reason
	default:
		t.Fatalf("an error of type %T", err)
	}
	if len(reason) == 0 || len(reason) > 120 || strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("reason %q", reason)
	}
	if topic.Kind() != 0 && isMismatch && !json.Valid(body) {
		t.Fatalf("a mismatch for what is not JSON: %v", err)
	}
	if c.Kind != 0 || c.Product != nil {
		t.Fatalf("an error and a change: %+v", c)
	}
}

func checkProduct(t *testing.T, p *Product) {
	ids := map[int64]bool{}
	for _, v := range p.Variants.Value() {
		if v.ID <= 0 || ids[v.ID] {
			t.Fatalf("variant id %d", v.ID)
		}
		ids[v.ID] = true
		for _, price := range []Field[string]{v.Price, v.CompareAtPrice} {
			if s, ok := price.Get(); ok {
				if _, ok := CanonicalDecimal(s); !ok {
					t.Fatalf("price %q", s)
				}
			}
		}
		for _, id := range []Field[int64]{v.InventoryItemID, v.ImageID} {
			if n, ok := id.Get(); ok && n <= 0 {
				t.Fatalf("id %d", n)
			}
		}
	}
	for _, ref := range p.Named.Value() {
		if ref.ID <= 0 {
			t.Fatalf("named variant %d", ref.ID)
		}
		if !ids[ref.ID] && (p.Coverage != Truncated || p.VariantsComplete) {
			t.Fatalf("variant %d is not carried, yet %s", ref.ID, p.Coverage)
		}
	}
	if p.Coverage < Complete || p.Coverage > Partial || p.VariantsComplete && (p.Coverage == Truncated || p.Variants.value == nil && p.Variants.state != fieldValue) {
		t.Fatalf("%s, complete %t", p.Coverage, p.VariantsComplete)
	}
	for _, tag := range p.Tags.Value() {
		if tag == "" || tag != strings.Trim(tag, " \t\r\n") {
			t.Fatalf("tag %q", tag)
		}
	}
	if d := p.Diff(p); d != nil {
		t.Fatalf("differs from itself: %v", d)
	}
	if Merge(p, p).ContentHash() != p.ContentHash() || Merge(nil, p).ContentHash() != p.ContentHash() {
		t.Fatal("a merge changed it")
	}
}

// compareWithLibrary reads the texts and ids of a product body again through
// encoding/json, whose map keeps the last of a repeated name as well.
func compareWithLibrary(t *testing.T, p *Product, body []byte) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		t.Fatalf("the library refuses it: %v", err)
	}
	text := func(from map[string]json.RawMessage, name string, got Field[string]) {
		raw, there := from[name]
		if there != got.Present() {
			t.Fatalf("%s is there: %t, decoded %t", name, there, got.Present())
		}
		var want *string
		if there {
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if (want != nil) != (got.state == fieldValue) || want != nil && *want != got.Value() {
			t.Fatalf("%s: got %q, want %s", name, got.Value(), raw)
		}
	}
	text(top, "title", p.Title)
	text(top, "body_html", p.BodyHTML)
	text(top, "vendor", p.Vendor)
	text(top, "product_type", p.ProductType)
	text(top, "handle", p.Handle)
	if raw, ok := top["id"]; ok && string(raw) != "null" {
		if n, err := strconv.ParseInt(strings.Trim(unescape(t, raw), `"`), 10, 64); err != nil || n != p.ID {
			t.Fatalf("id %d, want %s", p.ID, raw)
		}
	}
	list, carries := p.Variants.Get()
	if !carries {
		return
	}
	var variants []map[string]json.RawMessage
	if err := json.Unmarshal(top["variants"], &variants); err != nil || len(variants) != len(list) {
		t.Fatalf("%d variants, want %d: %v", len(list), len(variants), err)
	}
	for i, v := range variants {
		text(v, "title", list[i].Title)
		text(v, "sku", list[i].SKU)
		text(v, "barcode", list[i].Barcode)
		text(v, "option1", list[i].Option1)
		text(v, "option2", list[i].Option2)
		text(v, "option3", list[i].Option3)
		price, _ := list[i].Price.Get()
		if want := strings.Trim(unescape(t, v["price"]), `"`); price != want && !(price == "" && want == "null") {
			t.Fatalf("price %q, want %q", price, want)
		}
	}
	if named, ok := p.Named.Get(); ok && len(named) > 0 && len(list) > 0 && p.Coverage != Truncated {
		if !slices.ContainsFunc(named, func(ref VariantRef) bool { return ref.ID == list[0].ID }) {
			t.Fatalf("variant %d is not named, yet %s", list[0].ID, p.Coverage)
		}
	}
}

// unescape undoes the escapes of a raw JSON text; other values stay.
func unescape(t *testing.T, raw json.RawMessage) string {
	var s string
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	return string(raw)
}
