package store

import (
	"database/sql/driver"
	"fmt"

	"stockroom/catalog"
)

// upsert judges a product against what is stored and writes it when it is
// newer. Order is decided by the body's updated_at, to the second: that is its
// resolution in webhooks, so ties are normal (shopify.md 1.6). Two different
// contents of one second are decided by a fetch; until then the one triggered
// later stands.
func (t *tx) upsert(shop string, p *catalog.Product, h head, o origin) (verdict, error) {
	if h.tombstone != 0 && (!o.authoritative || o.started <= h.tombstone && h.tombstone <= t.now) && t.s.opt.Break != BreakTombstone {
		return verdict{outcome: Stale, reason: "the product was deleted, and Shopify never uses a product id again"}, nil
	}
	if h.id == 0 {
		return t.create(shop, p, h, o)
	}

	version, known := p.UpdatedAt.Get()
	older := known && h.hasVersion && version/1000 < h.updatedAt/1000 && t.s.opt.Break != BreakOrder
	switch {
	case !known && !o.authoritative:
		return verdict{
			outcome: Stale, reason: "the body has no updated_at, so its place in the order is unknown; the product is fetched",
			want: &Wanted{Shop: shop, Kind: WantProduct, ID: p.ID, Reason: "a body without updated_at arrived"},
		}, nil
	case older && (!o.authoritative || h.writtenSince(o, t.now)):
		return verdict{outcome: Stale, reason: "a newer version is stored"}, nil
	}
	if !h.selected && !o.authoritative && t.leavesOut(shop, p.ID) {
		return verdict{outcome: Ignored, reason: "the product is not selected"}, nil
	}

	full, old, want, err := t.full(shop, p, h)
	if err != nil {
		return verdict{}, err
	}
	hash := full.ContentHash().String()
	selected, judged := t.s.selectionOf(shop).Judge(full)
	if !judged {
		selected = h.selected
	}
	if !h.selected && !selected {
		return verdict{outcome: Ignored, reason: "the product is not selected"}, t.passOver(shop, p, o)
	}
	if !h.selected && !o.authoritative {
		if newer, err := t.passedOver(shop, p.ID, version); err != nil || newer {
			return verdict{outcome: Stale, reason: "a newer version was passed over by the selection"}, err
		}
	}

	if older {
		if wins, settles, err := t.refuse(shop, p.ID, h.syncedAt, hash, o); err != nil || !wins {
			return refused(shop, p.ID, settles, "the stored version is dated later"), err
		}
	}
	if known && h.hasVersion && version/1000 == h.updatedAt/1000 {
		if hash == h.hash && selected == h.selected {
			v := verdict{outcome: Stale, reason: "the same version is stored"}
			if !o.authoritative {
				return v, t.retime(shop, p, full, h, o)
			}
			damage, unweighed, err := t.damage(h, old, full, hash, selected)
			if err != nil {
				return verdict{}, err
			}
			if damage == nil {
				if unweighed {
					if err := t.weigh(shop, p, full, h, o); err != nil {
						return verdict{}, err
					}
				}
				v.want = want
				return v, t.reread(shop, p.ID, h, o)
			}
			return t.mend(shop, p, full, h, o, selected, damage)
		}
		if hash != h.hash && o.authoritative && h.writtenSince(o, t.now) {
			return verdict{
				outcome: Stale, reason: "the same second as the stored version, which was written after the read began; the product is fetched to decide",
				want: &Wanted{Shop: shop, Kind: WantProduct, ID: p.ID, Reason: "two versions of the same second differ"},
			}, nil
		}
		if hash != h.hash && !o.authoritative && h.readAt >= h.updatedAt/1000*1000+readLater {
			return verdict{outcome: Stale, reason: "the same second as the stored version, which the shop itself showed after that second"}, nil
		}
		if hash != h.hash && !o.authoritative {
			want = &Wanted{Shop: shop, Kind: WantProduct, ID: p.ID, Reason: "two versions of the same second differ"}
			if o.triggered != 0 && h.triggered != 0 && o.triggered <= h.triggered {
				return verdict{outcome: Stale, reason: "the same second as the stored version but triggered earlier; the product is fetched to decide", want: want}, nil
			}
		}
	}
	v := verdict{outcome: Applied, want: want}
	if o.report {
		if old == nil {
			if old, err = t.load(h.id); err != nil {
				return verdict{}, err
			}
		}
		v.diff = differences(old, full)
	}
	if err := t.update(shop, p, full, h, o, selected, hash); err != nil {
		return verdict{}, err
	}
	return v, t.unpass(shop, p.ID)
}

