package store

import (
	"cmp"
	"fmt"
	"slices"

	"stockroom/internal/catalog"
)

const unorderedImages = "the order of its images is not known"

// whollyCarried reports whether a payload says everything that is kept of a
// product, so that the stored row adds nothing to it.
func whollyCarried(p *catalog.Product) bool { return !p.ImagesUnordered && numbered(p) && !partial(p) }

// partial reports whether a payload lacks a field that whole webhook bodies carry,
// as include_fields can cause, or one that the content hash has.
func partial(p *catalog.Product) bool {
	return p.Coverage != catalog.Complete || !p.Images.Present() || p.LacksVariantFields() || p.LacksContent()
}

// missingPart says what makes a fetch necessary because the payload does not carry
// the whole product, "" for nothing.
func missingPart(p *catalog.Product) string {
	carried, named := len(p.Variants.Value()), len(p.Named.Value())
	switch {
	case p.Coverage == catalog.Truncated && named == 0:
		return fmt.Sprintf("the webhook carried %d variants, the most it can, so there may be more", carried)
	case p.Coverage == catalog.Truncated:
		return fmt.Sprintf("the webhook carried %d of %d variants", carried, named)
	case p.Coverage == catalog.Partial:
		return "the webhook carried only some of the product's fields"
	case p.ImagesUnordered:
		return unorderedImages
	}
	return ""
}

// whole returns what is known after p arrived on top of the stored product.
// ImagesUnordered of the result says that the order of its images is a guess.
func whole(old, p *catalog.Product) *catalog.Product {
	full := p
	if partial(p) {
		full = catalog.Merge(old, p)
	}
	if !p.ImagesUnordered && numbered(p) {
		return full
	}
	with := *full
	if with.ImagesUnordered = p.ImagesUnordered; with.ImagesUnordered {
		if images, same := inOrderOf(old.Images.Value(), p.Images.Value()); same {
			with.Images, with.ImagesUnordered = catalog.Of(images), false
		}
	}
	if p.Images.Present() {
		number(&with, old.Images.Value())
	}
	return &with
}

// inOrderOf returns the images of a payload in the order of the stored ones, and
// whether they are the same. A size that is 0 is not known and fits any.
func inOrderOf(stored, images []catalog.Image) ([]catalog.Image, bool) {
	if len(stored) != len(images) {
		return nil, false
	}
	byContent := func(list []catalog.Image) []int {
		order := make([]int, len(list))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int {
			x, y := list[i], list[j]
			return cmp.Or(cmp.Compare(x.Src, y.Src), cmp.Compare(alt(x), alt(y)),
				cmp.Compare(x.Width, y.Width), cmp.Compare(x.Height, y.Height))
		})
		return order
	}
	fits := func(x, y int64) bool { return x == y || x == 0 || y == 0 }
	list := slices.Clone(stored)
	from := byContent(images)
	for i, at := range byContent(stored) {
		m, is := &list[at], images[from[i]]
		if m.Src != is.Src || alt(*m) != alt(is) || !fits(m.Width, is.Width) || !fits(m.Height, is.Height) {
			return nil, false
		}
		m.VariantIDs = is.VariantIDs
		if is.ID != 0 {
			m.ID = is.ID
		}
	}
	return list, true
}

// numbered reports whether the payload gives every image its number. Reads of
// the shop number only those that a variant shows.
func numbered(p *catalog.Product) bool {
	return !slices.ContainsFunc(p.Images.Value(), func(m catalog.Image) bool { return m.ID == 0 })
}

// number gives the images that have no number that of the stored image of the
// same file, and the variants that show one of them with it.
func number(p *catalog.Product, stored []catalog.Image) {
	known := make(map[string]int64, len(stored))
	for _, m := range stored {
		known[catalog.ImageFile(m.Src)] = m.ID
	}
	images, shown := slices.Clone(p.Images.Value()), map[int64]int64{}
	for i := range images {
		m := &images[i]
		if m.ID != 0 {
			continue
		}
		m.ID = known[catalog.ImageFile(m.Src)]
		for _, v := range m.VariantIDs {
			shown[v] = m.ID
		}
	}
	p.Images = catalog.Of(images)
	if len(shown) == 0 {
		return
	}
	variants := slices.Clone(p.Variants.Value())
	for i := range variants {
		if id := shown[variants[i].ID]; id != 0 {
			variants[i].ImageID = catalog.Of(id)
		}
	}
	p.Variants = catalog.Of(variants)
}

// unpictured reports whether full, which has the content of old, knows of its
// images what old does not: a number, or which variants show one.
func unpictured(old, full *catalog.Product) bool {
	byPosition := func(a, b catalog.Image) int { return cmp.Compare(a.Position, b.Position) }
	was := slices.SortedStableFunc(slices.Values(old.Images.Value()), byPosition)
	is := slices.SortedStableFunc(slices.Values(full.Images.Value()), byPosition)
	if len(was) != len(is) {
		return true
	}
	for i := range is {
		if is[i].ID != 0 && is[i].ID != was[i].ID ||
			!slices.Equal(slices.Sorted(slices.Values(is[i].VariantIDs)), slices.Sorted(slices.Values(was[i].VariantIDs))) {
			return true
		}
	}
	return false
}

func alt(m catalog.Image) string {
	if m.Alt == nil {
		return ""
	}
	return *m.Alt
}
