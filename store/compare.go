package store

import (
	"slices"
	"strconv"
	"time"

	"stockroom/internal/catalog"
)

const present = "present"

// changes lists what writing the product over the stored one changes, the content
// first and never nothing; at most 100.
func (m *matter) changes() []catalog.FieldDiff {
	if m.unreadable {
		return []catalog.FieldDiff{{Path: "row", Old: "can't be read", New: present}}
	}
	wrong, _ := unhashed(m.old, m.full)
	list := append(m.old.Diff(m.full), wrong...)
	add := func(path, was, is string) { list = append(list, catalog.FieldDiff{Path: path, Old: was, New: is}) }
	inStatus := func(f catalog.FieldDiff) bool { return f.Path == "status" }
	if is := statusOf(m.selected, m.full); m.h.status != is && !slices.ContainsFunc(list, inStatus) {
		add("status", m.h.status, is)
	}
	was, is := instant(m.old.UpdatedAt), instant(m.full.UpdatedAt)
	switch {
	case len(list) > 0:
	case m.h.selected != m.selected:
		add("selected", strconv.FormatBool(m.h.selected), strconv.FormatBool(m.selected))
	case m.full.UpdatedAt.Present() && was != is:
		add("updated_at", was, is)
	default:
		add("row", "has another content than its hash says", present)
	}
	return list[:min(len(list), driftFields)]
}

func instant(f catalog.Field[int64]) string {
	if ms, ok := f.Get(); ok {
		return time.UnixMilli(ms).UTC().Format(time.RFC3339)
	}
	return ""
}

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
