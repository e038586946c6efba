package store

import (
	"strconv"

	"stockroom/catalog"
)

// weights compares the weights of two products variant by variant. Deliveries
// carry none and the content hash leaves them out, so that a stored weight may
// be unknown, or may have changed without a new version. wrong are the stored
// weights that differ; unknown says that the read brings some for the first time.
func weights(old, full *catalog.Product) (wrong []catalog.FieldDiff, unknown bool) {
	stored := make(map[int64]catalog.Field[int64], len(old.Variants.Value()))
	for i := range old.Variants.Value() {
		v := &old.Variants.Value()[i]
		stored[v.ID] = v.WeightGrams
	}
	for i := range full.Variants.Value() {
		v := &full.Variants.Value()[i]
		was, known := stored[v.ID]
		switch {
		case !known || !v.WeightGrams.Present() || v.WeightGrams == was:
		case was.IsNull():
			unknown = true
		default:
			wrong = append(wrong, catalog.FieldDiff{
				Path: "variants[" + strconv.FormatInt(v.ID, 10) + "].weight_grams", Old: grams(was), New: grams(v.WeightGrams),
			})
		}
	}
	return wrong, unknown
}

// untimed reports whether a variant's own time is later than the stored one. Two
// edits of one second, the second undoing the first, leave only that; times only
// grow, so the later one is the newer state's.
func untimed(old, full *catalog.Product) bool {
	stored := make(map[int64]catalog.Field[int64], len(old.Variants.Value()))
	for i := range old.Variants.Value() {
		v := &old.Variants.Value()[i]
		stored[v.ID] = v.UpdatedAt
	}
	for i := range full.Variants.Value() {
		v := &full.Variants.Value()[i]
		if was, known := stored[v.ID]; known && v.UpdatedAt.Present() && v.UpdatedAt.Value() > was.Value() {
			return true
		}
	}
	return false
}

func grams(f catalog.Field[int64]) string {
	if n, ok := f.Get(); ok {
		return strconv.FormatInt(n, 10)
	}
	return ""
}

// weigh takes the weights and times that were not known from a read that shows the stored
// version. It is no difference: nobody had said otherwise.
func (t *tx) weigh(shop string, p, full *catalog.Product, h head, o origin) error {
	if err := t.updateVariants(h.id, p, full); err != nil {
		return err
	}
	return t.change(shop, p.ID, "updated", o.cause)
}
