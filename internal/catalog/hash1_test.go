package catalog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The encoding that stored hashes are of, as it was written before there was a
// table of fields: what the table gives has to be the same bytes. Fields marked
// Later are not in it.

// FuzzStoredHashesStay compares the two over products of every shape.
func FuzzStoredHashesStay(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(sameEncoding))
}

func TestStoredHashesStay(t *testing.T) { rapid.Check(t, sameEncoding) }

func sameEncoding(t *rapid.T) {
	p := drawProduct.Draw(t, "product")
	forgetLater(p, ProductFields)
	p.ID = rapid.Int64().Draw(t, "id")
	p.BodyHTML = drawField(t, "any text", rapid.String())
	p.CreatedAt = drawField(t, "any instant", rapid.Int64())
	for i := range p.Variants.Value() {
		v := &p.Variants.Value()[i]
		forgetLater(v, VariantFields)
		v.ID = rapid.Int64().Draw(t, "variant id")
		v.Price = drawField(t, "any price", rapid.String())
		v.InventoryPolicy = drawField(t, "any policy", rapid.String())
		v.InventoryItemID = drawField(t, "any item", rapid.Int64())
	}
	var was encoder1
	var is encoder
	was.product(p)
	is.product(p)
	if !bytes.Equal(was.buf, is.buf) {
		t.Fatalf("%q became %q", was.buf, is.buf)
	}
}

// forgetLater makes the fields absent that came after the first hashes.
func forgetLater[T any](of *T, fields []Kept[T]) {
	for i := range fields {
		if fields[i].Later {
			fields[i].At(of).set(fields[i].At(new(T)))
		}
	}
}

// encoder1 writes the content of a product field by field.
type encoder1 struct {
	buf   []byte
	texts []string
	order []int32
}

func (e *encoder1) product(p *Product) {
	e.int(p.ID)
	e.textField(p.Title)
	e.textField(p.BodyHTML)
	e.textField(p.Vendor)
	e.textField(p.ProductType)
	e.textField(p.Handle)
	e.tags(p.Tags)
	e.lowerField(p.Status)
	e.optionList(p.Options)
	e.imageList(p.Images)
	e.intField(p.PublishedAt)
	e.intField(p.CreatedAt)
	list := p.Variants.Value()
	order := e.sorted(len(list), func(a, b int32) int { return cmp.Compare(list[a].ID, list[b].ID) })
	e.count(len(list))
	for _, i := range order {
		e.variant(&list[i])
	}
}

func (e *encoder1) variant(v *Variant) {
	e.int(v.ID)
	e.textField(v.Title)
	e.textField(v.SKU)
	e.textField(v.Barcode)
	e.decimalField(v.Price)
	e.decimalField(v.CompareAtPrice)
	e.intField(v.Position)
	e.textField(v.Option1)
	e.textField(v.Option2)
	e.textField(v.Option3)
	e.intField(v.InventoryItemID)
	e.intField(v.InventoryQuantity)
	e.lowerField(v.InventoryPolicy)
	e.boolField(v.Taxable)
	e.intField(v.CreatedAt)
}

func (e *encoder1) tags(f Field[[]string]) {
	e.texts = appendTagSet(e.texts[:0], f.Value())
	e.count(len(e.texts))
	for _, tag := range e.texts {
		e.text(tag)
	}
	e.texts = drop(e.texts)
}

func (e *encoder1) optionList(f Field[[]Option]) {
	list := f.Value()
	order := e.sorted(len(list), func(a, b int32) int { return cmp.Compare(list[a].Position, list[b].Position) })
	e.count(len(list))
	for _, i := range order {
		e.text(list[i].Name)
		e.count(len(list[i].Values))
		for _, value := range list[i].Values {
			e.text(value)
		}
	}
}

func (e *encoder1) imageList(f Field[[]Image]) {
	list := f.Value()
	order := e.sorted(len(list), func(a, b int32) int { return cmp.Compare(list[a].Position, list[b].Position) })
	e.count(len(list))
	for _, i := range order {
		e.text(list[i].Src)
		if list[i].Alt != nil {
			e.text(*list[i].Alt)
		} else {
			e.text("")
		}
	}
}

// sorted returns 0..n-1 in the order that compare asks for, equal ones as they
// stand. It is valid until the next call.
func (e *encoder1) sorted(n int, compare func(a, b int32) int) []int32 {
	e.order = e.order[:0]
	for i := range n {
		e.order = append(e.order, int32(i))
	}
	slices.SortStableFunc(e.order, compare)
	return e.order
}

func (e *encoder1) count(n int) { e.buf = binary.AppendUvarint(e.buf, uint64(n)) }

func (e *encoder1) int(n int64) { e.buf = binary.AppendVarint(e.buf, n) }

// text needs no mark: an empty text is no text.
func (e *encoder1) text(s string) {
	e.count(len(s))
	e.buf = append(e.buf, s...)
}

func (e *encoder1) textField(f Field[string]) { e.text(f.Value()) }

func (e *encoder1) lowerField(f Field[string]) {
	s := f.Value()
	e.count(len(s))
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		e.buf = append(e.buf, c)
	}
}

func (e *encoder1) intField(f Field[int64]) {
	n, ok := f.Get()
	if !ok {
		e.buf = append(e.buf, markNone)
		return
	}
	e.buf = append(e.buf, markValue)
	e.int(n)
}

func (e *encoder1) boolField(f Field[bool]) {
	switch v, ok := f.Get(); {
	case !ok:
		e.buf = append(e.buf, markNone)
	case v:
		e.buf = append(e.buf, markValue, 1)
	default:
		e.buf = append(e.buf, markValue, 0)
	}
}

func (e *encoder1) decimalField(f Field[string]) {
	s := f.Value()
	if s == "" {
		e.buf = append(e.buf, markNone)
		return
	}
	e.buf = append(e.buf, markValue)
	e.text(canonicalPrice1(s))
}

func canonicalPrice1(s string) string {
	if text, ok := CanonicalDecimal(s); ok {
		return text
	}
	return s
}
