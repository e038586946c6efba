package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"maps"

	"stockroom/catalog"
)

// Shop is a shop's row. Its credentials are not here: people copy this file
// around.
type Shop struct {
	Shop       string
	MerchantID string
	State      string // active, paused or uninstalled
	Reason     string // why it is not active
	AddedAt    int64
}

// PutShop adds a shop or changes its row, and puts a changed merchant id on the
// shop's products.
func (s *Store) PutShop(ctx context.Context, shop Shop) error {
	return s.write(ctx, s.urgent, 1, func(t *tx) error {
		if shop.State == "" {
			shop.State = "active"
		}
		if shop.AddedAt == 0 {
			shop.AddedAt = t.now
		}
		old, known := t.s.settings.merchants[shop.Shop]
		_, err := t.exec(`
			INSERT INTO shops (shop, merchant_id, state, reason, added_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET merchant_id = excluded.merchant_id, state = excluded.state, reason = excluded.reason`,
			shop.Shop, orNull(shop.MerchantID), shop.State, orNull(shop.Reason), shop.AddedAt)
		if err != nil {
			return fmt.Errorf("write shop: %w", err)
		}
		if known && old != shop.MerchantID {
			if _, err := t.exec(`UPDATE products SET merchant_id = ? WHERE shop = ?`, orNull(shop.MerchantID), shop.Shop); err != nil {
				return fmt.Errorf("write merchant id: %w", err)
			}
		}
		t.s.settings.touched = true
		t.s.settings.merchants[shop.Shop] = shop.MerchantID
		return nil
	})
}

// RemoveShop forgets a shop: its row, selection, wanted work and sync runs with
// their reports. With purge
// everything else of it goes too: products, tombstones, journal and feed. The
// feed then says that each product was deleted.
func (s *Store) RemoveShop(ctx context.Context, shop string, purge bool, cause string) (products int, err error) {
	err = s.write(ctx, s.urgent, groupRows, func(t *tx) error {
		products = 0
		for _, sql := range []string{
			`DELETE FROM shops WHERE shop = ?`,
			`DELETE FROM selections WHERE shop = ?`,
			`DELETE FROM wanted WHERE shop = ?`,
			`DELETE FROM passed_over WHERE shop = ?`,
			`DELETE FROM undelivered WHERE shop = ?`,
			`DELETE FROM open_differences WHERE shop = ?`,
			`DELETE FROM sync_seen WHERE run IN (SELECT id FROM sync_runs WHERE shop = ?)`,
			`DELETE FROM drift WHERE run IN (SELECT id FROM sync_runs WHERE shop = ?)`,
			`DELETE FROM sync_runs WHERE shop = ?`,
		} {
			if _, err := t.exec(sql, shop); err != nil {
				return fmt.Errorf("remove shop: %w", err)
			}
		}
		t.s.settings.touched = true
		delete(t.s.settings.merchants, shop)
		delete(t.s.settings.selections, shop)
		maps.DeleteFunc(t.s.settings.open, func(key productKey, _ difference) bool { return key.shop == shop })
		if !purge {
			return nil
		}
		var ids []int64
		err := t.each(`SELECT external_id FROM products WHERE shop = ? ORDER BY external_id`, 1, func(row []driver.Value) error {
			ids = append(ids, asInt(row[0]))
			return nil
		}, shop)
		if err != nil {
			return fmt.Errorf("list products: %w", err)
		}
		for _, sql := range []string{
			`DELETE FROM products WHERE shop = ?`,
			`DELETE FROM tombstones WHERE shop = ?`,
			`DELETE FROM deliveries WHERE shop = ?`,
		} {
			if _, err := t.exec(sql, shop); err != nil {
				return fmt.Errorf("purge shop: %w", err)
			}
		}
		for _, id := range ids {
			if err := t.change(shop, id, "deleted", cause); err != nil {
				return err
			}
		}
		products = len(ids)
		return nil
	})
	return products, err
}

// SelectionEffect is what a changed selection did.
type SelectionEffect struct {
	Activated   int      `json:"activated"`
	Deactivated int      `json:"deactivated"`
	Wanted      []Wanted `json:"-"`
	ToFetch     int      `json:"to_fetch"` // products wanted from Shopify
}

// SetSelection replaces a shop's selection and applies it to every stored
// product in the same transaction: a product that is not selected any more
// becomes INACTIVE and keeps its content, one that is selected again takes its
// Shopify status and is fetched. Ids that are newly included and have no row
// are fetched; a selection that may match products never stored asks for a full
// sync.
func (s *Store) SetSelection(ctx context.Context, shop string, sel catalog.Selection) (SelectionEffect, error) {
	if err := sel.Validate(); err != nil {
		return SelectionEffect{}, err
	}
	text, err := json.Marshal(sel)
	if err != nil {
		return SelectionEffect{}, fmt.Errorf("encode selection: %w", err)
	}
	var effect SelectionEffect
	err = s.write(ctx, s.urgent, groupRows, func(t *tx) error {
		effect = SelectionEffect{}
		before := t.s.selectionOf(shop)
		_, err := t.exec(`
			INSERT INTO selections (shop, selection, changed_at) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET selection = excluded.selection, changed_at = excluded.changed_at`,
			shop, string(text), t.now)
		if err != nil {
			return fmt.Errorf("write selection: %w", err)
		}
		t.s.settings.touched = true
		t.s.settings.selections[shop] = sel
		if _, err := t.exec(`DELETE FROM passed_over WHERE shop = ?`, shop); err != nil {
			return fmt.Errorf("forget passed over versions: %w", err)
		}
		if err := t.reselect(shop, sel, &effect); err != nil {
			return err
		}
		return t.wantUnstored(shop, before, sel, &effect)
	})
	effect.ToFetch = len(effect.Wanted)
	return effect, err
}

