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
	p := *in
	if p.ID == 0 {
		p.ID = old.ID
	}
	keepAbsent(&p, old, ProductFields)
	p.Variants, p.Named = mergeVariants(old, in), cloneField(in.Named.Or(old.Named))
	p.Tags, p.Options, p.Images = cloneField(p.Tags), cloneField(p.Options), cloneField(p.Images)
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
	return &p
}

// keepAbsent gives into the fields of old that it lacks.
func keepAbsent[T any](into, old *T, fields []Kept[T]) {
	for i := range fields {
		if cell := fields[i].At(into); !cell.Present() {
			cell.set(fields[i].At(old))
		}
	}
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
	var byID map[int64]int // made for the first one that stands elsewhere than before
	kept := make([]bool, len(older))
	merged := append(make([]Variant, 0, max(len(older), len(newer))), newer...)
	for i := range merged {
		at, found := i, i < len(older) && older[i].ID == merged[i].ID
		if !found {
			if byID == nil {
				byID = indexesByID(older)
			}
			at, found = byID[merged[i].ID]
		}
		if found {
			keepAbsent(&merged[i], &older[at], VariantFields)
			kept[at] = true
		}
	}
	if !in.VariantsComplete {
		for i := range older {
			if !kept[i] {
				merged = append(merged, older[i])
			}
		}
	}
	return Of(merged)
}

func indexesByID(list []Variant) map[int64]int {
	byID := make(map[int64]int, len(list))
	for i := range list {
		byID[list[i].ID] = i
	}
	return byID
}
