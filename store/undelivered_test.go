package store

import (
	"testing"
	"time"

	"stockroom/internal/catalog"
)

// always expects a delivery of every change.
func always(catalog.Topic, time.Time) bool { return true }

func (b *bench) undelivered() Undelivered {
	b.t.Helper()
	u, err := b.s.Undelivered(b.t.Context(), testShop, time.Now().Add(-24*time.Hour))
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// runReads stores what a run read.
func (b *bench) runReads(expected func(catalog.Topic, time.Time) bool, p *catalog.Product) {
	b.t.Helper()
	run, err := b.s.StartRun(b.t.Context(), SyncRun{Shop: testShop, Kind: RunIncremental, Trigger: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.fetched(Read{Shop: testShop, Source: "reconcile", Started: later(), Run: run.ID, Expected: expected}, p)
}

// TestAChangeThatOnlyARunReadIsUndelivered lives through what the rule says of it:
// which changes count, what takes them off, and that a restart forgets nothing.
func TestAChangeThatOnlyARunReadIsUndelivered(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	b.runReads(always, product(1, "v1", 10_000, "1"))
	if u := b.undelivered(); u.Changes != 0 {
		t.Fatalf("a version that a delivery brought: %+v", u)
	}
	b.runReads(nil, product(1, "v2", 20_000, "1"))
	b.runReads(func(_ catalog.Topic, at time.Time) bool { return at.After(time.UnixMilli(90_000)) }, product(1, "v3", 30_000, "1"))
	b.fetched(Read{Started: later()}, product(1, "v4", 40_000, "1"))
	if u := b.undelivered(); u.Changes != 0 {
		t.Fatalf("of before the registration, of an absence, or read for a delivery: %+v", u)
	}
	b.runReads(always, product(1, "v5", 50_000, "1"))
	b.runReads(always, product(1, "v6", 60_000, "1"))
	b.runReads(always, product(2, "v1", 55_000, "1"))
	for range 2 {
		u := b.undelivered()
		if u.Changes != 3 || u.Oldest.UnixMilli() != 50_000 || u.Newest.UnixMilli() != 60_000 || u.Topic != string(catalog.ProductsUpdate) {
			t.Fatalf("%+v, want three", u)
		}
		b.reopen()
	}
	if u, err := b.s.Undelivered(t.Context(), testShop, time.Now().Add(time.Hour)); err != nil || u.Changes != 0 {
		t.Errorf("older than the window: %+v, %v", u, err)
	}
	if u, err := b.s.Undelivered(t.Context(), "other.myshopify.com", time.Time{}); err != nil || u.Changes != 0 {
		t.Errorf("of another shop: %+v, %v", u, err)
	}

	if _, err := b.s.Prune(t.Context(), time.Now().Add(keepUndelivered-time.Minute)); err != nil || b.undelivered().Changes != 3 {
		t.Errorf("pruned too early: %+v, %v", b.undelivered(), err)
	}

	// A sample of our own tells nothing, a stale delivery as much as any.
	sample := upsertOf(product(1, "v6", 60_000, "1"))
	d := b.delivery(sample)
	d.WebhookID = SampleID + "1"
	b.deliver(d, sample)
	if u := b.undelivered(); u.Changes != 3 || !b.s.LastHeard(testShop, string(catalog.ProductsUpdate)).Before(d.ReceivedAt) {
		t.Errorf("after a sample: %+v", u)
	}
	b.want(upsertOf(product(1, "v5", 50_000, "1")), Stale)
	if u := b.undelivered(); u.Changes != 2 {
		t.Errorf("after a late delivery of the older change: %+v", u)
	}
	heard := b.s.LastHeard(testShop, string(catalog.ProductsUpdate))
	if time.Since(heard).Abs() > time.Minute {
		t.Errorf("heard at %v", heard)
	}
	b.want(upsertOf(product(1, "v6", 60_000, "1")), Stale)
	b.want(deleteOf(2), Applied)
	if u := b.undelivered(); u.Changes != 0 {
		t.Errorf("after all were delivered: %+v", u)
	}
	b.runReads(always, product(3, "v1", 70_000, "1"))
	if _, err := b.s.Prune(t.Context(), time.Now().Add(keepUndelivered+time.Minute)); err != nil || b.undelivered().Changes != 0 {
		t.Errorf("kept for ever: %+v, %v", b.undelivered(), err)
	}
}

// TestAChangeThatWasDeliveredUnselectedIsDelivered holds a product that the
// selection left out when its delivery came.
func TestAChangeThatWasDeliveredUnselectedIsDelivered(t *testing.T) {
	b := open(t)
	if _, err := b.s.SetSelection(t.Context(), testShop, catalog.Selection{Exclude: []int64{1}}); err != nil {
		t.Fatal(err)
	}
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Ignored)
	if _, err := b.s.SetSelection(t.Context(), testShop, catalog.Selection{}); err != nil {
		t.Fatal(err)
	}
	b.runReads(always, product(1, "v1", 10_000, "1"))
	if u := b.undelivered(); u.Changes != 0 {
		t.Errorf("%+v", u)
	}
}

// TestWhatWasHeardAndNotKeptIsNotUndelivered holds a delivery that came while
// nothing could be stored: it says nothing of the way here.
func TestWhatWasHeardAndNotKeptIsNotUndelivered(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	refused := upsertOf(product(1, "v2", 20_000, "1"))
	d := b.delivery(refused)
	d.ReceivedAt = d.ReceivedAt.Add(time.Hour)
	b.s.Heard(d, refused)
	if at := b.s.LastHeard(testShop, d.Topic); at.UnixMilli() != d.ReceivedAt.UnixMilli() {
		t.Errorf("heard at %v, want %v", at, d.ReceivedAt)
	}
	b.runReads(always, product(1, "v2", 20_000, "1"))
	if u := b.undelivered(); u.Changes != 0 {
		t.Errorf("%+v", u)
	}
	b.runReads(always, product(1, "v3", 30_000, "1"))
	if u := b.undelivered(); u.Changes != 1 {
		t.Errorf("%+v, want the one of which nothing was heard", u)
	}
}

// TestAChangeOfTheStockAloneIsWaitedForByItsOwnTopic: a subscription to products need
// not bring it, and no Event does.
func TestAChangeOfTheStockAloneIsWaitedForByItsOwnTopic(t *testing.T) {
	b := open(t)
	products := func(topic catalog.Topic, _ time.Time) bool { return topic != catalog.InventoryLevelsUpdate }
	stock := func(version string, updated, quantity int64) *catalog.Product {
		p := product(1, version, updated, "1")
		p.Variants.Value()[0].InventoryQuantity = catalog.Of(quantity)
		return p
	}
	b.want(upsertOf(stock("v1", 10_000, 3)), Applied)
	b.runReads(products, stock("v1", 20_000, 4))
	if u := b.undelivered(); u.Changes != 0 {
		t.Errorf("where nothing tells of stock: %+v", u)
	}
	b.runReads(always, stock("v1", 30_000, 5))
	if u := b.undelivered(); u.Changes != 1 || u.Topic != string(catalog.InventoryLevelsUpdate) {
		t.Errorf("where something should: %+v", u)
	}
	b.runReads(products, stock("v2", 40_000, 6))
	if u := b.undelivered(); u.Changes != 2 {
		t.Errorf("with another field: %+v", u)
	}
}
