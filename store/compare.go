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
	wrong, _ := m.old.Unhashed(m.full)
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
