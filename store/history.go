package store

import (
	"context"
	"errors"

	"stockroom/internal/catalog"
)

// DeliveryRow is one journal row.
type DeliveryRow struct {
	ID          int64   `json:"id"`
	Shop        string  `json:"shop"`
	Topic       string  `json:"topic"`
	WebhookID   *string `json:"webhook_id"`
	EventID     *string `json:"event_id"`
	ExternalID  *int64  `json:"external_id"`
	GID         *string `json:"gid"`
	ReceivedAt  Millis  `json:"received_at"`
	Count       int64   `json:"count"`   // deliveries of this body that ended so; all but the first changed nothing
	LastAt      Millis  `json:"last_at"` // when the newest of them arrived
	TriggeredAt *Millis `json:"triggered_at"`
	VersionAt   *Millis `json:"version_at"`
	Outcome     Outcome `json:"outcome"`
	DurationUS  int64   `json:"duration_us"`
	Error       *string `json:"error"`
}

const deliveryColumns = `id, shop, topic, webhook_id, event_id, external_id, received_at, count, coalesce(last_at, received_at), triggered_at, version_at, outcome, duration_us, error`

func scanDelivery(scan func(...any) error) (DeliveryRow, error) {
	var d DeliveryRow
	err := scan(&d.ID, &d.Shop, &d.Topic, &d.WebhookID, &d.EventID, &d.ExternalID, &d.ReceivedAt, &d.Count, &d.LastAt,
		&d.TriggeredAt, &d.VersionAt, &d.Outcome, &d.DurationUS, &d.Error)
	if resource := catalog.Topic(d.Topic).Resource(); resource != "" && d.ExternalID != nil && *d.ExternalID > 0 {
		gid := catalog.GID(resource, *d.ExternalID)
		d.GID = &gid
	}
	return d, err
}

// Deliveries returns the newest journal rows, before a row when before is not
// 0.
func (s *Store) Deliveries(ctx context.Context, shop string, before int64, limit int) ([]DeliveryRow, error) {
	return query(ctx, s, scanDelivery, `
		SELECT `+deliveryColumns+` FROM deliveries
		WHERE (?1 = '' OR shop = ?1) AND (?2 = 0 OR id < ?2) ORDER BY id DESC LIMIT ?3`, shop, before, limit)
}

// Change is one row of the change feed.
type Change struct {
	Seq        int64  `json:"seq"`
	Shop       string `json:"shop"`
	ExternalID int64  `json:"external_id"`
	GID        string `json:"gid"`
	Kind       string `json:"kind"`
	At         Millis `json:"at"`
	Cause      string `json:"cause"`
}

// Changes returns up to limit changes after seq in commit order, and the oldest
// seq that is kept (0 for an empty feed).
func (s *Store) Changes(ctx context.Context, after int64, limit int) (list []Change, oldest int64, err error) {
	list, err = query(ctx, s, scanChange, `
		SELECT seq, shop, external_id, kind, at, cause FROM changes WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
	if err != nil {
		return nil, 0, err
	}
	oldest, err = queryOne(ctx, s, scanOne[int64], `SELECT coalesce(min(seq), 0) FROM changes`)
	return list, oldest, err
}

func scanChange(scan func(...any) error) (Change, error) {
	var c Change
	err := scan(&c.Seq, &c.Shop, &c.ExternalID, &c.Kind, &c.At, &c.Cause)
	c.GID = catalog.GID("Product", c.ExternalID)
	return c, err
}

// Explanation is what is known of how a product came to be as it is.
type Explanation struct {
	Shop       string        `json:"shop"`
	ExternalID int64         `json:"external_id"`
	GID        string        `json:"gid"`
	Product    *ProductRow   `json:"product"`    // nil when there is no row
	DeletedAt  *Millis       `json:"deleted_at"` // tombstone
	DeletedBy  string        `json:"deleted_by,omitempty"`
	WrittenBy  *DeliveryRow  `json:"written_by"` // the delivery behind the present state, while the journal keeps it
	Wanted     []Wanted      `json:"wanted"`
	Deliveries []DeliveryRow `json:"deliveries"` // newest first, at most 100
	Changes    []Change      `json:"changes"`    // newest first, at most 100, of the newest changesLooked
}

// changesLooked bounds the feed that is looked through for one product: it has
// no index by product, as each would cost every delivery a page more.
const changesLooked = 50_000

// aboutProduct are the deliveries about the product ?2 of the shop ?1 and the
// inventory of its variants, classic and Events: topics compare without regard to case.
const aboutProduct = `external_id IN (SELECT ?2 UNION ALL
	      SELECT v.inventory_item_id FROM variants v JOIN products p ON p.id = v.product_id
	      WHERE p.shop = ?1 AND p.external_id = ?2 AND v.inventory_item_id IS NOT NULL)
	  AND shop = ?1 AND (topic LIKE 'inventory%' OR external_id = ?2 AND ` + ofProducts + `)`

const ofProducts = `topic LIKE 'product%'`

const explainDeliveries = `
	SELECT ` + deliveryColumns + ` FROM deliveries
	WHERE ` + aboutProduct + ` ORDER BY id DESC LIMIT 100`

// found is nil for what there is no row of.
func found[T any](v T, err error) (*T, error) {
	if err == nil {
		return &v, nil
	}
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return nil, err
}

// Explain tells which delivery wrote the present state of a product, what came
// since and why it was ignored. A product nothing is known of is ErrNotFound.
func (s *Store) Explain(ctx context.Context, shop string, externalID int64) (Explanation, error) {
	e := Explanation{Shop: shop, ExternalID: externalID, GID: catalog.GID("Product", externalID)}
	var err error
	if e.Product, err = found(s.Product(ctx, shop, externalID)); err != nil {
		return e, err
	}
	e.DeletedAt, err = found(queryOne(ctx, s, func(scan func(...any) error) (at Millis, err error) {
		err = scan(&at, &e.DeletedBy)
		return at, err
	}, `SELECT written_at, cause FROM tombstones WHERE shop = ? AND external_id = ?`, shop, externalID))
	if err != nil {
		return e, err
	}
	e.Deliveries, err = query(ctx, s, scanDelivery, explainDeliveries, shop, externalID)
	if err != nil {
		return e, err
	}
	if e.Product != nil && e.Product.DeliveryID != nil {
		const one = `SELECT ` + deliveryColumns + ` FROM deliveries WHERE id = ?`
		if e.WrittenBy, err = found(queryOne(ctx, s, scanDelivery, one, *e.Product.DeliveryID)); err != nil {
			return e, err
		}
	}
	e.Wanted, err = query(ctx, s, scanWanted, wantedRows+` WHERE shop = ? AND kind = 'fetch_product' AND external_id = ?`, shop, externalID)
	if err != nil {
		return e, err
	}
	e.Changes, err = query(ctx, s, scanChange, `
		SELECT seq, shop, external_id, kind, at, cause FROM changes
		WHERE shop = ? AND external_id = ? AND seq > ? ORDER BY seq DESC LIMIT 100`, shop, externalID, s.LastSeq()-changesLooked)
	if err != nil {
		return e, err
	}
	if e.Product == nil && e.DeletedAt == nil && len(e.Deliveries) == 0 && len(e.Wanted) == 0 {
		return e, ErrNotFound
	}
	return e, nil
}