// reselect applies the selection to the stored products.
func (t *tx) reselect(shop string, sel catalog.Selection, effect *SelectionEffect) error {
	type turn struct {
		id, externalID int64
		before, after  string
		selected       bool
	}
	var turns []turn
	err := t.each(`
		SELECT id, external_id, status, shopify_status, selected, vendor, product_type, tags
		FROM products WHERE shop = ?`, 8, func(row []driver.Value) error {
		tags, err := jsonField[[]string](row[7])
		if err != nil {
			return fmt.Errorf("column tags: %w", err)
		}
		selected := sel.Selects(asInt(row[1]), tags.Value(), asText(row[5]), asText(row[6]))
		if selected == (asInt(row[4]) != 0) {
			return nil
		}
		after := statusOf(selected, &catalog.Product{Status: textField(row[3])})
		turns = append(turns, turn{asInt(row[0]), asInt(row[1]), asText(row[2]), after, selected})
		return nil
	}, shop)
	if err != nil {
		return fmt.Errorf("read products: %w", err)
	}
	for _, c := range turns {
		_, err := t.exec(`UPDATE products SET selected = ?, status = ? WHERE id = ?`, boolArg(catalog.Of(c.selected)), c.after, c.id)
		if err != nil {
			return fmt.Errorf("turn product: %w", err)
		}
		if err := t.turned(shop, c.externalID, c.before, c.after, "select"); err != nil {
			return err
		}
		if !c.selected {
			effect.Deactivated++
			if _, err := t.exec(`DELETE FROM wanted WHERE shop = ? AND kind = 'fetch_product' AND external_id = ?`, shop, c.externalID); err != nil {
				return fmt.Errorf("drop wanted fetch: %w", err)
			}
			if err := t.settled(shop, c.externalID); err != nil {
				return err
			}
			continue
		}
		effect.Activated++
		w := Wanted{Shop: shop, Kind: WantProduct, ID: c.externalID, Reason: "it was selected again", At: Millis(t.now)}
		if err := t.want(w); err != nil {
			return err
		}
		effect.Wanted = append(effect.Wanted, w)
	}
	return nil
}

// wantUnstored asks for what the selection may match and no row holds.
func (t *tx) wantUnstored(shop string, before, sel catalog.Selection, effect *SelectionEffect) error {
	if sel.Mode != catalog.SelectInclude {
		if same, err := sameSelection(before, sel); err != nil || same {
			return err
		}
		w := Wanted{Shop: shop, Kind: WantSync, Reason: "the selection changed", At: Millis(t.now)}
		effect.Wanted = append(effect.Wanted, w)
		return t.want(w)
	}
	for _, id := range sel.Include {
		if !sel.Selects(id, nil, "", "") {
			continue
		}
		n, err := t.count(`SELECT (SELECT count(*) FROM products WHERE shop = ?1 AND external_id = ?2) +
			(SELECT count(*) FROM tombstones WHERE shop = ?1 AND external_id = ?2)`, shop, id)
		if err != nil {
			return fmt.Errorf("look for product: %w", err)
		}
		if n > 0 {
			continue
		}
		w := Wanted{Shop: shop, Kind: WantProduct, ID: id, Reason: "it was selected", At: Millis(t.now)}
		if err := t.want(w); err != nil {
			return err
		}
		effect.Wanted = append(effect.Wanted, w)
	}
	return nil
}

func sameSelection(a, b catalog.Selection) (bool, error) {
	if a.Mode == "" {
		a.Mode = catalog.SelectAll
	}
	if b.Mode == "" {
		b.Mode = catalog.SelectAll
	}
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return string(x) == string(y), err
}

// Shops returns the shops' rows, by domain.
func (s *Store) Shops(ctx context.Context) ([]Shop, error) {
	return query(ctx, s, func(scan func(...any) error) (Shop, error) {
		var row Shop
		err := scan(&row.Shop, &row.MerchantID, &row.State, &row.Reason, &row.AddedAt)
		return row, err
	}, `SELECT shop, coalesce(merchant_id, ''), state, coalesce(reason, ''), added_at FROM shops ORDER BY shop`)
}

// Selection returns a shop's selection, or ErrNotFound when none is stored.
func (s *Store) Selection(ctx context.Context, shop string) (catalog.Selection, error) {
	return queryOne(ctx, s, func(scan func(...any) error) (catalog.Selection, error) {
		var text string
		if err := scan(&text); err != nil {
			return catalog.Selection{}, err
		}
		return catalog.ParseSelection([]byte(text))
	}, `SELECT selection FROM selections WHERE shop = ?`, shop)
}

// SameSelection reports whether two selections are written the same.
func SameSelection(a, b catalog.Selection) bool {
	same, err := sameSelection(a, b)
	return err == nil && same
}
