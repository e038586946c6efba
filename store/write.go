package store

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"sync"

	"stockroom/internal/catalog"
)

const (
	active   = "ACTIVE"
	inactive = "INACTIVE"
)

// statusOf returns products.status: ACTIVE means selected and active in
// Shopify.
func statusOf(selected bool, p *catalog.Product) string {
	if selected && p.Status.Value() == "active" {
		return active
	}
	return inactive
}

// insertProductAs writes a product under a given internal id, or the next one
// when id is nil.
func (t *tx) insertProductAs(id any, shop string, p *catalog.Product, o origin, selected bool, hash string) error {
	args := append(make([]any, 0, productArgs()), id, shop, orNull(t.s.merchantOf(shop)), p.ID)
	args = t.appendNoted(args, p, &o, selected, hash)
	rowID, err := t.putProduct(appendFields(args, p, catalog.ProductFields))
	if err != nil {
		return fmt.Errorf("insert product: %w", err)
	}
	if err := t.fail("between product and variants"); err != nil {
		return err
	}
	for i := range p.Variants.Value() {
		v := &p.Variants.Value()[i]
		if t.rows != nil {
			t.rows.variants = appendVariant(t.rows.variants, rowID, v)
		} else if err := t.insertVariant(rowID, v); err != nil {
			return err
		}
	}
	if err := t.change(shop, p.ID, "created", o.cause); err != nil {
		return err
	}
	return t.fail("after change feed")
}

// noted are the columns of a product that every version brings, beside what is kept
// of it.
const noted = `status, selected, triggered_ns, content_hash, synced_at, read_at, source, source_ref, delivery_id, stock_total`

func (t *tx) appendNoted(args []any, p *catalog.Product, o *origin, selected bool, hash string) []any {
	return append(args, statusOf(selected, p), bit(selected), orNull(o.triggered), hash, t.now, o.readAt(),
		o.source, orNull(o.ref), orNull(o.delivery), arg(&p.StockTotal))
}

const (
	productHead = `id, shop, merchant_id, external_id, ` + noted
	variantHead = `product_id, external_id, row_hash`
)

// An INSERT of a product and of a variant up to its values, and with those of one
// row; productArgs and variantArgs are how many values a row has.
var (
	insertProduct = sync.OnceValue(func() string {
		return `INSERT INTO products (` + productHead + `, ` + productColumns() + `) VALUES `
	})
	insertVariant = sync.OnceValue(func() string {
		return `INSERT INTO variants (` + variantHead + `, ` + variantColumns() + `) VALUES `
	})
	insertOneProduct = sync.OnceValue(func() string { return insertProduct() + marks(productArgs()) })
	insertOneVariant = sync.OnceValue(func() string { return insertVariant() + marks(variantArgs()) })
)

func productArgs() int { return 14 + len(catalog.ProductFields) }
func variantArgs() int { return 3 + len(catalog.VariantFields) }

// marks are the places of a row's values in a statement.
func marks(n int) string { return "(?" + strings.Repeat(", ?", n-1) + ")" }

// putProduct writes a product's row, or holds it back, and returns its number.
func (t *tx) putProduct(args []any) (int64, error) {
	if t.rows == nil {
		return t.insert(insertOneProduct(), args...)
	}
	id, err := t.nextProduct()
	if err != nil {
		return 0, err
	}
	args[0] = id
	t.rows.products = append(t.rows.products, args...)
	t.rows.made[args[3].(int64)] = true
	return id, nil
}

// update writes what the payload says over the stored product.
func (t *tx) update(m *matter, v *verdict) error {
	if v.distrust {
		const forget = `UPDATE variants SET row_hash = 0 WHERE product_id = ?`
		if err := t.do("distrust the stored variants", forget, m.h.id); err != nil {
			return err
		}
	}
	args := t.appendNoted(make([]any, 0, productArgs()), v.full, &m.o, m.selected, m.hash)
	err := setFields(t, `UPDATE products SET (`+noted, args, v.full, catalog.ProductFields, nil, m.h.id)
	if err != nil {
		return err
	}
	if err := t.fail("between product and variants"); err != nil {
		return err
	}
	if v.p.Variants.Present() {
		if err := t.updateVariants(m.h.id, v.p, v.full); err != nil {
			return err
		}
	}
	if err := t.change(m.shop, m.id, "updated", m.o.cause); err != nil {
		return err
	}
	if err := t.turned(m.shop, m.id, m.h.status, statusOf(m.selected, v.full), m.o.cause); err != nil {
		return err
	}
	if err := t.unpass(m.shop, m.id); err != nil {
		return err
	}
	return t.fail("after change feed")
}

