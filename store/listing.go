package store

import (
	"context"

	"stockroom/internal/catalog"
)

// LocalProduct is what a reconciliation compares of a stored product.
type LocalProduct struct {
	ID        int64
	UpdatedAt int64 // Unix milliseconds, 0 for unknown
	Variants  int
	Selected  bool
	SyncedAt  int64 // when the row was last written, Unix milliseconds
	// ReadAt is when the newest read of the shop itself began that showed this
	// version, Unix milliseconds; 0: only deliveries brought it.
	ReadAt int64
	// Stock is what that read said is in stock of all variants together; null for
	// unknown.
	Stock catalog.Field[int64]
}

// Listing returns up to limit stored products of a shop after an external id,
// by external id ascending.
func (s *Store) Listing(ctx context.Context, shop string, after int64, limit int) ([]LocalProduct, error) {
	return query(ctx, s, func(scan func(...any) error) (LocalProduct, error) {
		var p LocalProduct
		err := scan(&p.ID, &p.UpdatedAt, &p.Variants, &p.Selected, &p.SyncedAt, &p.ReadAt, &kept{&p.Stock, catalog.Exact})
		return p, err
	}, `SELECT external_id, coalesce(shopify_updated_at, 0), (SELECT count(*) FROM variants v WHERE v.product_id = p.id), selected, synced_at, coalesce(read_at, 0),
	           (SELECT stock_total FROM products s INDEXED BY products_by_external_id WHERE s.external_id = p.external_id AND s.id = p.id)
	    FROM products p WHERE shop = ? AND external_id > ? ORDER BY external_id LIMIT ?`, shop, after, limit)
}

// Passed is a version that the shop itself showed and that the selection's
// rules did not match, so that it was not stored.
type Passed struct {
	ID        int64
	UpdatedAt int64 // Unix milliseconds, 0 for unknown
	ReadAt    int64 // when the read began that showed it, Unix milliseconds
}

// PassedOver returns up to limit versions that were passed over after an
// external id, ascending. A changed selection forgets them.
func (s *Store) PassedOver(ctx context.Context, shop string, after int64, limit int) ([]Passed, error) {
	return query(ctx, s, func(scan func(...any) error) (Passed, error) {
		var p Passed
		err := scan(&p.ID, &p.UpdatedAt, &p.ReadAt)
		return p, err
	}, `SELECT external_id, version_at, read_at FROM passed_over WHERE shop = ? AND external_id > ? ORDER BY external_id LIMIT ?`, shop, after, limit)
}

// LastByTopic returns the newest arrival (Unix milliseconds) of each topic
// among the newest 20,000 journal rows. Samples that Stockroom sent itself, and
// bodies that do not fit the topic in their unsigned header, show nothing about
// what Shopify sends.
func (s *Store) LastByTopic(ctx context.Context, shop string) (map[string]int64, error) {
	type last struct {
		topic string
		at    int64
	}
	list, err := query(ctx, s, func(scan func(...any) error) (l last, err error) {
		err = scan(&l.topic, &l.at)
		return l, err
	}, `SELECT topic, max(at) FROM (SELECT shop, topic, webhook_id, outcome, coalesce(last_at, received_at) AS at FROM deliveries ORDER BY id DESC LIMIT 20000)
	    WHERE shop = ? AND outcome <> 'mismatch' AND coalesce(webhook_id, '') NOT LIKE '`+SampleID+`%' GROUP BY topic`, shop)
	if err != nil {
		return nil, err
	}
	byTopic := make(map[string]int64, len(list))
	for _, l := range list {
		byTopic[l.topic] = l.at
	}
	return byTopic, nil
}
