package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
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
		err := t.do("write shop", `
			INSERT INTO shops (shop, merchant_id, state, reason, added_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET merchant_id = excluded.merchant_id, state = excluded.state, reason = excluded.reason`,
			shop.Shop, orNull(shop.MerchantID), shop.State, orNull(shop.Reason), shop.AddedAt)
		if err != nil {
			return err
		}
		if known && old != shop.MerchantID {
			if err := t.do("write merchant id", `UPDATE products SET merchant_id = ? WHERE shop = ?`, orNull(shop.MerchantID), shop.Shop); err != nil {
				return err
			}
		}
		t.s.settings.touched = true
		t.s.settings.merchants[shop.Shop] = shop.MerchantID
		return nil
	})
}

// Removal is what became of a removed shop's products.
type Removal struct {
	Deactivated int // ACTIVE before and INACTIVE now
	Deleted     int
}

// RemoveShop forgets a shop: its row, selection, wanted work and sync runs with
// their reports. Nobody keeps its products current any more, so they are left out
// and INACTIVE; the first read after the shop was added again brings them back.
// With purge everything else of it goes too: products, tombstones, journal and
// feed. The feed then says that each product was deleted.
func (s *Store) RemoveShop(ctx context.Context, shop string, purge bool, cause string) (done Removal, err error) {
	err = s.write(ctx, s.urgent, groupRows, func(t *tx) error {
		done = Removal{}
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
			if err := t.do("remove shop", sql, shop); err != nil {
				return err
			}
		}
		t.s.settings.touched = true
		delete(t.s.settings.merchants, shop)
		delete(t.s.settings.selections, shop)
		maps.DeleteFunc(t.s.settings.open, func(key productKey, _ difference) bool { return key.shop == shop })
		var all []turn
		err := t.each(`SELECT id, external_id, status FROM products WHERE shop = ? ORDER BY external_id`, 3, func(row []driver.Value) error {
			all = append(all, turn{asInt(row[0]), asInt(row[1]), asText(row[2]), inactive, false})
			return nil
		}, shop)
		if err != nil {
			return fmt.Errorf("list products: %w", err)
		}
		if purge {
			done.Deleted = len(all)
			return t.purge(shop, all, cause)
		}
		for _, c := range all {
			if c.before == active {
				done.Deactivated++
			}
			if err := t.turnProduct(shop, c, cause); err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

// purge deletes what is kept of a shop's products.
func (t *tx) purge(shop string, all []turn, cause string) error {
	for _, sql := range []string{
		`DELETE FROM products WHERE shop = ?`,
		`DELETE FROM tombstones WHERE shop = ?`,
		`DELETE FROM deliveries WHERE shop = ?`,
	} {
		if err := t.do("purge shop", sql, shop); err != nil {
			return err
		}
	}
	for _, c := range all {
		if err := t.change(shop, c.externalID, "deleted", cause); err != nil {
			return err
		}
	}
	return nil
}

// Shops returns the shops' rows, by domain.
func (s *Store) Shops(ctx context.Context) ([]Shop, error) {
	return query(ctx, s, func(scan func(...any) error) (Shop, error) {
		var row Shop
		err := scan(&row.Shop, &row.MerchantID, &row.State, &row.Reason, &row.AddedAt)
		return row, err
	}, `SELECT shop, coalesce(merchant_id, ''), state, coalesce(reason, ''), added_at FROM shops ORDER BY shop`)
}