// turned tells in the change feed that a product's status changed.
func (t *tx) turned(shop string, id int64, before, after, cause string) error {
	switch {
	case before == after:
		return nil
	case after == active:
		return t.change(shop, id, "activated", cause)
	default:
		return t.change(shop, id, "deactivated", cause)
	}
}

// updateVariants writes the carried variants that differ from the stored ones,
// adds new ones and, only when the payload is known to carry all, removes those
// it does not name. A variant that stays keeps its internal id.
func (t *tx) updateVariants(productID int64, p, full *catalog.Product) error {
	type stored struct {
		id, hash int64
		keys     [3]driver.Value
	}
	have := make(map[int64]stored, len(p.Variants.Value()))
	const all = `SELECT external_id, id, row_hash, sku, inventory_item_id, barcode FROM variants WHERE product_id = ?`
	err := t.each(all, 3+len(variantKeys), func(row []driver.Value) error {
		have[asInt(row[0])] = stored{id: asInt(row[1]), hash: asInt(row[2]), keys: [3]driver.Value(row[3:])}
		return nil
	}, productID)
	if err != nil {
		return fmt.Errorf("read variants: %w", err)
	}

	carried := p.Variants.Value()
	var merged map[int64]*catalog.Variant
	if full != p {
		merged = make(map[int64]*catalog.Variant, len(carried))
		for i := range full.Variants.Value() {
			merged[full.Variants.Value()[i].ID] = &full.Variants.Value()[i]
		}
	}
	for i := range carried {
		v := &carried[i]
		if merged != nil {
			v = merged[v.ID]
		}
		old, ok := have[v.ID]
		switch {
		case !ok:
			err = t.insertVariant(productID, v)
		default:
			err = t.updateVariant(old.id, old.hash, old.keys[:], v)
		}
		if err != nil {
			return err
		}
		delete(have, v.ID)
	}
	if !p.VariantsComplete {
		return nil
	}
	for _, gone := range have {
		if err := t.do("remove variant", `DELETE FROM variants WHERE id = ?`, gone.id); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) insertVariant(productID int64, v *catalog.Variant) error {
	return t.do("insert variant", insertOneVariant(), appendVariant(make([]any, 0, variantArgs()), productID, v)...)
}

func appendVariant(args []any, productID int64, v *catalog.Variant) []any {
	return appendFields(append(args, productID, v.ID, rowHash(v)), v, catalog.VariantFields)
}

// updateVariant writes a variant over its row, unless the row was last written from
// the same values.
func (t *tx) updateVariant(id, hash int64, keys []driver.Value, v *catalog.Variant) error {
	is := rowHash(v)
	if is == hash {
		return nil
	}
	args := append(make([]any, 0, variantArgs()), is)
	return setFields(t, `UPDATE variants SET (row_hash`, args, v, catalog.VariantFields, keys, id)
}

// variantKeys are the fields of a variant that have an index. SQLite rewrites an
// index's entries whenever its column is set, so they are set only when they change.
var variantKeys = []string{"sku", "inventory_item_id", "barcode"}

// setFields writes the fields that are carried over a row: an absent one keeps its
// stored value. update is the statement up to the columns of args, keys are the
// stored values of variantKeys, nil for a product.
func setFields[T any](
	t *tx, update string, args []any, of *T, fields []catalog.Kept[T], keys []driver.Value, id int64,
) error {
	key := updateKey{update: update}
	for i := range fields {
		c := fields[i].At(of)
		if !c.Present() {
			continue
		}
		value := arg(c)
		if at := slices.Index(variantKeys, fields[i].Name); at >= 0 && keys != nil && keys[at] == value {
			continue
		}
		key.fields |= 1 << i
		args = append(args, value)
	}
	text, ok := t.conn.updates[key]
	if !ok {
		text = update
		for i := range fields {
			if key.fields&(1<<i) != 0 {
				text += ", " + fields[i].ColumnName()
			}
		}
		text += ") = " + marks(len(args)) + " WHERE id = ?"
		t.conn.updates[key] = text
	}
	return t.do("update row", text, append(args, id)...)
}

// updateKey names an UPDATE of some fields.
type updateKey struct {
	update string
	fields uint64
}
