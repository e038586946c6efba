package catalog

import (
	"slices"
	"strconv"
	"time"
)

// FieldDiff is one difference between two products. Old and New are canonical
// texts, "" for null. Where a whole variant, option or image is on one side
// only, that side says "present" and the other "missing".
type FieldDiff struct {
	// Path names the field: "title", "variants[123].price" with the variant's
	// id, "images[2].src" counted from 1 in the order of positions.
	Path string `json:"path"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

const (
	present = "present"
	missing = "missing"
)

// Diff compares the canonical content of p (Old) with other (New), the same
// content that ContentHash covers, and returns the differences: fields of the
// product first, then variants by id. A field absent on either side is skipped.
// A variant that one side lacks is skipped, too, when that side is known not
// to carry them all. Two products that carry every field differ in their
// hashes exactly when Diff finds something.
func (p *Product) Diff(other *Product) []FieldDiff {
	d := differ{content: true}
	if p.ID != other.ID {
		d.add("id", strconv.FormatInt(p.ID, 10), strconv.FormatInt(other.ID, 10))
	}
	compareFields(&d, p, other, ProductFields)
	d.variants(p, other)
	return d.found
}

// Unhashed compares what ContentHash leaves out, in the product and in the variants
// that both have. Deliveries carry little of it, so that what is stored may be
// unknown, or may have changed without a new version. wrong are the stored values
// that differ; unknown says that other brings some for the first time.
func (p *Product) Unhashed(other *Product) (wrong []FieldDiff, unknown bool) {
	var d differ
	compareFields(&d, p, other, ProductFields)
	d.variants(p, other)
	return d.found, d.unknown
}

// LacksContent reports whether p lacks a field of the product that ContentHash
// covers.
func (p *Product) LacksContent() bool {
	for i := range ProductFields {
		if k := &ProductFields[i]; k.Hashed && !k.At(p).Present() {
			return true
		}
	}
	return false
}

// differ gathers differences of the content, or of what is not hashed. While in is
// set, paths are those of a variant.
type differ struct {
	content bool
	found   []FieldDiff
	unknown bool // not of the content: the older side has no value
	in      int64
}

func (d *differ) add(path, older, newer string) {
	if d.in != 0 {
		path = variantPath(d.in) + "." + path
	}
	d.found = append(d.found, FieldDiff{Path: path, Old: older, New: newer})
}

func compareFields[T any](d *differ, a, b *T, fields []Kept[T]) {
	for i := range fields {
		k := &fields[i]
		if k.Hashed != d.content || k.Order {
			continue
		}
		before, older := len(d.found), k.At(a)
		d.cell(k.Name, k.Form, older, k.At(b))
		if !d.content && older.IsNull() && len(d.found) > before {
			d.found, d.unknown = d.found[:before], true
		}
	}
}

func (d *differ) cell(path string, form Form, older, newer Cell) {
	if a, ok := older.(*Field[string]); ok && a.value == newer.(*Field[string]).value {
		return // as most are
	}
	if !older.Present() || !newer.Present() {
		return
	}
	switch a := older.(type) {
	case *Field[string]:
		b := newer.(*Field[string])
		if x, y := form.canonical(a.value), form.canonical(b.value); x != y {
			d.add(path, x, y)
		}
	case *Field[int64]:
		if b := newer.(*Field[int64]); *a != *b {
			d.add(path, intText(a, form), intText(b, form))
		}
	case *Field[bool]:
		if b := newer.(*Field[bool]); *a != *b {
			d.add(path, boolText(a), boolText(b))
		}
	case *Field[[]string]:
		d.tags(path, a.value, newer.(*Field[[]string]).value)
	case *Field[[]Option]:
		compareLists(d, path, a.value, newer.(*Field[[]Option]).value, optionPosition, d.option)
	case *Field[[]Image]:
		compareLists(d, path, a.value, newer.(*Field[[]Image]).value, imagePosition, d.image)
	}
}

func intText(f *Field[int64], form Form) string {
	switch {
	case f.state != fieldValue:
		return ""
	case form == Instant:
		return time.UnixMilli(f.value).UTC().Format(time.RFC3339Nano)
	}
	return strconv.FormatInt(f.value, 10)
}

func boolText(f *Field[bool]) string {
	if f.state != fieldValue {
		return ""
	}
	return strconv.FormatBool(f.value)
}

func (d *differ) tags(path string, a, b []string) {
	if slices.Equal(a, b) {
		return
	}
	older, newer := appendTagSet(nil, a), appendTagSet(nil, b)
	if !slices.Equal(older, newer) {
		d.add(path, listText(older), listText(newer))
	}
}

// listText quotes every element, so that no two lists look alike.
func listText(list []string) string {
	if len(list) == 0 {
		return ""
	}
	var b []byte
	for i, s := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendQuote(b, s)
	}
	return string(b)
}

// compareLists compares what stands at the same place in the order of key.
func compareLists[T any](d *differ, path string, a, b []T, key func(*T) int64, compare func(path string, a, b *T)) {
	older, newer := inOrder(a, key), inOrder(b, key)
	for i := range max(len(older), len(newer)) {
		at := path + "[" + strconv.Itoa(i+1) + "]"
		switch {
		case i >= len(older):
			d.add(at, missing, present)
		case i >= len(newer):
			d.add(at, present, missing)
		default:
			compare(at, &older[i], &newer[i])
		}
	}
}

func (d *differ) option(path string, a, b *Option) {
	if a.Name != b.Name {
		d.add(path+".name", a.Name, b.Name)
	}
	if !slices.Equal(a.Values, b.Values) {
		d.add(path+".values", listText(a.Values), listText(b.Values))
	}
}

func (d *differ) image(path string, a, b *Image) {
	if a.Src != b.Src {
		d.add(path+".src", a.Src, b.Src)
	}
	if x, y := altText(a), altText(b); x != y {
		d.add(path+".alt", x, y)
	}
}

func altText(m *Image) string {
	if m.Alt == nil {
		return ""
	}
	return *m.Alt
}

func (d *differ) variants(p, other *Product) {
	if !p.Variants.Present() || !other.Variants.Present() {
		return
	}
	older, newer := inOrder(p.Variants.value, variantID), inOrder(other.Variants.value, variantID)
	for len(older) > 0 || len(newer) > 0 {
		switch {
		case len(newer) == 0 || len(older) > 0 && older[0].ID < newer[0].ID:
			if d.content && other.listsAll() {
				d.add(variantPath(older[0].ID), present, missing)
			}
			older = older[1:]
		case len(older) == 0 || newer[0].ID < older[0].ID:
			if d.content && p.listsAll() {
				d.add(variantPath(newer[0].ID), missing, present)
			}
			newer = newer[1:]
		default:
			d.in = older[0].ID
			compareFields(d, &older[0], &newer[0], VariantFields)
			d.in = 0
			older, newer = older[1:], newer[1:]
		}
	}
}

// listsAll reports whether a variant that p lacks is a difference: not when p
// comes from a payload that carried only some of them.
func (p *Product) listsAll() bool {
	return p.VariantsComplete || p.Coverage != Truncated && p.Coverage != Partial
}

func variantPath(id int64) string { return "variants[" + strconv.FormatInt(id, 10) + "]" }
