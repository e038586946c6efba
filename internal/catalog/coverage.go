package catalog

import "slices"

// webhookVariants is how many variants a webhook body carries in full at most
// (shopify.dev/docs/api/admin/migrate/new-product-model).
const webhookVariants = 100

// cover judges how much of the product a body carries, and refuses one that
// carries a variant twice.
func (r *reader) cover(p *Product) {
	if r.err != nil {
		return
	}
	list, carries := p.Variants.Get()
	named, lists := p.Named.Get()
	r.carried = r.carried[:0]
	for i := range list {
		r.carried = append(r.carried, list[i].ID)
	}
	slices.Sort(r.carried)
	for i := 1; i < len(r.carried); i++ {
		if r.carried[i] == r.carried[i-1] {
			r.malformed("variants", "has a variant twice")
			return
		}
	}
	truncated := false
	if lists {
		r.listed = r.listed[:0]
		for _, ref := range named {
			r.listed = append(r.listed, ref.ID)
		}
		slices.Sort(r.listed)
		r.listed = slices.Compact(r.listed)
		// A variant in full that the list of all does not name means that one
		// of the two is out of date. Neither may then remove anything.
		truncated = !slices.Equal(r.carried, r.listed)
	} else {
		// A full page without a list of all: there may be more.
		truncated = len(list) >= webhookVariants
	}
	// A product always has a variant, so an empty list is no knowledge of any.
	p.VariantsComplete = carries && len(list) > 0 && !truncated
	switch {
	case truncated:
		p.Coverage = Truncated
	case p.VariantsComplete && p.hasEveryField():
		p.Coverage = Complete
	default:
		p.Coverage = Partial
	}
}

// hasEveryField reports whether the payload named every field that whole bodies
// carry, of the product and of each variant.
func (p *Product) hasEveryField() bool {
	return !lacks(p, ProductFields) && p.Variants.Present() && !p.LacksVariantFields() &&
		!slices.ContainsFunc(p.Options.value, func(o Option) bool { return o.Values == nil })
}

// LacksVariantFields reports whether a variant lacks a field that whole bodies
// carry. Reads of the shop count as complete even then: Shopify's API has no id of
// an image for some.
func (p *Product) LacksVariantFields() bool {
	for i := range p.Variants.value {
		if lacks(&p.Variants.value[i], VariantFields) {
			return true
		}
	}
	return false
}

// lacks reports whether of lacks a field that whole webhook bodies carry.
func lacks[T any](of *T, fields []Kept[T]) bool {
	for i := range fields {
		if fields[i].Carried && !fields[i].At(of).Present() {
			return true
		}
	}
	return false
}
