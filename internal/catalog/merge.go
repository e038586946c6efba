package catalog

import "slices"

// Merge returns what is known after in arrived on top of old: a field that in
// carries, null included, replaces the older one, an absent field keeps it.
// The same holds inside each variant, matched by id. Variants come in the order
// of in; those it does not carry follow in the order of old, unless
// in.VariantsComplete says that they are gone.
//
// Named comes from in when it has it. Coverage and VariantsComplete say what
// in allows to conclude. Either argument may be nil; neither is changed, and
// the result shares no slice with them.
func Merge(old, in *Product) *Product {
	if old == nil {
		old = &Product{}
	}
	if in == nil {
		in = &Product{Coverage: old.Coverage, VariantsComplete: old.VariantsComplete}
	}
	id := in.ID
	if id == 0 {
		id = old.ID
	}
	p := &Product{
		ID:               id,
		Title:            in.Title.Or(old.Title),
		BodyHTML:         in.BodyHTML.Or(old.BodyHTML),
		Vendor:           in.Vendor.Or(old.Vendor),
		ProductType:      in.ProductType.Or(old.ProductType),
		Handle:           in.Handle.Or(old.Handle),
		Tags:             cloneField(in.Tags.Or(old.Tags)),
		Status:           in.Status.Or(old.Status),
		Options:          cloneField(in.Options.Or(old.Options)),
		Images:           cloneField(in.Images.Or(old.Images)),
		PublishedAt:      in.PublishedAt.Or(old.PublishedAt),
		CreatedAt:        in.CreatedAt.Or(old.CreatedAt),
		UpdatedAt:        in.UpdatedAt.Or(old.UpdatedAt),
		Variants:         mergeVariants(old, in),
		Named:            cloneField(in.Named.Or(old.Named)),
		Coverage:         in.Coverage,
		VariantsComplete: in.VariantsComplete,
	}
	for i := range p.Options.value {
		o := &p.Options.value[i]
		if o.Values == nil {
			o.Values = valuesOf(old.Options.value, o)
		}
		o.Values = slices.Clone(o.Values)
	}
	for i := range p.Images.value {
		m := &p.Images.value[i]
		m.VariantIDs = slices.Clone(m.VariantIDs)
		if m.Alt != nil {
			alt := *m.Alt
			m.Alt = &alt
		}
	}
	return p
}

// valuesOf returns the values that list has of an option.
func valuesOf(list []Option, o *Option) []string {
	for i := range list {
		if list[i].ID == o.ID && (o.ID != 0 || list[i].Name == o.Name) {
			return list[i].Values
		}
	}
	return nil
}

func cloneField[T any](f Field[[]T]) Field[[]T] {
	f.value = slices.Clone(f.value)
	return f
}

// mergeVariants joins the lists by id. A null list removes nothing: it does not
// say which variants there are.
func mergeVariants(old, in *Product) Field[[]Variant] {
	older, had := old.Variants.Get()
	newer, carries := in.Variants.Get()
	if !carries {
		if had {
			return cloneField(old.Variants)
		}
		return in.Variants.Or(old.Variants)
	}
	byID := indexVariants(older)
	merged := make([]Variant, 0, max(len(older), len(newer)))
	for i := range newer {
		v := newer[i]
		if at, ok := byID.find(v.ID); ok {
			v = mergeVariant(&older[at], &newer[i])
			byID.kept[at] = true
		}
		merged = append(merged, v)
	}
	if !in.VariantsComplete {
		for i := range older {
			if !byID.kept[i] {
				merged = append(merged, older[i])
			}
		}
	}
	return Of(merged)
}

func mergeVariant(old, in *Variant) Variant {
	return Variant{
		ID:                in.ID,
		Title:             in.Title.Or(old.Title),
		SKU:               in.SKU.Or(old.SKU),
		Barcode:           in.Barcode.Or(old.Barcode),
		Price:             in.Price.Or(old.Price),
		CompareAtPrice:    in.CompareAtPrice.Or(old.CompareAtPrice),
		Position:          in.Position.Or(old.Position),
		Option1:           in.Option1.Or(old.Option1),
		Option2:           in.Option2.Or(old.Option2),
		Option3:           in.Option3.Or(old.Option3),
		InventoryItemID:   in.InventoryItemID.Or(old.InventoryItemID),
		InventoryQuantity: in.InventoryQuantity.Or(old.InventoryQuantity),
		InventoryPolicy:   in.InventoryPolicy.Or(old.InventoryPolicy),
		Taxable:           in.Taxable.Or(old.Taxable),
		WeightGrams:       in.WeightGrams.Or(old.WeightGrams),
		ImageID:           in.ImageID.Or(old.ImageID),
		CreatedAt:         in.CreatedAt.Or(old.CreatedAt),
		UpdatedAt:         in.UpdatedAt.Or(old.UpdatedAt),
	}
}

// variantIndex finds variants by id: by looking along a short list, through a
// map in a long one.
type variantIndex struct {
	list []Variant
	byID map[int64]int
	kept []bool // by position in list, for the caller
}

func indexVariants(list []Variant) variantIndex {
	const short = 16
	x := variantIndex{list: list, kept: make([]bool, len(list))}
	if len(list) > short {
		x.byID = make(map[int64]int, len(list))
		for i := range list {
			x.byID[list[i].ID] = i
		}
	}
	return x
}

func (x *variantIndex) find(id int64) (int, bool) {
	if x.byID != nil {
		i, ok := x.byID[id]
		return i, ok
	}
	for i := range x.list {
		if x.list[i].ID == id {
			return i, true
		}
	}
	return 0, false
}
