package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

const testShop = "test-shop.myshopify.com"

// bench is an open store with what tests need around it.
type bench struct {
	t      testing.TB
	s      *Store
	path   string
	n      int64
	faults atomic.Pointer[func(point string) error] // what fails; the writer asks at any time
}

func open(t testing.TB, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "products.db")}
	b.reopen(change...)
	t.Cleanup(func() { b.s.Close() })
	return b
}

// fail has the store fail at some points; nil: at none.
func (b *bench) fail(at func(point string) error) {
	if at == nil {
		b.faults.Store(nil)
		return
	}
	b.faults.Store(&at)
}

func (b *bench) reopen(change ...func(*Options)) {
	b.t.Helper()
	if b.s != nil {
		if err := b.s.Close(); err != nil {
			b.t.Fatalf("close: %v", err)
		}
	}
	o := Options{Path: b.path, Fault: func(point string) error {
		if fail := b.faults.Load(); fail != nil {
			return (*fail)(point)
		}
		return nil
	}}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	s.bulkTime = time.Minute // a slow machine must not split a small batch
	b.s = s
}

// product returns a complete product whose title names its version.
func product(id int64, version string, updated int64, prices ...string) *catalog.Product {
	p := &catalog.Product{
		ID: id, Title: catalog.Of("Shirt " + version), BodyHTML: catalog.Of("<p>soft</p>"), Vendor: catalog.Of("Acme"),
		ProductType: catalog.Of("Shirts"), Handle: catalog.Of("shirt"), Tags: catalog.Of([]string{"summer"}),
		Status: catalog.Of("active"), Options: catalog.Of([]catalog.Option{{Name: "Size", Position: 1, Values: []string{"S"}}}),
		Images: catalog.Of([]catalog.Image{}), PublishedAt: catalog.Of[int64](1000), CreatedAt: catalog.Of[int64](1000),
		TemplateSuffix: catalog.Null[string](), Category: catalog.Null[string](),
		UpdatedAt: catalog.Of(updated), Coverage: catalog.Complete, VariantsComplete: true,
	}
	var list []catalog.Variant
	for i, price := range prices {
		list = append(list, variant(id*100+int64(i), price))
	}
	p.Variants = catalog.Of(list)
	return p
}

func variant(id int64, price string) catalog.Variant {
	null := catalog.Null[string]()
	return catalog.Variant{
		ID: id, Title: catalog.Of("S"), SKU: catalog.Of(fmt.Sprint("SKU-", id)), Barcode: null, Price: catalog.Of(price),
		CompareAtPrice: null, Position: catalog.Of[int64](1), Option1: catalog.Of("S"), Option2: null, Option3: null,
		InventoryItemID: catalog.Of(id + 7), InventoryQuantity: catalog.Of[int64](3), InventoryPolicy: catalog.Of("deny"),
		Taxable: catalog.Of(true), ImageID: catalog.Null[int64](), CreatedAt: catalog.Of[int64](1), UpdatedAt: catalog.Of[int64](1),
	}
}

func upsertOf(p *catalog.Product) catalog.Change {
	return catalog.Change{Topic: catalog.ProductsUpdate, Kind: catalog.Upsert, ID: p.ID, Product: p}
}

func deleteOf(id int64) catalog.Change {
	return catalog.Change{Topic: catalog.ProductsDelete, Kind: catalog.Delete, ID: id}
}

// delivery returns a fresh delivery; each has a webhook id of its own.
func (b *bench) delivery(c catalog.Change) Delivery {
	b.n++
	now := time.Now()
	return Delivery{Shop: testShop, Topic: string(c.Topic), WebhookID: fmt.Sprint("w", b.n), ReceivedAt: now, TriggeredAt: now, Dedupe: b.n}
}

func (b *bench) apply(c catalog.Change) Result { return b.deliver(b.delivery(c), c) }

func (b *bench) deliver(d Delivery, c catalog.Change) Result {
	b.t.Helper()
	res, err := b.s.Apply(context.Background(), d, c)
	if err != nil {
		b.t.Fatalf("apply: %v", err)
	}
	return res
}

func (b *bench) want(c catalog.Change, outcome Outcome) {
	b.t.Helper()
	if res := b.apply(c); res.Outcome != outcome {
		b.t.Fatalf("outcome %s (%s), want %s", res.Outcome, res.Reason, outcome)
	}
}

func (b *bench) product(id int64) ProductRow {
	b.t.Helper()
	p, err := b.s.Product(context.Background(), testShop, id)
	if err != nil {
		b.t.Fatalf("product %d: %v", id, err)
	}
	return p
}

// products returns the products of a shop, without their variants.
func (b *bench) products(shop string) []ProductRow {
	b.t.Helper()
	list, err := query(context.Background(), b.s, scanProduct, `SELECT `+productRowColumns()+` FROM products WHERE shop = ? ORDER BY id`, shop)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// variants returns those of a product by its internal id, also when it is gone.
func (b *bench) variants(id int64) []VariantRow {
	b.t.Helper()
	list, err := variants(context.Background(), b.s, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *bench) absent(id int64) {
	b.t.Helper()
	if p, err := b.s.Product(context.Background(), testShop, id); !errors.Is(err, ErrNotFound) {
		b.t.Fatalf("product %d is stored (%v, %v), want none", id, p.Title, err)
	}
}

func (b *bench) title(id int64, want string) {
	b.t.Helper()
	if got := b.product(id).Title.Value(); got != want {
		b.t.Fatalf("title %q, want %q", got, want)
	}
}

// kinds returns the change feed's kinds after seq.
func (b *bench) kinds(after int64) []string {
	b.t.Helper()
	list, _, err := b.s.Changes(context.Background(), after, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	kinds := []string{}
	for i, c := range list {
		if c.Seq != after+int64(i)+1 {
			b.t.Fatalf("the feed has a gap: seq %d after %d", c.Seq, after+int64(i))
		}
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

func (b *bench) wanted() []Wanted {
	b.t.Helper()
	list, err := b.s.WantedList(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *bench) selection(sel catalog.Selection) SelectionEffect {
	b.t.Helper()
	e, err := b.s.SetSelection(context.Background(), testShop, sel)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}
