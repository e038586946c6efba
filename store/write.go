package store

import (
	"database/sql/driver"
	"fmt"

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
	args := append(make([]any, 0, productArgs), id, shop, orNull(t.s.merchantOf(shop)), p.ID)
	rowID, err := t.putProduct(t.appendProduct(args, p, &o, selected, hash))
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

// written are the columns of a product that every version brings.
const written = `status, shopify_status, selected, shopify_updated_at, triggered_ns, content_hash, synced_at, read_at,
	source, source_ref, delivery_id, published_at, shopify_created_at, title, vendor, product_type, handle, tags,
	options, images, body_html`

func (t *tx) appendProduct(args []any, p *catalog.Product, o *origin, selected bool, hash string) []any {
	return append(args,
		statusOf(selected, p), arg(p.Status), bit(selected), arg(p.UpdatedAt), orNull(o.triggered), hash, t.now, o.readAt(),
		o.source, orNull(o.ref), orNull(o.delivery), arg(p.PublishedAt), arg(p.CreatedAt), arg(p.Title), arg(p.Vendor),
		arg(p.ProductType), arg(p.Handle), tagsArg(p.Tags), optionsArg(p.Options), imagesArg(p.Images), arg(p.BodyHTML))
}

const insertProduct = `INSERT INTO products (id, shop, merchant_id, external_id, ` + written + `) VALUES `

// putProduct writes a product's row, or holds it back, and returns its number.
func (t *tx) putProduct(args []any) (int64, error) {
	if t.rows == nil {
		return t.insert(insertProduct+`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
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
	args := t.appendProduct(make([]any, 0, productArgs), v.full, &m.o, m.selected, m.hash)
	err := t.do("update product", `
		UPDATE products SET (`+written+`) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?`,
		append(args, m.h.id)...)
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
	type stored struct{ id, hash int64 }
	have := make(map[int64]stored, len(p.Variants.Value()))
	err := t.each(`SELECT external_id, id, row_hash FROM variants WHERE product_id = ?`, 3, func(row []driver.Value) error {
		have[asInt(row[0])] = stored{id: asInt(row[1]), hash: asInt(row[2])}
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
		case old.hash != rowHash(v):
			err = t.updateVariant(old.id, v)
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

// The columns of a variant that have an index, and the others. SQLite rewrites the
// entries of an index whenever its column is set.
const (
	variantKeys = `sku, inventory_item_id, barcode`
	variantRest = `row_hash, position, inventory_quantity, title, price, compare_at_price, option1, option2, option3,
		inventory_policy, taxable, image_id, shopify_created_at, shopify_updated_at`
	insertVariant = `
		INSERT INTO variants (product_id, external_id, ` + variantKeys + `, ` + variantRest + `, weight_grams) VALUES `
)

func (t *tx) insertVariant(productID int64, v *catalog.Variant) error {
	return t.do("insert variant", insertVariant+`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		appendVariant(make([]any, 0, variantArgs), productID, v)...)
}

func appendVariant(args []any, productID int64, v *catalog.Variant) []any {
	return append(args,
		productID, v.ID, arg(v.SKU), arg(v.InventoryItemID), arg(v.Barcode),
		rowHash(v), arg(v.Position), arg(v.InventoryQuantity), arg(v.Title), arg(v.Price), arg(v.CompareAtPrice),
		arg(v.Option1), arg(v.Option2), arg(v.Option3), arg(v.InventoryPolicy), flag(v.Taxable), arg(v.ImageID),
		arg(v.CreatedAt), arg(v.UpdatedAt), arg(v.WeightGrams))
}

// updateVariant writes a variant's fields. The indexed ones have a statement of
// their own that does nothing when they are unchanged. A weight that is absent
// keeps the stored one.
func (t *tx) updateVariant(id int64, v *catalog.Variant) error {
	args := appendVariant(make([]any, 0, variantArgs+2), id, v)
	keys, rest := args[2:5], args[5:]
	err := t.do("update variant", `
		UPDATE variants SET (`+variantRest+`) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?),
		       weight_grams = iif(?16, ?15, weight_grams) WHERE id = ?17`, append(rest, bit(v.WeightGrams.Present()), id)...)
	if err != nil {
		return err
	}
	return t.do("update variant's keys", `
		UPDATE variants SET (`+variantKeys+`) = (?1, ?2, ?3)
		WHERE id = ?4 AND (`+variantKeys+`) IS NOT (?1, ?2, ?3)`, keys[0], keys[1], keys[2], id)
}
