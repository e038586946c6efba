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
	var d differ
	if p.ID != other.ID {
		d.add("id", strconv.FormatInt(p.ID, 10), strconv.FormatInt(other.ID, 10))
	}
	d.text("title", p.Title, other.Title)
	d.text("body_html", p.BodyHTML, other.BodyHTML)
	d.text("vendor", p.Vendor, other.Vendor)
	d.text("product_type", p.ProductType, other.ProductType)
	d.text("handle", p.Handle, other.Handle)
	d.tags(p.Tags, other.Tags)
	d.lower("status", p.Status, other.Status)
	d.options(p.Options, other.Options)
	d.images(p.Images, other.Images)
	d.time("published_at", p.PublishedAt, other.PublishedAt)
	d.time("created_at", p.CreatedAt, other.CreatedAt)
	d.variants(p, other)
	return d.found
}

// differ gathers differences. While in is set, paths are those of a variant.
type differ struct {
	found []FieldDiff
	in    int64
}

func (d *differ) add(path, older, newer string) {
	if d.in != 0 {
		path = variantPath(d.in) + "." + path
	}
	d.found = append(d.found, FieldDiff{Path: path, Old: older, New: newer})
}

func both[T any](a, b Field[T]) bool { return a.Present() && b.Present() }

func (d *differ) text(path string, a, b Field[string]) {
	if both(a, b) && a.Value() != b.Value() {
		d.add(path, a.Value(), b.Value())
	}
}

func (d *differ) lower(path string, a, b Field[string]) {
	if !both(a, b) {
		return
	}
	if older, newer := lowerASCII(a.Value()), lowerASCII(b.Value()); older != newer {
		d.add(path, older, newer)
	}
}

func (d *differ) decimal(path string, a, b Field[string]) {
	if !both(a, b) {
		return
	}
	if older, newer := canonicalPrice(a.Value()), canonicalPrice(b.Value()); older != newer {
		d.add(path, older, newer)
	}
}

func (d *differ) int(path string, a, b Field[int64]) {
	if both(a, b) && a != b {
		d.add(path, intText(a), intText(b))
	}
}

func intText(f Field[int64]) string {
	if n, ok := f.Get(); ok {
		return strconv.FormatInt(n, 10)
	}
	return ""
}

func (d *differ) time(path string, a, b Field[int64]) {
	if both(a, b) && a != b {
		d.add(path, timeText(a), timeText(b))
	}
}

func timeText(f Field[int64]) string {
	if ms, ok := f.Get(); ok {
		return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
	}
	return ""
}

func (d *differ) bool(path string, a, b Field[bool]) {
	if both(a, b) && a != b {
		d.add(path, boolText(a), boolText(b))
	}
}

func boolText(f Field[bool]) string {
	if v, ok := f.Get(); ok {
		return strconv.FormatBool(v)
	}
	return ""
}

func (d *differ) tags(a, b Field[[]string]) {
	if !both(a, b) {
		return
	}
	older := appendTagSet(make([]string, 0, len(a.Value())), a.Value())
	newer := appendTagSet(make([]string, 0, len(b.Value())), b.Value())
	if !slices.Equal(older, newer) {
		d.add("tags", listText(older), listText(newer))
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

// inOrder returns list in the order that compare asks for, equal elements as
// they stand. It copies only a list that is not in order yet.
func inOrder[T any](list []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(list, compare) {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, compare)
	return list
}

func (d *differ) options(a, b Field[[]Option]) {
	if !both(a, b) {
		return
	}
	byPosition := func(x, y Option) int { return compareInt(x.Position, y.Position) }
	older, newer := inOrder(a.Value(), byPosition), inOrder(b.Value(), byPosition)
	for i := range max(len(older), len(newer)) {
		path := "options[" + strconv.Itoa(i+1) + "]"
		switch {
		case i >= len(older):
			d.add(path, missing, present)
			continue
		case i >= len(newer):
			d.add(path, present, missing)
			continue
		}
		if older[i].Name != newer[i].Name {
			d.add(path+".name", older[i].Name, newer[i].Name)
		}
		if !slices.Equal(older[i].Values, newer[i].Values) {
			d.add(path+".values", listText(older[i].Values), listText(newer[i].Values))
		}
	}
}

func (d *differ) images(a, b Field[[]Image]) {
	if !both(a, b) {
		return
	}
	byPosition := func(x, y Image) int { return compareInt(x.Position, y.Position) }
	older, newer := inOrder(a.Value(), byPosition), inOrder(b.Value(), byPosition)
	for i := range max(len(older), len(newer)) {
		path := "images[" + strconv.Itoa(i+1) + "]"
		switch {
		case i >= len(older):
			d.add(path, missing, present)
			continue
		case i >= len(newer):
			d.add(path, present, missing)
			continue
		}
		if older[i].Src != newer[i].Src {
			d.add(path+".src", older[i].Src, newer[i].Src)
		}
		if x, y := altText(older[i]), altText(newer[i]); x != y {
			d.add(path+".alt", x, y)
		}
	}
}

func altText(m Image) string {
	if m.Alt == nil {
		return ""
	}
	return *m.Alt
}

func (d *differ) variants(p, other *Product) {
	if !both(p.Variants, other.Variants) {
		return
	}
	byID := func(x, y Variant) int { return compareInt(x.ID, y.ID) }
	older, newer := inOrder(p.Variants.Value(), byID), inOrder(other.Variants.Value(), byID)
	for len(older) > 0 || len(newer) > 0 {
		switch {
		case len(newer) == 0 || len(older) > 0 && older[0].ID < newer[0].ID:
			if other.listsAll() {
				d.add(variantPath(older[0].ID), present, missing)
			}
			older = older[1:]
		case len(older) == 0 || newer[0].ID < older[0].ID:
			if p.listsAll() {
				d.add(variantPath(newer[0].ID), missing, present)
			}
			newer = newer[1:]
		default:
			d.variant(&older[0], &newer[0])
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

func (d *differ) variant(a, b *Variant) {
	d.in = a.ID
	d.text("title", a.Title, b.Title)
	d.text("sku", a.SKU, b.SKU)
	d.text("barcode", a.Barcode, b.Barcode)
	d.decimal("price", a.Price, b.Price)
	d.decimal("compare_at_price", a.CompareAtPrice, b.CompareAtPrice)
	d.int("position", a.Position, b.Position)
	d.text("option1", a.Option1, b.Option1)
	d.text("option2", a.Option2, b.Option2)
	d.text("option3", a.Option3, b.Option3)
	d.int("inventory_item_id", a.InventoryItemID, b.InventoryItemID)
	d.int("inventory_quantity", a.InventoryQuantity, b.InventoryQuantity)
	d.lower("inventory_policy", a.InventoryPolicy, b.InventoryPolicy)
	d.bool("taxable", a.Taxable, b.Taxable)
	d.time("created_at", a.CreatedAt, b.CreatedAt)
	d.in = 0
}
