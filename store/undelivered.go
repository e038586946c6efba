package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stockroom/internal/catalog"
)

// SampleID begins the webhook id of a sample that Stockroom sends itself. Such a
// delivery shows nothing about what Shopify sends.
const SampleID = "stockroom-test-"

// keepUndelivered is how long they are kept; nobody asks for more than a day.
const keepUndelivered = 48 * time.Hour

// Undelivered are changes of a shop that runs read before a delivery told of
// them, as findings of the last day. The zero value says that there are none.
type Undelivered struct {
	Changes int // read so and not delivered since
	// Oldest and Newest are when the oldest and the newest of them were made, by
	// the shop's updated_at; zero for none. Topic should have told of the oldest.
	Oldest, Newest time.Time
	Topic          string
	Found          time.Time // when the newest of them was read
}

// hearing is what was heard from the shops, in memory.
type hearing struct {
	shops sync.Map // shop and topic to *atomic.Int64, Unix milliseconds of the newest delivery
	open  sync.Map // shop to struct{}: it may have undelivered changes
	// loaded: open knows what the file holds; until then every shop may have some.
	loaded atomic.Bool

	mu   sync.Mutex
	told map[productKey]int64 // newest version that a delivery told of which was not stored; at most mostTold
}

// mostTold bounds the products that are remembered so.
const mostTold = 10_000

// tells reports whether a delivery that was not stored told of a version.
func (h *hearing) tells(shop string, id, version int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	told, ok := h.told[productKey{shop, id}]
	return ok && told/1000 >= version/1000
}

func heardKey(shop, topic string) string { return shop + "\n" + topic }

// heard notes a valid delivery.
func (h *hearing) heard(d Delivery) {
	if !strings.HasPrefix(d.WebhookID, SampleID) {
		h.at(d.Shop, d.Topic, d.ReceivedAt.UnixMilli())
	}
}

func (h *hearing) at(shop, topic string, ms int64) {
	v, ok := h.shops.Load(heardKey(shop, topic))
	if !ok {
		v, _ = h.shops.LoadOrStore(heardKey(shop, topic), new(atomic.Int64))
	}
	raise(v.(*atomic.Int64), ms)
	for _, served := range catalog.Topic(topic).Serves() {
		h.at(shop, string(served), ms)
	}
}

func (h *hearing) mayBeOpen(shop string) bool {
	_, ok := h.open.Load(shop)
	return ok || !h.loaded.Load()
}

// Heard notes a valid delivery that is not stored now: it came. What it told of is
// kept in memory, so that a run which reads the change before the delivery comes
// again does not take it for undelivered.
func (s *Store) Heard(d Delivery, c catalog.Change) {
	s.hearing.heard(d)
	version, known := tellsUpTo(d, c)
	if !known || strings.HasPrefix(d.WebhookID, SampleID) {
		return
	}
	s.hearing.mu.Lock()
	defer s.hearing.mu.Unlock()
	if s.hearing.told == nil || len(s.hearing.told) >= mostTold {
		s.hearing.told = map[productKey]int64{}
	}
	key := productKey{d.Shop, c.ID}
	s.hearing.told[key] = max(s.hearing.told[key], version)
}

// LastHeard is when the newest valid delivery of a topic, or of an Event that serves
// it, came from a shop, stale ones and repeats too; zero for none among the newest rows of the journal.
func (s *Store) LastHeard(shop, topic string) time.Time {
	v, ok := s.hearing.shops.Load(heardKey(shop, topic))
	if !ok {
		return time.Time{}
	}
	return time.UnixMilli(v.(*atomic.Int64).Load())
}

// loadHearing reads what of it outlives the process.
func (s *Store) loadHearing(ctx context.Context) error {
	err := errors.Join(
		s.eachTime(ctx, func(key string, at int64) {
			shop, topic, _ := strings.Cut(key, "\n")
			s.hearing.at(shop, topic, at)
		}, `SELECT shop || char(10) || topic, max(at) FROM (SELECT shop, topic, webhook_id, outcome, coalesce(last_at, received_at) AS at FROM deliveries ORDER BY id DESC LIMIT ?)
		    WHERE outcome <> 'mismatch' AND coalesce(webhook_id, '') NOT LIKE '`+SampleID+`%' GROUP BY shop, topic`, activityRows),
		s.eachTime(ctx, func(shop string, _ int64) { s.hearing.open.Store(shop, struct{}{}) }, `SELECT DISTINCT shop, 0 FROM undelivered`))
	if err == nil {
		s.hearing.loaded.Store(true)
	}
	return err
}

// Undelivered tells which changes read since an instant no delivery has told of.
func (s *Store) Undelivered(ctx context.Context, shop string, since time.Time) (Undelivered, error) {
	if !s.hearing.mayBeOpen(shop) {
		return Undelivered{}, nil
	}
	u, err := queryOne(ctx, s, func(scan func(...any) error) (u Undelivered, err error) {
		var first, latest, found int64
		if err = scan(&u.Changes, &first, &latest, &found, &u.Topic); err == nil && u.Changes > 0 {
			u.Oldest, u.Newest, u.Found = time.UnixMilli(first), time.UnixMilli(latest), time.UnixMilli(found)
		}
		return u, err
	}, `SELECT coalesce(sum(changes), 0), coalesce(min(first_at), 0), coalesce(max(latest_at), 0), coalesce(max(found_at), 0),
	           coalesce((SELECT topic FROM undelivered WHERE shop = ?1 AND found_at >= ?2 ORDER BY first_at LIMIT 1), '')
	    FROM undelivered WHERE shop = ?1 AND found_at >= ?2`, shop, since.UnixMilli())
	if err != nil {
		return Undelivered{}, fmt.Errorf("read undelivered changes: %w", err)
	}
	return u, nil
}

