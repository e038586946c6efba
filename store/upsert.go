package store

import (
	"database/sql/driver"
	"errors"
	"fmt"

	"stockroom/internal/catalog"
)

// decide reads what a change is judged by, judges it and carries the verdict out.
func (t *tx) decide(m *matter) (verdict, error) {
	m.now = t.now
	if err := t.look(m); err != nil {
		return verdict{}, err
	}
	v := judge(m)
	if v.err != nil {
		return verdict{}, v.err
	}
	return v, t.carry(m, &v)
}

// look reads what a change is judged by, and no more: most deliveries are decided
// by their times or carry the whole product.
func (t *tx) look(m *matter) error {
	m.open = t.s.settings.open[productKey{m.shop, m.id}]
	sel := t.s.selectionOf(m.shop)
	m.byRules = sel.ByContent()
	m.leftOut = !m.h.selected && !m.byRules && !sel.Selects(&catalog.Product{ID: m.id})
	if m.p == nil && !m.o.authoritative || m.p != nil && m.h.id == 0 && !t.rows.isNew(m.id) {
		if err := t.lookElsewhere(m); err != nil {
			return err
		}
	}
	if m.p == nil {
		return nil
	}
	if _, decided := m.byTime(); decided {
		return nil
	}
	if err := t.lookInside(m); err != nil {
		return err
	}
	selected, judged := sel.Judge(m.full)
	if !judged {
		selected = m.h.selected
	}
	m.selected, m.unjudged = selected, !judged
	if m.o.authoritative || !selected {
		return nil
	}
	return t.lookBack(m)
}

// lookElsewhere looks for the id in other shops. Ids are unique over all shops, so
// one of the two is not of its shop: the shop of a delivery is a header, which is
// not signed. A read of this shop, which has just shown the product, decides when
// no read of the other one did.
func (t *tx) lookElsewhere(m *matter) error {
	var row [2]driver.Value
	_, err := t.one(`SELECT shop, read_at FROM products WHERE external_id = ? AND shop <> ?`, row[:], m.id, m.shop)
	if err != nil {
		return fmt.Errorf("look for the id in other shops: %w", err)
	}
	m.other = owner{shop: asText(row[0]), read: row[1] != nil}
	return nil
}

// lookInside reads the stored content where what arrived does not carry the whole
// product, or has to be compared with it.
func (t *tx) lookInside(m *matter) error {
	m.full = m.p
	if m.h.id != 0 && !whollyCarried(m.p) {
		if err := t.readOld(m); err != nil {
			return err
		}
		old := m.old
		if m.unreadable {
			old = &catalog.Product{ID: m.id}
		}
		m.full = whole(old, m.p)
	}
	m.hash = m.full.ContentHash().String()
	again := m.tied() && m.hash == m.h.hash &&
		(m.o.authoritative || m.o.triggered > m.h.triggered || m.h.triggered == 0)
	if m.h.id == 0 || m.old != nil || m.unreadable || !again && !m.o.report && !(m.o.awaited && m.apart() > 0) {
		return nil
	}
	return t.readOld(m)
}

func (t *tx) readOld(m *matter) (err error) {
	m.old, err = t.load(m.h.id)
	m.unreadable = err != nil
	if err = classify(err); errors.Is(err, ErrUnavailable) {
		return err
	}
	return nil
}

// lookBack looks for what was known of the product before a delivery that would
// be stored.
func (t *tx) lookBack(m *matter) (err error) {
	version := m.p.UpdatedAt.Value()
	if !m.h.selected && (m.h.id != 0 || m.byRules) {
		m.passed, err = t.passedOver(m.shop, m.id, version)
	}
	if err == nil && m.h.id == 0 && !m.passed {
		m.compared, err = t.provenSince(m.shop, version)
	}
	return err
}