// leavesOut reports whether the selection leaves a product out by its id. A row
// that is left out but need not be is of a shop that was removed and added again.
func (t *tx) leavesOut(shop string, id int64) bool {
	sel := t.s.selectionOf(shop)
	return !sel.ByContent() && !sel.Selects(id, nil, "", "")
}

// refused is the verdict on a read that what is stored stands against for now.
func refused(shop string, id, settles int64, why string) verdict {
	return verdict{
		outcome: Stale, refused: settles, reason: why + " than what the shop shows; the product is read again until that is decided",
		want: &Wanted{Shop: shop, Kind: WantProduct, ID: id, Reason: why + " than what the shop shows"},
	}
}

// retime notes that the stored content was triggered again later in its second,
// so that it stands against others of that second. What the content's hash
// leaves out is taken from it: a variant's own time with the pictures of that
// time, and the numbers of images, which a read of the shop does not show.
func (t *tx) retime(shop string, p, full *catalog.Product, h head, o origin) error {
	later := o.triggered > h.triggered
	if later {
		if _, err := t.exec(`UPDATE products SET triggered_ns = ? WHERE id = ?`, o.triggered, h.id); err != nil {
			return fmt.Errorf("note trigger time: %w", err)
		}
	}
	if !later && h.triggered != 0 { // what a delivery wrote has the numbers
		return nil
	}
	old, err := t.load(h.id)
	if err != nil {
		return err
	}
	if later && p.Variants.Present() && untimed(old, full) {
		if !unpictured(old, full) {
			return t.updateVariants(h.id, p, full)
		}
		return t.weigh(shop, p, full, h, o)
	}
	with := *old
	if number(&with, full.Images.Value()); !unpictured(old, &with) {
		return nil
	}
	return t.weigh(shop, &with, &with, h, o)
}

// create writes a product that has no row yet.
func (t *tx) create(shop string, p *catalog.Product, h head, o origin) (verdict, error) {
	if !t.rows.isNew(p.ID) {
		if err := t.ownID(shop, p.ID, o); err != nil {
			return verdict{}, err
		}
	}
	sel := t.s.selectionOf(shop)
	selected, judged := sel.Judge(p)
	switch {
	case !judged && !o.authoritative:
		return verdict{
			outcome: Applied, reason: "the selection's rules need fields that the body lacks; the product is fetched",
			want: &Wanted{Shop: shop, Kind: WantProduct, ID: p.ID, Reason: "a new product's body lacks what the selection's rules look at"},
		}, nil
	case !selected:
		return verdict{outcome: Ignored, reason: "the product is not selected"}, t.passOver(shop, p, o)
	}
	if h.tombstone > t.now && o.started <= h.tombstone && t.s.opt.Break != BreakTombstone {
		// Written under a clock that was put back since, so it proves little.
		if wins, settles, err := t.refuse(shop, p.ID, h.tombstone, p.ContentHash().String(), o); err != nil || !wins {
			return refused(shop, p.ID, settles, "it was deleted here later"), err
		}
	}
	if sel.ByContent() && !o.authoritative {
		if newer, err := t.passedOver(shop, p.ID, p.UpdatedAt.Value()); err != nil || newer {
			return verdict{outcome: Stale, reason: "a newer version was passed over by the selection"}, err
		}
	}
	want := wantedRest(shop, p)
	if want == nil && !o.authoritative {
		late, err := t.provenSince(shop, p.UpdatedAt.Value())
		if err != nil {
			return verdict{}, err
		}
		if late {
			want = &Wanted{Shop: shop, Kind: WantProduct, ID: p.ID, Reason: "it is older than the last comparison, which did not show it"}
		}
	}
	if h.tombstone != 0 {
		if _, err := t.exec(`DELETE FROM tombstones WHERE shop = ? AND external_id = ?`, shop, p.ID); err != nil {
			return verdict{}, fmt.Errorf("lift tombstone: %w", err)
		}
	}
	if err := t.insertProductAs(nil, shop, p, o, true); err != nil {
		return verdict{}, err
	}
	return verdict{outcome: Applied, created: true, want: want}, t.unpass(shop, p.ID)
}

