package store

import (
	"fmt"
	"strconv"

	"stockroom/catalog"
)

// unhashed compares the weights of two products and which picture a variant
// shows, variant by variant. Deliveries carry no weight and the content hash
// leaves both out, so that what is stored may be unknown, or may have changed
// without a new version. wrong are the stored values that differ; unknown says
// that the read brings some for the first time.
func unhashed(old, full *catalog.Product) (wrong []catalog.FieldDiff, unknown bool) {
	stored := make(map[int64]*catalog.Variant, len(old.Variants.Value()))
	for i := range old.Variants.Value() {
		v := &old.Variants.Value()[i]
		stored[v.ID] = v
	}
	for i := range full.Variants.Value() {
		v := &full.Variants.Value()[i]
		was, known := stored[v.ID]
		if !known {
			continue
		}
		for _, f := range []struct {
			name    string
			was, is catalog.Field[int64]
		}{{"weight_grams", was.WeightGrams, v.WeightGrams}, {"image_id", was.ImageID, v.ImageID}} {
			switch {
			case !f.is.Present() || f.is == f.was:
			case f.was.IsNull():
				unknown = true
			default:
				wrong = append(wrong, catalog.FieldDiff{
					Path: "variants[" + strconv.FormatInt(v.ID, 10) + "]." + f.name, Old: number64(f.was), New: number64(f.is),
				})
			}
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

func number64(f catalog.Field[int64]) string {
	if n, ok := f.Get(); ok {
		return strconv.FormatInt(n, 10)
	}
	return ""
}

// weigh takes the weights, times and pictures that were not known from what
// shows the stored version. It is no difference: nobody had said otherwise.
func (t *tx) weigh(shop string, p, full *catalog.Product, h head, o origin) error {
	if err := t.updateVariants(h.id, p, full); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE products SET images = ? WHERE id = ?`, imagesArg(full.Images), h.id); err != nil {
		return fmt.Errorf("update images: %w", err)
	}
	return t.change(shop, p.ID, "updated", o.cause)
}