// provenSince reports whether the whole catalogue was compared after an instant
// (Unix milliseconds). A product of before that is new here is one whose end was
// not told, or one that the comparison passed by.
func (t *tx) provenSince(shop string, at int64) (bool, error) {
	return t.exists("look for the last comparison", `
		SELECT 1 FROM sync_runs WHERE shop = ?1 AND kind = 'reconcile' AND proven_at > 0 AND proven_at > ?2 UNION ALL
		SELECT 1 FROM sync_runs WHERE shop = ?1 AND kind = 'full' AND proven_at > 0 AND proven_at > ?2`, shop, at)
}

// passedOver reports whether a version newer than the given one was ignored
// because the selection did not match it. Such a version is kept nowhere else,
// and without this an older one that does match would win over it.
func (t *tx) passedOver(shop string, id, version int64) (bool, error) {
	return t.exists("look for passed over versions", `
		SELECT 1 FROM deliveries
		WHERE external_id = ?1 AND shop = ?2 AND outcome = 'ignored' AND version_at / 1000 > ?3 UNION ALL
		SELECT 1 FROM passed_over WHERE shop = ?2 AND external_id = ?1 AND version_at / 1000 > ?3`,
		id, shop, catalog.Second(version))
}

// carry does what was decided.
func (t *tx) carry(m *matter, v *verdict) error {
	if v.takes {
		h, err := t.head(m.other.shop, m.id, nil)
		if err == nil {
			err = t.erase(m.other.shop, m.id, h.id, OwnerCause+m.shop)
		}
		if err != nil {
			return err
		}
	}
	if err := t.write(m, v); err != nil {
		return err
	}
	if v.refused != (difference{}) {
		return t.noteDifference(m, v.refused)
	}
	if v.closes {
		if err := t.settled(m.shop, m.id); err != nil {
			return err
		}
	}
	if !m.o.authoritative {
		return nil
	}
	return t.confirmed(m)
}

func (t *tx) write(m *matter, v *verdict) error {
	if v.retriggered {
		err := t.do("note trigger time", `UPDATE products SET triggered_ns = ? WHERE id = ?`, m.o.triggered, m.h.id)
		if err != nil {
			return err
		}
	}
	switch v.do {
	case passOver:
		return t.passOver(m)
	case confirm:
		return t.reread(m)
	case learn:
		return t.learn(m, v)
	case insert:
		return t.create(m)
	case update:
		return t.update(m, v)
	case erase:
		return t.erase(m.shop, m.id, m.h.id, m.o.cause)
	}
	return nil
}

// create writes a product that has no row yet.
func (t *tx) create(m *matter) error {
	if m.h.tombstone != 0 {
		err := t.do("lift tombstone", `DELETE FROM tombstones WHERE shop = ? AND external_id = ?`, m.shop, m.id)
		if err != nil {
			return err
		}
	}
	if err := t.insertProductAs(nil, m.shop, m.p, m.o, true, m.hash); err != nil {
		return err
	}
	return t.unpass(m.shop, m.id)
}

// erase deletes a product for good.
func (t *tx) erase(shop string, id, row int64, cause string) error {
	if row != 0 {
		if err := t.do("delete product", `DELETE FROM products WHERE id = ?`, row); err != nil {
			return err
		}
		if err := t.change(shop, id, "deleted", cause); err != nil {
			return err
		}
	}
	err := t.do("write tombstone", `
		INSERT INTO tombstones (shop, external_id, written_at, cause) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET written_at = excluded.written_at, cause = excluded.cause`,
		shop, id, t.now, cause)
	if err == nil {
		err = t.unwant(shop, id)
	}
	if err == nil {
		err = t.settled(shop, id)
	}
	if err != nil {
		return err
	}
	return t.unpass(shop, id)
}

// unwant drops the wanted fetch of a product that is not kept current any more.
func (t *tx) unwant(shop string, id int64) error {
	return t.do("drop wanted fetch", `
		DELETE FROM wanted WHERE shop = ? AND kind = 'fetch_product' AND external_id = ?`, shop, id)
}

// OwnerCause begins the cause of a removal from a shop whose product it never was;
// the rest is the shop that it belongs to.
const OwnerCause = "owner:"

