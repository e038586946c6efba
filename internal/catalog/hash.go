package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sort"
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
//
// Fields marked Later stand behind everything else, each with its name and what it
// belongs to, and only when it has a value: so a hash that was stored before the
// field was known stays right until the field says something. They cannot be taken
// for other content, since what stands before them says itself where it ends.
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
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

func (e *encoder) release() {
	const large = 64 << 10
	e.buf = recycle(e.buf[:0], large)
	e.texts = recycle(e.texts, 256)
	encoders.Put(e)
}

// The fields that are hashed, and those of them that came later.
var (
	productContent = sync.OnceValues(func() (first, later []Kept[Product]) { return contentOf(ProductFields) })
	variantContent = sync.OnceValues(func() (first, later []Kept[Variant]) { return contentOf(VariantFields) })
)

func contentOf[T any](fields []Kept[T]) (first, later []Kept[T]) {
	for _, k := range fields {
		switch {
		case k.Hashed && k.Later:
			later = append(later, k)
		case k.Hashed:
			first = append(first, k)
		}
	}
	return first, later
}

func (e *encoder) product(p *Product) {
	first, later := productContent()
	firstOfVariant, laterOfVariant := variantContent()
	e.int(p.ID)
	encode(e, p, first)
	list := inOrder(p.Variants.value, variantID)
	e.count(len(list))
	for i := range list {
		e.int(list[i].ID)
		encode(e, &list[i], firstOfVariant)
	}
	for i := range list {
		encodeLater(e, "variant", list[i].ID, &list[i], laterOfVariant)
	}
	encodeLater(e, "product", p.ID, p, later)
}

func encode[T any](e *encoder, of *T, fields []Kept[T]) {
	for i := range fields {
		e.cell(fields[i].At(of), fields[i].Form)
	}
}

// encodeLater writes those of the fields that have a value: what it is of, by its
// id, the field's name, the value.
func encodeLater[T any](e *encoder, what string, id int64, of *T, fields []Kept[T]) {
	for i := range fields {
		before := len(e.buf)
		e.text(what)
		e.int(id)
		e.text(fields[i].Name)
		value := len(e.buf)
		if e.cell(fields[i].At(of), fields[i].Form); len(e.buf) == value+1 && e.buf[value] == markNone {
			e.buf = e.buf[:before]
		}
	}
}

// cell writes a value. Of every type, no value is the one byte markNone, and no
// value is written like that. Most cells are texts and numbers, which a comparison
// each finds sooner than a type switch.
func (e *encoder) cell(c Cell, form Form) {
	if f, ok := c.(*Field[string]); ok && form == Exact {
		e.text(f.value)
	} else if ok {
		if form == Decimal && f.value != "" {
			e.buf = append(e.buf, markValue)
		}
		e.text(form.canonical(f.value))
	} else if f, ok := c.(*Field[int64]); ok {
		if f.state != fieldValue {
			e.buf = append(e.buf, markNone)
			return
		}
		e.buf = binary.AppendVarint(append(e.buf, markValue), f.value)
	} else {
		e.other(c)
	}
}

func (e *encoder) other(c Cell) {
	switch f := c.(type) {
	case *Field[bool]:
		switch {
		case f.state != fieldValue:
			e.buf = append(e.buf, markNone)
		case f.value:
			e.buf = append(e.buf, markValue, 1)
		default:
			e.buf = append(e.buf, markValue, 0)
		}
	case *Field[[]string]:
		e.texts = appendTagSet(e.texts[:0], f.value)
		e.list(e.texts)
		e.texts = drop(e.texts)
	case *Field[[]Option]:
		e.count(len(f.value))
		for _, o := range inOrder(f.value, optionPosition) {
			e.text(o.Name)
			e.list(o.Values)
		}
	case *Field[[]Image]:
		e.count(len(f.value))
		for _, m := range inOrder(f.value, imagePosition) {
			e.text(m.Src)
			e.text(altText(&m))
		}
	}
}

// canonical returns the one text that all equal ones have in this form. What is no
// decimal number, which no decoder lets through, stands for itself.
func (f Form) canonical(s string) string {
	switch f {
	case Lower:
		return lowerASCII(s)
	case Decimal:
		if text, ok := CanonicalDecimal(s); ok {
			return text
		}
	}
	return s
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

// What lists are ordered by.
func variantID(v *Variant) int64     { return v.ID }
func optionPosition(o *Option) int64 { return o.Position }
func imagePosition(m *Image) int64   { return m.Position }

// inOrder returns list in the order of key, equal elements as they stand. It
// copies only a list that is not in order yet.
func inOrder[T any](list []T, key func(*T) int64) []T {
	for i := 1; i < len(list); i++ {
		if key(&list[i]) < key(&list[i-1]) {
			list := slices.Clone(list)
			sort.SliceStable(list, func(i, j int) bool { return key(&list[i]) < key(&list[j]) })
			return list
		}
	}
	return list
}

// Marks before values that may be missing.
const (
	markNone  = 0
	markValue = 1
)

func (e *encoder) count(n int) { e.buf = binary.AppendUvarint(e.buf, uint64(n)) }

func (e *encoder) int(n int64) { e.buf = binary.AppendVarint(e.buf, n) }

func (e *encoder) text(s string) {
	e.buf = append(binary.AppendUvarint(e.buf, uint64(len(s))), s...)
}

func (e *encoder) list(texts []string) {
	e.count(len(texts))
	for _, s := range texts {
		e.text(s)
	}
}
