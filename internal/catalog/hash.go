package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"
)

// Hash is the fingerprint of a product's content.
type Hash [16]byte

// String returns the hash as 32 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// hashVersion stands at the start of what is hashed. Raise it when the encoding
// changes, so that old hashes differ instead of agreeing by accident.
const hashVersion = "stockroom content 1\n"

// ContentHash returns the fingerprint of the product's canonical content: the
// first 16 bytes of SHA-256 over an encoding in which every value has its
// length before it. Webhook, GraphQL and bulk forms of one product in one state
// have the same hash.
//
// Canonical means: absent, null, an empty text and an empty list are one
// (GraphQL answers "" where webhooks say null); decimals as CanonicalDecimal has
// them; tags as a sorted set; instants in UTC; status and inventory policy in
// lower case (GraphQL shouts); options and images in the order of their
// positions; variants in the order of their ids.
//
// Left out on purpose: updated_at of product and variants, which moves without
// any content moving; weight, which webhooks no longer carry; ids of options
// and images, image sizes and the links between images and variants, since
// GraphQL does not number every image. Positions of options and images count by
// their order alone, because GraphQL media have no number.
func (p *Product) ContentHash() Hash {
	e := encoders.Get().(*encoder)
	e.buf = append(e.buf[:0], hashVersion...)
	e.product(p)
	sum := sha256.Sum256(e.buf)
	e.release()
	return Hash(sum[:len(Hash{})])
}

// encoder builds the canonical encoding. It is memory to work in, no state.
type encoder struct {
	buf   []byte
	texts []string
	order []int32
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

func (e *encoder) release() {
	const large = 64 << 10
	e.buf = recycle(e.buf[:0], large)
	e.texts = recycle(e.texts, 256)
	e.order = recycle(e.order, 4096)
	encoders.Put(e)
}

func (e *encoder) product(p *Product) {
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
	order := e.sorted(len(list), func(a, b int32) int { return compareInt(list[a].ID, list[b].ID) })
	e.count(len(list))
	for _, i := range order {
		e.variant(&list[i])
	}
}

func (e *encoder) variant(v *Variant) {
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

func (e *encoder) tags(f Field[[]string]) {
	e.texts = appendTagSet(e.texts[:0], f.Value())
	e.count(len(e.texts))
	for _, tag := range e.texts {
		e.text(tag)
	}
	e.texts = drop(e.texts)
}

// appendTagSet appends the canonical set of tags: trimmed, sorted, each once.
func appendTagSet(dst, tags []string) []string {
	for _, tag := range tags {
		if tag = trimBlanks(tag); tag != "" {
			dst = append(dst, tag)
		}
	}
	slices.Sort(dst)
	return slices.Compact(dst)
}

func (e *encoder) optionList(f Field[[]Option]) {
	list := f.Value()
	order := e.sorted(len(list), func(a, b int32) int { return compareInt(list[a].Position, list[b].Position) })
	e.count(len(list))
	for _, i := range order {
		e.text(list[i].Name)
		e.count(len(list[i].Values))
		for _, value := range list[i].Values {
			e.text(value)
		}
	}
}

func (e *encoder) imageList(f Field[[]Image]) {
	list := f.Value()
	order := e.sorted(len(list), func(a, b int32) int { return compareInt(list[a].Position, list[b].Position) })
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
func (e *encoder) sorted(n int, compare func(a, b int32) int) []int32 {
	e.order = e.order[:0]
	for i := range n {
		e.order = append(e.order, int32(i))
	}
	slices.SortStableFunc(e.order, compare)
	return e.order
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Marks before values that may be missing.
const (
	markNone  = 0
	markValue = 1
)

func (e *encoder) count(n int) { e.buf = binary.AppendUvarint(e.buf, uint64(n)) }

func (e *encoder) int(n int64) { e.buf = binary.AppendVarint(e.buf, n) }

// text needs no mark: an empty text is no text.
func (e *encoder) text(s string) {
	e.count(len(s))
	e.buf = append(e.buf, s...)
}

func (e *encoder) textField(f Field[string]) { e.text(f.Value()) }

func (e *encoder) lowerField(f Field[string]) {
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

func (e *encoder) intField(f Field[int64]) {
	n, ok := f.Get()
	if !ok {
		e.buf = append(e.buf, markNone)
		return
	}
	e.buf = append(e.buf, markValue)
	e.int(n)
}

func (e *encoder) boolField(f Field[bool]) {
	switch v, ok := f.Get(); {
	case !ok:
		e.buf = append(e.buf, markNone)
	case v:
		e.buf = append(e.buf, markValue, 1)
	default:
		e.buf = append(e.buf, markValue, 0)
	}
}

func (e *encoder) decimalField(f Field[string]) {
	s := f.Value()
	if s == "" {
		e.buf = append(e.buf, markNone)
		return
	}
	e.buf = append(e.buf, markValue)
	e.text(canonicalPrice(s))
}

// canonicalPrice returns the canonical text of a price. What is no decimal
// number, which no decoder lets through, stands for itself.
func canonicalPrice(s string) string {
	if text, ok := CanonicalDecimal(s); ok {
		return text
	}
	return s
}
