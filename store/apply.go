package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"time"

	"stockroom/internal/catalog"
)

// Apply makes one delivery durable: it returns after the commit. The outcome
// is applied, stale, duplicate or ignored; ErrOtherShop says that the body's
// product belongs to another shop (a mismatch, nothing written);
// ErrUnavailable that the catalogue can't be written now; any other error that
// this one change can't be applied. ctx bounds the wait, not the commit.
func (s *Store) Apply(ctx context.Context, d Delivery, c catalog.Change) (Result, error) {
	var res Result
	d = s.repeats.hashed(d)
	err := s.write(ctx, s.urgent, weight(c), func(t *tx) error {
		var err error
		res, err = t.deliver(d, c)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	s.activity.add(d.Shop, d.ReceivedAt, time.Now())
	s.hearing.heard(d)
	return res, nil
}

// Record writes a journal row for a delivery that changes nothing here, for
// example one that was kept as a dead letter, and the work that it asks for, nil
// for none. It returns the work that nobody was told of lately.
func (s *Store) Record(
	ctx context.Context, d Delivery, externalID int64, outcome Outcome, reason string, want *Wanted,
) (*Wanted, error) {
	var told *Wanted
	d = s.repeats.hashed(d)
	err := s.write(ctx, s.urgent, 1, func(t *tx) error {
		e := entry{id: t.delivery + 1, externalID: externalID, outcome: outcome, reason: reason, want: want}
		err := t.journal(d, &e)
		told = e.want
		return err
	})
	if err == nil {
		s.activity.add(d.Shop, d.ReceivedAt, time.Now())
	}
	return told, err
}

func weight(c catalog.Change) int {
	if c.Product == nil {
		return 1
	}
	return 1 + len(c.Product.Variants.Value())
}

// head is what has to be known of a product before a change is judged.
type head struct {
	duplicate  bool
	tombstone  int64 // when it was written, 0 for none
	id         int64 // products.id, 0 when there is no row
	status     string
	selected   bool
	updatedAt  int64
	hasVersion bool
	triggered  int64 // nanoseconds, 0 when unknown
	hash       string
	syncedAt   int64 // when the row was last written
	readAt     int64 // when the shop's own read of this version began, 0 for none
}

// head reads it. dedupe is nil for a read of the shop, which is no delivery.
func (t *tx) head(shop string, externalID int64, dedupe any) (head, error) {
	var row [10]driver.Value
	_, err := t.one(`
		SELECT EXISTS (SELECT 1 FROM deliveries WHERE external_id IS ?2 AND dedupe = ?3 AND outcome IN ('applied', 'stale', 'ignored')),
		       t.written_at, p.id, p.status, p.selected, p.shopify_updated_at, p.triggered_ns, p.content_hash, p.synced_at, p.read_at
		FROM (SELECT 1)
		LEFT JOIN products p ON p.shop = ?1 AND p.external_id = ?2
		LEFT JOIN tombstones t ON t.shop = ?1 AND t.external_id = ?2`, row[:], shop, externalID, dedupe)
	if err != nil {
		return head{}, fmt.Errorf("read product: %w", err)
	}
	h := head{
		duplicate: asInt(row[0]) != 0,
		tombstone: asInt(row[1]),
		id:        asInt(row[2]),
		status:    asText(row[3]),
		selected:  asInt(row[4]) != 0,
		updatedAt: asInt(row[5]),
		triggered: asInt(row[6]),
		hash:      asText(row[7]),
		syncedAt:  asInt(row[8]),
		readAt:    asInt(row[9]),
	}
	_, h.hasVersion = row[5].(int64)
	return h, nil
}

// deliver judges a delivery, writes what follows from it and its journal row.
func (t *tx) deliver(d Delivery, c catalog.Change) (Result, error) {
	e := entry{id: t.delivery + 1, externalID: c.ID}
	seq := t.seq
	o := origin{
		source: "webhook", ref: d.WebhookID, delivery: e.id,
		cause: "delivery:" + strconv.FormatInt(e.id, 10),
	}
	if !d.TriggeredAt.IsZero() {
		o.triggered = d.TriggeredAt.UnixNano()
	}

	var v verdict
	h, err := t.head(d.Shop, c.ID, d.Dedupe)
	switch {
	case err != nil:
	case h.duplicate:
		v = verdict{outcome: Duplicate, reason: "this delivery was already handled"}
	case c.Kind == catalog.Upsert:
		e.version = c.Product.UpdatedAt
		v, err = t.decide(&matter{shop: d.Shop, id: c.ID, p: c.Product, o: o, h: h})
	case c.Kind == catalog.Delete:
		v, err = t.decide(&matter{shop: d.Shop, id: c.ID, o: o, h: h})
	case c.Kind == catalog.Inventory && !c.Untimed && t.repeatOf(d, Applied).id != 0:
		v = verdict{outcome: Duplicate, reason: "the same body asked for the read before"}
	case c.Kind == catalog.Inventory || c.Kind == catalog.ItemEvent:
		v, err = t.inventory(d.Shop, c.ID)
	case c.Kind == catalog.ProductEvent:
		v, err = t.announced(&matter{shop: d.Shop, id: c.ID, h: h})
	default:
		v, err = t.notice(d.Shop, c)
	}
	if err == nil && !h.duplicate {
		err = t.tellsOf(d, c)
	}
	if err != nil {
		return Result{}, err
	}
	e.outcome, e.reason, e.want, e.changed = v.outcome, v.reason, v.want, t.seq != seq
	e.untimed = c.Untimed
	if c.What != "" {
		e.reason = c.What + "; " + v.reason
	}
	if err := t.fail("before journal"); err != nil {
		return Result{}, err
	}
	err = t.journal(d, &e)
	return Result{Outcome: e.outcome, Reason: e.reason, DeliveryID: e.id, Wanted: e.want}, err
}

// origin is where a change comes from; it becomes the provenance of the row.
type origin struct {
	source    string // webhook, fetch, bulk, reconcile
	ref       string // webhook id, bulk operation id
	cause     string // the change feed's cause
	delivery  int64  // journal row, 0 for none
	triggered int64  // nanoseconds, 0 when unknown
	// authoritative is true for a read of the shop's present state; started
	// (Unix milliseconds) is when that read began.
	authoritative bool
	started       int64
	run           int64 // that the read belongs to, 0 for none
	report        bool  // tell what changes
	awaited       bool  // of some changes a delivery should have told
}

// readAt is when the read of the shop began, NULL for a delivery.
func (o origin) readAt() any {
	if !o.authoritative {
		return nil
	}
	return o.started
}

// notice handles the topics that change no product.
func (t *tx) notice(shop string, c catalog.Change) (verdict, error) {
	v := verdict{outcome: Applied}
	switch c.Kind {
	case catalog.Uninstalled:
		v.reason = "the API is asked whether the app is still installed"
		v.want = &Wanted{Shop: shop, Kind: WantUninstalled, Reason: "app/uninstalled arrived"}
	case catalog.ScopesChanged:
		v.want = &Wanted{Shop: shop, Kind: WantScopes, Reason: "app/scopes_update arrived"}
	case catalog.BulkFinished:
		v.want = &Wanted{Shop: shop, Kind: WantBulk, ID: c.ID, Reason: "bulk_operations/finish arrived"}
	case catalog.DataRequest, catalog.CustomerRedact:
		v.reason = "the copy holds no customer data"
	case catalog.OtherEvent:
		v = verdict{outcome: Ignored, reason: "the copy has nothing that this could change"}
	case catalog.ShopRedact:
		v.reason = "kept: the shop is not known to be uninstalled"
	default:
		return v, fmt.Errorf("store: no rule for a change of kind %d", c.Kind)
	}
	return v, nil
}

// inventory wants a fetch of the product that owns an inventory item. The
// numbers of an inventory delivery are per location, so nothing of it is
// copied.
func (t *tx) inventory(shop string, itemID int64) (verdict, error) {
	var row [2]driver.Value
	found, err := t.one(`
		SELECT p.external_id, p.selected
		FROM variants v JOIN products p ON p.id = v.product_id
		WHERE v.inventory_item_id = ? AND p.shop = ?`, row[:], itemID, shop)
	if err != nil {
		return verdict{}, fmt.Errorf("find product of inventory item: %w", err)
	}
	if !found {
		// Every product of an include list has a row, so the item is no other's.
		if t.s.selectionOf(shop).Mode == catalog.SelectInclude {
			return verdict{outcome: Ignored, reason: "the inventory item belongs to no selected product"}, nil
		}
		return verdict{
			outcome: Applied, reason: "no stored variant has this inventory item; its product is fetched",
			want: &Wanted{Shop: shop, Kind: WantInventoryItem, ID: itemID, Reason: "inventory of an unknown item changed"},
		}, nil
	}
	// A row that is left out but need not be is of a shop that was removed and added again.
	if sel := t.s.selectionOf(shop); asInt(row[1]) == 0 && (sel.ByContent() || !sel.Selects(&catalog.Product{ID: asInt(row[0])})) {
		return verdict{outcome: Ignored, reason: notSelected}, nil
	}
	return verdict{
		outcome: Applied, reason: "the product is fetched again",
		want: &Wanted{Shop: shop, Kind: WantProduct, ID: asInt(row[0]), Reason: "its inventory changed"},
	}, nil
}

// announced wants a fetch of the product that somebody changed, made or deleted.
// Only the read shows what it is now: an Event may come in any order.
func (t *tx) announced(m *matter) (verdict, error) {
	if err := t.look(m); err != nil {
		return verdict{}, err
	}
	selected, known := t.s.selectionOf(m.shop).Judge(&catalog.Product{ID: m.id})
	switch {
	case m.other.shop != "":
		return verdict{}, ErrOtherShop
	case m.h.tombstone != 0:
		return stale(deletedForGood), nil
	case !m.h.selected && known && !selected:
		return verdict{outcome: Ignored, reason: notSelected}, nil
	}
	v := verdict{outcome: Applied, reason: "the product is read from the shop"}
	return v.fetching(m, "an Event said that it changed"), nil
}

// entry is one journal row.
type entry struct {
	id         int64
	externalID int64
	outcome    Outcome
	reason     string
	version    catalog.Field[int64]
	want       *Wanted // work that it asks for, nil for none
	changed    bool    // it wrote to the change feed, which names its row
	untimed    bool    // an equal body may tell of another change
}

// journal writes a delivery's row, or counts it in the row of the one that it
// repeats, and notes the work that it asks for. What its row asked for lately
// nobody is told again; whoever looks through the wanted work finds it.
func (t *tx) journal(d Delivery, e *entry) error {
	r := t.repeatOf(d, e.outcome)
	counted, err := false, error(nil)
	if !e.changed {
		counted, err = t.again(r, d, e.reason)
	}
	switch {
	case err != nil:
		return err
	case counted:
		e.id = r.id
	default:
		if err := t.insertDelivery(d, e); err != nil {
			return err
		}
		t.delivery = e.id
		r = repeat{key: r.key, id: e.id, began: t.now}
	}
	if e.want != nil {
		if err := t.want(*e.want); err != nil {
			return err
		}
		wait := askAgainWait
		if e.untimed {
			wait = askAnewWait
		}
		if since := t.now - r.asked; 0 <= since && since < wait.Milliseconds() {
			e.want = nil
		} else {
			r.asked = t.now
		}
	}
	if r.key != 0 {
		t.repeats = append(t.repeats, r)
	}
	return nil
}

func (t *tx) insertDelivery(d Delivery, e *entry) error {
	return t.do("write journal", `
		INSERT INTO deliveries (id, shop, topic, webhook_id, event_id, external_id, received_at, triggered_at,
		                        version_at, outcome, duration_us, error, dedupe)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.id, d.Shop, d.Topic, orNull(d.WebhookID), orNull(d.EventID), orNull(e.externalID),
		d.ReceivedAt.UnixMilli(), timeOrNull(d.TriggeredAt), arg(&e.version),
		string(e.outcome), time.Since(d.ReceivedAt).Microseconds(), orNull(e.reason), d.Dedupe)
}

func (t *tx) want(w Wanted) error {
	t.noneWanted = false
	return t.do("note wanted work", `
		INSERT INTO wanted (shop, kind, external_id, reason, wanted_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET reason = excluded.reason, wanted_at = excluded.wanted_at`,
		w.Shop, string(w.Kind), w.ID, w.Reason, t.now)
}

func (t *tx) change(shop string, externalID int64, kind, cause string) error {
	t.seq++
	if n := len(t.shops); n == 0 || t.shops[n-1] != shop {
		t.shops = append(t.shops, shop)
	}
	if t.rows != nil {
		t.rows.changes = append(t.rows.changes, t.seq, shop, externalID, kind, t.now, cause)
		return nil
	}
	return t.do("write change feed", insertChange+`(?, ?, ?, ?, ?, ?)`, t.seq, shop, externalID, kind, t.now, cause)
}

const insertChange = `INSERT INTO changes (seq, shop, external_id, kind, at, cause) VALUES `

func (t *tx) fail(point string) error { return t.s.fault(point) }

func orNull[T comparable](v T) any {
	var none T
	if v == none {
		return nil
	}
	return v
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