// learn takes what was not known from what shows the stored version: times, pictures
// and what the content hash leaves out. It is no difference: nobody had said otherwise.
func (t *tx) learn(m *matter, v *verdict) error {
	if err := t.updateVariants(m.h.id, v.p, v.full); err != nil {
		return err
	}
	if v.fed {
		const images = `UPDATE products SET (images`
		err := setFields(t, images, []any{arg(&v.full.Images)}, v.full, unhashed(), nil, m.h.id)
		if err != nil {
			return err
		}
		if err := t.change(m.shop, m.id, "updated", m.o.cause); err != nil {
			return err
		}
	}
	if !m.o.authoritative {
		return nil
	}
	return t.reread(m)
}

// passOver notes the version that an authoritative read showed and the
// selection's rules did not match.
func (t *tx) passOver(m *matter) error {
	return t.do("note passed over version", `
		INSERT INTO passed_over (shop, external_id, version_at, read_at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET version_at = excluded.version_at, read_at = excluded.read_at`,
		m.shop, m.id, m.p.UpdatedAt.Value(), m.o.started)
}

// unpass forgets the passed over version of a product that is stored or gone
// now. Only rules pass versions over.
func (t *tx) unpass(shop string, id int64) error {
	if !t.s.selectionOf(shop).ByContent() {
		return nil
	}
	return t.do("forget passed over version", `DELETE FROM passed_over WHERE shop = ? AND external_id = ?`, shop, id)
}

// readAgain is how long after its time a version that a read confirms is
// noted as read again. Later reads say nothing more of it.
const readAgain = 24 * 60 * 60 * 1000

// reread notes that a read of the shop showed the stored version. An edit of the
// same second may hide behind a version until the shop is read after that second.
// What it says is in stock is noted as often as it changes.
func (t *tx) reread(m *matter) error {
	if m.o.started <= m.h.readAt {
		return nil
	}
	settled := m.h.readAt >= m.h.updatedAt+readAgain
	return t.do("note the read", `
		UPDATE products SET read_at = ?1, stock_total = ?2 WHERE id = ?3 AND (NOT ?4 OR stock_total IS NOT ?2)`,
		m.o.started, arg(&m.p.StockTotal), m.h.id, bit(settled))
}

// confirmed drops the wanted fetch that an authoritative read has answered. One
// that does not know the order of the images answers none.
func (t *tx) confirmed(m *matter) error {
	if t.noneWanted || m.p != nil && m.p.ImagesUnordered {
		return nil
	}
	return t.do("drop wanted fetch", `
		DELETE FROM wanted WHERE shop = ? AND kind = 'fetch_product' AND external_id = ? AND wanted_at < ?`,
		m.shop, m.id, m.o.started)
}

// load reads a stored product with its variants, every field present.
func (t *tx) load(id int64) (*catalog.Product, error) {
	row := make([]driver.Value, len(catalog.ProductFields)+1)
	found, err := t.one(`SELECT `+productColumns()+`, external_id FROM products WHERE id = ?`, row, id)
	if err != nil {
		return nil, fmt.Errorf("read product: %w", err)
	}
	if !found {
		return nil, fmt.Errorf("read product %d: %w", id, ErrNotFound)
	}
	p := &catalog.Product{ID: asInt(row[len(row)-1]), Coverage: catalog.Complete, VariantsComplete: true}
	if err := readFields(p, catalog.ProductFields, row); err != nil {
		return nil, err
	}
	var variants []catalog.Variant
	err = t.each(`SELECT `+variantColumns()+`, external_id FROM variants WHERE product_id = ? ORDER BY external_id`,
		len(catalog.VariantFields)+1, func(row []driver.Value) error {
			v := catalog.Variant{ID: asInt(row[len(row)-1])}
			err := readFields(&v, catalog.VariantFields, row)
			variants = append(variants, v)
			return err
		}, id)
	if err != nil {
		return nil, fmt.Errorf("read variants: %w", err)
	}
	p.Variants = catalog.Of(variants)
	return p, nil
}
