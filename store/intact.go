package store

import (
	"errors"
	"fmt"

	"stockroom/catalog"
)

// damage compares what is in the rows of a product with the content that their
// hash speaks for. The hash is a column like the others: a bit that flipped, or a
// hand that edited the file, changes a title and not the hash. Weights are not
// in the hash at all, nor are pictures' numbers and the variants' own times. It
// returns the differences, nil for none, and whether any of these are shown that
// were not known. old is the stored row, nil when it was not read yet.
func (t *tx) damage(h head, old, full *catalog.Product, hash string, selected bool) (diff []catalog.FieldDiff, unweighed bool, err error) {
	if old == nil {
		old, err = t.load(h.id)
	}
	switch {
	case err != nil && errors.Is(classify(err), ErrUnavailable):
		return nil, false, err
	case err != nil:
		return []catalog.FieldDiff{{Path: "row", Old: "can't be read", New: present}}, false, nil
	case old.ContentHash().String() != hash:
		if diff := differences(old, full); len(diff) > 0 {
			return diff, false, nil
		}
		return []catalog.FieldDiff{{Path: "row", Old: "has another content than its hash says", New: present}}, false, nil
	}
	if want := statusOf(selected, full); h.status != want {
		return []catalog.FieldDiff{{Path: "status", Old: h.status, New: want}}, false, nil
	}
	diff, unweighed = unhashed(old, full)
	return diff, unweighed || untimed(old, full) || unpictured(old, full), nil
}

const present = "present"

// mend writes a damaged product anew, every variant of it.
func (t *tx) mend(shop string, p, full *catalog.Product, h head, o origin, selected bool, damage []catalog.FieldDiff) (verdict, error) {
	if _, err := t.exec(`UPDATE variants SET row_hash = 0 WHERE product_id = ?`, h.id); err != nil {
		return verdict{}, fmt.Errorf("distrust the stored variants: %w", err)
	}
	if err := t.update(shop, p, full, h, o, selected, full.ContentHash().String()); err != nil {
		return verdict{}, err
	}
	return verdict{outcome: Applied, reason: "what was stored was not what the shop shows of this version", diff: damage}, t.unpass(shop, p.ID)
}
