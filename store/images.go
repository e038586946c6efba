package store

import (
	"cmp"
	"slices"

	"stockroom/catalog"
)

const unorderedImages = "the order of its images is not known"

// full returns the product with every field, taking from the stored row what
// the payload does not carry, and the fetch that is needed for the rest, nil
// for none. old is the stored row where that was read, else nil.
func (t *tx) full(shop string, p *catalog.Product, h head) (full, old *catalog.Product, want *Wanted, err error) {
	if p.Coverage == catalog.Complete && !p.ImagesUnordered && p.Images.Present() && !anyVariantPartial(p) {
		return p, nil, nil, nil
	}
	if old, err = t.load(h.id); err != nil {
		return nil, nil, nil, err
	}
	full = whole(old, p)
	want = wantedRest(shop, p)
	// The stored order is known to be that of the stored version only.
	if want != nil && want.Reason == unorderedImages && !full.ImagesUnordered &&
		full.UpdatedAt.Value()/1000 == old.UpdatedAt.Value()/1000 {
		want = nil
	}
	return full, old, want, nil
}

// whole returns what is known after p arrived on top of the stored product.
// ImagesUnordered of the result says that the order of its images is a guess.
func whole(old, p *catalog.Product) *catalog.Product {
	full := p
	if p.Coverage != catalog.Complete || !p.Images.Present() || anyVariantPartial(p) {
		full = catalog.Merge(old, p)
	}
	if !p.ImagesUnordered {
		return full
	}
	with := *full
	with.ImagesUnordered = true
	if sameImages(old.Images.Value(), p.Images.Value()) {
		with.Images, with.ImagesUnordered = old.Images, false
	}
	return &with
}

// sameImages reports whether two lists hold the same images in whatever order.
// A size that is 0 is not known and fits any.
func sameImages(a, b []catalog.Image) bool {
	if len(a) != len(b) {
		return false
	}
	byContent := func(x, y catalog.Image) int {
		return cmp.Or(cmp.Compare(x.Src, y.Src), cmp.Compare(alt(x), alt(y)), cmp.Compare(x.Width, y.Width), cmp.Compare(x.Height, y.Height))
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, byContent)
	slices.SortFunc(b, byContent)
	fits := func(x, y int64) bool { return x == y || x == 0 || y == 0 }
	return slices.EqualFunc(a, b, func(x, y catalog.Image) bool {
		return x.Src == y.Src && alt(x) == alt(y) && fits(x.Width, y.Width) && fits(x.Height, y.Height)
	})
}

func alt(m catalog.Image) string {
	if m.Alt == nil {
		return ""
	}
	return *m.Alt
}