// provenSince reports whether the whole catalogue was compared after an instant
// (Unix milliseconds). A product of before that is new here is one whose end was
// not told, or one that the comparison passed by.
func (t *tx) provenSince(shop string, at int64) (bool, error) {
	n, err := t.count(`SELECT EXISTS (SELECT 1 FROM sync_runs WHERE shop = ?1 AND kind = 'reconcile' AND proven_at > 0 AND proven_at > ?2)
		OR EXISTS (SELECT 1 FROM sync_runs WHERE shop = ?1 AND kind = 'full' AND proven_at > 0 AND proven_at > ?2)`, shop, at)
	if err != nil {
		return false, fmt.Errorf("look for the last comparison: %w", err)
	}
	return n != 0, nil
}

// remove deletes a product for good. A delete carries no time, and Shopify
// never uses a product id again, so it wins over every version of the product.
func (t *tx) remove(shop string, id int64, h head, o origin) (verdict, error) {
	if !o.authoritative { // what a read does not show is not this shop's, whoever has it
		if err := t.ownID(shop, id, o); err != nil {
			return verdict{}, err
		}
	}
	if h.tombstone != 0 && h.id == 0 {
		if !o.authoritative {
			return verdict{outcome: Stale, reason: "the product was already deleted"}, nil
		}
		if err := t.settled(shop, id); err != nil {
			return verdict{}, err
		}
		return verdict{outcome: Stale, reason: "the product was already deleted"}, t.confirmed(shop, id, o)
	}
	if h.id != 0 {
		if _, err := t.exec(`DELETE FROM products WHERE id = ?`, h.id); err != nil {
			return verdict{}, fmt.Errorf("delete product: %w", err)
		}
		if err := t.change(shop, id, "deleted", o.cause); err != nil {
			return verdict{}, err
		}
	}
	_, err := t.exec(`
		INSERT INTO tombstones (shop, external_id, written_at, cause) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET written_at = excluded.written_at, cause = excluded.cause`,
		shop, id, t.now, o.cause)
	if err != nil {
		return verdict{}, fmt.Errorf("write tombstone: %w", err)
	}
	if _, err := t.exec(`DELETE FROM wanted WHERE shop = ? AND kind = 'fetch_product' AND external_id = ?`, shop, id); err != nil {
		return verdict{}, fmt.Errorf("drop wanted fetch: %w", err)
	}
	if err := t.settled(shop, id); err != nil {
		return verdict{}, err
	}
	return verdict{outcome: Applied}, t.unpass(shop, id)
}

// OwnerCause begins the cause of a removal from a shop whose product it never was;
// the rest is the shop that it belongs to.
const OwnerCause = "owner:"

// ownID fails when another shop's row holds the id. Ids are unique over all shops,
// so one of the two is not of its shop: the shop of a delivery is a header, which
// is not signed. A read of this shop, which has just shown the product, decides
// when no read of the other one did: then the other's row goes.
func (t *tx) ownID(shop string, id int64, o origin) error {
	var row [2]driver.Value
	found, err := t.one(`SELECT shop, read_at FROM products WHERE external_id = ? AND shop <> ?`, row[:], id, shop)
	switch {
	case err != nil:
		return fmt.Errorf("look for the id in other shops: %w", err)
	case !found:
		return nil
	case !o.authoritative || row[1] != nil:
		return ErrOtherShop
	}
	other := asText(row[0])
	h, err := t.shownHead(other, id)
	if err == nil {
		o.cause = OwnerCause + shop
		_, err = t.remove(other, id, h, o)
	}
	return err
}

// passedOver reports whether a version newer than the given one was ignored
// because the selection did not match it. Such a version is kept nowhere else,
// and without this an older one that does match would win over it.
func (t *tx) passedOver(shop string, id, version int64) (bool, error) {
	n, err := t.count(`
		SELECT (SELECT count(*) FROM deliveries
		        WHERE external_id = ?1 AND shop = ?2 AND outcome = 'ignored' AND version_at / 1000 > ?3)
		     + (SELECT count(*) FROM passed_over WHERE shop = ?2 AND external_id = ?1 AND version_at / 1000 > ?3)`, id, shop, version/1000)
	if err != nil {
		return false, fmt.Errorf("look for passed over versions: %w", err)
	}
	return n > 0, nil
}

// passOver notes the version that an authoritative read showed and the
// selection's rules did not match.
func (t *tx) passOver(shop string, p *catalog.Product, o origin) error {
	if !o.authoritative || !t.s.selectionOf(shop).ByContent() {
		return nil
	}
	_, err := t.exec(`
		INSERT INTO passed_over (shop, external_id, version_at, read_at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET version_at = excluded.version_at, read_at = excluded.read_at`, shop, p.ID, p.UpdatedAt.Value(), o.started)
	if err != nil {
		return fmt.Errorf("note passed over version: %w", err)
	}
	return nil
}