// Delivered counts the changes of products since an instant that deliveries
// brought, also by a read that one asked for.
func (s *Store) Delivered(ctx context.Context, shop string, since time.Time) (n int, err error) {
	n, err = queryOne(ctx, s, scanOne[int], `SELECT count(*) FROM changes WHERE shop = ? AND at >= ? AND (cause LIKE 'delivery:%' OR cause = 'fetch') AND kind IN ('created', 'updated')`,
		shop, since.UnixMilli())
	if err != nil {
		return 0, fmt.Errorf("count delivered changes: %w", err)
	}
	return n, nil
}

// undelivered notes that a run has stored a version which no delivery has told
// of, when one should have.
func (t *tx) undelivered(r Read, m *matter, v verdict) error {
	p := m.p
	if p == nil || r.Run == 0 || r.Expected == nil || r.DryRun {
		return nil
	}
	version, known := p.UpdatedAt.Get()
	topic := m.toldBy(v)
	switch {
	case v.outcome != Applied, !known, v.drift != DriftMissing && version <= m.h.updatedAt,
		!r.Expected(topic, time.UnixMilli(version)):
		return nil
	}
	told, err := t.exists("look for the delivery of a change", `
		SELECT 1 FROM deliveries WHERE `+aboutProduct+` AND outcome <> 'mismatch' AND
		       (version_at / 1000 >= ?3 OR topic NOT LIKE '%/%' AND coalesce(last_at, received_at) / 1000 >= ?3)`,
		r.Shop, p.ID, catalog.Second(version))
	if err != nil || told || t.s.hearing.tells(r.Shop, p.ID, version) {
		return err
	}
	t.s.hearing.open.Store(r.Shop, struct{}{})
	return t.do("note an undelivered change", `
		INSERT INTO undelivered (shop, external_id, topic, first_at, latest_at, changes, found_at) VALUES (?1, ?2, ?3, ?4, ?4, 1, ?5)
		ON CONFLICT DO UPDATE SET latest_at = excluded.latest_at, changes = changes + 1, found_at = excluded.found_at
		WHERE excluded.latest_at > latest_at`, r.Shop, p.ID, string(topic), version, t.now)
}

// toldBy is the topic that should have told of a change. Where nothing differs but the
// stock, a subscription to products need not bring it, and no Event does.
func (m *matter) toldBy(v verdict) catalog.Topic {
	more := func(f catalog.FieldDiff) bool { return !strings.HasSuffix(f.Path, ".inventory_quantity") }
	switch {
	case v.drift == DriftMissing:
		return catalog.ProductsCreate
	case m.old == nil || slices.ContainsFunc(m.old.Diff(m.full), more):
		return catalog.ProductsUpdate
	}
	return catalog.InventoryLevelsUpdate
}

// delivered takes off what a delivery has told of: the changes of a product up to
// a version.
func (t *tx) delivered(d Delivery, id, version int64) error {
	if !t.s.hearing.mayBeOpen(d.Shop) || strings.HasPrefix(d.WebhookID, SampleID) {
		return nil
	}
	version = version/1000*1000 + 999 // versions are told apart by the second
	_, err := t.exec(`DELETE FROM undelivered WHERE shop = ? AND external_id = ? AND latest_at <= ?`, d.Shop, id, version)
	if err == nil {
		_, err = t.exec(`UPDATE undelivered SET first_at = latest_at, changes = 1 WHERE shop = ? AND external_id = ? AND first_at <= ?`, d.Shop, id, version)
	}
	if err != nil {
		return fmt.Errorf("take off delivered changes: %w", err)
	}
	return nil
}

// tellsUpTo is the newest version of its product that a delivery tells of. An Event
// carries none: what was changed before it came is read because of it.
func tellsUpTo(d Delivery, c catalog.Change) (version int64, known bool) {
	switch c.Kind {
	case catalog.Upsert:
		return c.Product.UpdatedAt.Get()
	case catalog.ProductEvent:
		return d.ReceivedAt.UnixMilli(), true
	}
	return 0, false
}

// tellsOf takes off what a delivery tells of, whatever became of it.
func (t *tx) tellsOf(d Delivery, c catalog.Change) error {
	if !t.s.hearing.mayBeOpen(d.Shop) {
		return nil
	}
	if version, known := tellsUpTo(d, c); known {
		return t.delivered(d, c.ID, version)
	}
	switch c.Kind {
	case catalog.Delete:
		return t.delivered(d, c.ID, lastVersion)
	case catalog.Inventory, catalog.ItemEvent: // a stock level that changes is a new version of its product
		var row [1]driver.Value
		found, err := t.one(`SELECT p.external_id FROM variants v JOIN products p ON p.id = v.product_id WHERE v.inventory_item_id = ? AND p.shop = ?`,
			row[:], c.ID, d.Shop)
		if err != nil {
			return fmt.Errorf("find product of inventory item: %w", err)
		}
		if found {
			return t.delivered(d, asInt(row[0]), d.ReceivedAt.UnixMilli())
		}
	}
	return nil
}

// lastVersion is after every version.
const lastVersion = 1 << 60