// unpass forgets the passed over version of a product that is stored or gone
// now. Only rules pass versions over.
func (t *tx) unpass(shop string, id int64) error {
	if !t.s.selectionOf(shop).ByContent() {
		return nil
	}
	if _, err := t.exec(`DELETE FROM passed_over WHERE shop = ? AND external_id = ?`, shop, id); err != nil {
		return fmt.Errorf("forget passed over version: %w", err)
	}
	return nil
}

// anyVariantPartial reports whether a carried variant lacks a field that
// webhooks carry; include_fields can cause that.
func anyVariantPartial(p *catalog.Product) bool {
	for i := range p.Variants.Value() {
		v := &p.Variants.Value()[i]
		if !v.Title.Present() || !v.SKU.Present() || !v.Barcode.Present() || !v.Price.Present() ||
			!v.CompareAtPrice.Present() || !v.Position.Present() || !v.Option1.Present() ||
			!v.Option2.Present() || !v.Option3.Present() || !v.InventoryItemID.Present() ||
			!v.InventoryQuantity.Present() || !v.InventoryPolicy.Present() || !v.Taxable.Present() ||
			!v.ImageID.Present() || !v.CreatedAt.Present() || !v.UpdatedAt.Present() {
			return true
		}
	}
	return false
}

// wantedRest returns the fetch that a payload makes necessary which does not
// carry the whole product, nil for none.
func wantedRest(shop string, p *catalog.Product) *Wanted {
	w := &Wanted{Shop: shop, Kind: WantProduct, ID: p.ID}
	switch p.Coverage {
	case catalog.Truncated:
		named := len(p.Named.Value())
		if named == 0 {
			w.Reason = fmt.Sprintf("the webhook carried %d variants, the most it can, so there may be more", len(p.Variants.Value()))
		} else {
			w.Reason = fmt.Sprintf("the webhook carried %d of %d variants", len(p.Variants.Value()), named)
		}
	case catalog.Partial:
		w.Reason = "the webhook carried only some of the product's fields"
	default:
		if !p.ImagesUnordered {
			return nil
		}
		w.Reason = unorderedImages
	}
	return w
}

// readLater is how long after a second a read of the shop has to begin that shows
// the last version of that second, clocks that differ allowed for.
const readLater = 60 * 1000

// readAgain is for how long after its time a version that a read confirms is
// noted as read anew. Later reads say nothing more of it.
const readAgain = 24 * 60 * 60 * 1000

// reread notes that a read of the shop showed the stored version. An edit of the
// same second may hide behind a version until the shop is read after that second.
func (t *tx) reread(shop string, id int64, h head, o origin) error {
	if o.started > h.readAt && h.readAt < h.updatedAt+readAgain {
		if _, err := t.exec(`UPDATE products SET read_at = ? WHERE id = ?`, o.started, h.id); err != nil {
			return fmt.Errorf("note the read: %w", err)
		}
	}
	if err := t.settled(shop, id); err != nil {
		return err
	}
	return t.confirmed(shop, id, o)
}

// confirmed drops the wanted fetch that an authoritative read has answered.
func (t *tx) confirmed(shop string, id int64, o origin) error {
	if t.noneWanted || o.unordered {
		return nil
	}
	_, err := t.exec(`DELETE FROM wanted WHERE shop = ? AND kind = 'fetch_product' AND external_id = ? AND wanted_at < ?`,
		shop, id, o.started)
	if err != nil {
		return fmt.Errorf("drop wanted fetch: %w", err)
	}
	return nil
}

// load reads a stored product with its variants, every field present.
func (t *tx) load(id int64) (*catalog.Product, error) {
	var row [productColumnCount]driver.Value
	found, err := t.one(`SELECT `+productColumns+` FROM products WHERE id = ?`, row[:], id)
	if err != nil {
		return nil, fmt.Errorf("read product: %w", err)
	}
	if !found {
		return nil, fmt.Errorf("read product %d: %w", id, ErrNotFound)
	}
	p, err := productFromRow(row[:])
	if err != nil {
		return nil, err
	}
	var variants []catalog.Variant
	err = t.each(`SELECT `+variantColumns+` FROM variants WHERE product_id = ? ORDER BY external_id`, variantColumnCount,
		func(row []driver.Value) error {
			variants = append(variants, variantFromRow(row))
			return nil
		}, id)
	if err != nil {
		return nil, fmt.Errorf("read variants: %w", err)
	}
	p.Variants = catalog.Of(variants)
	return p, nil
}
