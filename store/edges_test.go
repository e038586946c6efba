package store

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
)

// The sweep asks for what was written before the run began: not in its millisecond.
func TestTheSweepLeavesWhatWasWrittenAsTheRunBegan(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	run := b.fullRun()
	list, err := b.s.Listing(t.Context(), testShop, 0, 1)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	written := time.UnixMilli(list[0].SyncedAt)
	for began, want := range map[time.Time]int{written: 0, written.Add(time.Millisecond): 1} {
		if ids, err := b.s.Unseen(t.Context(), testShop, run.ID, began, 0, 10); err != nil || len(ids) != want {
			t.Errorf("a run that began %v after the row sweeps %v, %v", began.Sub(written), ids, err)
		}
		if ids, err := b.s.Unseen(t.Context(), anotherShop, run.ID, began, 0, 10); err != nil || len(ids) != 0 {
			t.Errorf("of another shop: %v, %v", ids, err)
		}
	}
}

// How many changes are undelivered depends on what was told, not on the order in
// which it was heard, and to the second.
func TestWhatWasToldOfIsNotUndelivered(t *testing.T) {
	for name, tells := range map[string]func(b *bench){
		"an older delivery was refused after it": func(b *bench) {
			for _, p := range []*catalog.Product{product(1, "v3", 30_400, "1"), product(1, "v2", 20_000, "1")} {
				b.s.Heard(b.delivery(upsertOf(p)), upsertOf(p))
			}
			b.runReads(always, product(1, "v3", 30_400, "1"))
		},
		"its second was delivered": func(b *bench) {
			b.runReads(always, product(1, "v3", 30_400, "1"))
			b.want(upsertOf(product(1, "v3", 30_000, "1")), Stale)
		},
		"its stock was": func(b *bench) {
			b.runReads(always, product(1, "v3", 30_400, "1"))
			b.want(catalog.Change{Topic: catalog.InventoryLevelsUpdate, Kind: catalog.Inventory, ID: 100 + 7}, Applied)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
			tells(b)
			if u := b.undelivered(); u.Changes != 0 {
				t.Errorf("%+v", u)
			}
		})
	}
	if h := new(hearing); !h.mayBeOpen(testShop) {
		t.Error("before the file was looked at, nothing is said to be open")
	}
}

func TestChangesThatDeliveriesBroughtAreCounted(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	b.fetched(Read{Shop: testShop, Source: "fetch", Started: later()}, product(1, "v3", 30_000, "1"))
	b.runReads(always, product(1, "v4", 40_000, "1")) // which none brought
	b.want(deleteOf(1), Applied)                      // no new version
	if n, err := b.s.Delivered(t.Context(), testShop, time.Now().Add(-time.Hour)); n != 3 || err != nil {
		t.Errorf("%d, %v, want 3", n, err)
	}
}

// After a restart only what Shopify sent tells that its deliveries come.
func TestASampleIsNotHeardAfterARestart(t *testing.T) {
	b := open(t)
	sample := upsertOf(product(1, "v1", 10_000, "1"))
	d := b.delivery(sample)
	d.WebhookID = SampleID + "1"
	b.deliver(d, sample)
	if _, err := b.s.Record(t.Context(), b.delivery(sample), 1, Mismatch, "no", nil); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	if err := b.s.loadHearing(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := b.s.LastHeard(testShop, string(catalog.ProductsUpdate)); !at.IsZero() {
		t.Errorf("heard at %v", at)
	}
}

func TestASelectionLeavesNothingOpenOfWhatItLeavesOut(t *testing.T) {
	b := ahead(t)
	b.shows(time.Second, "v1")
	if n, _ := b.s.OpenDifferences(testShop); n != 1 || len(b.wanted()) != 1 {
		t.Fatalf("%d open, wanted %v", n, b.wanted())
	}
	b.selection(catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{2}, Exclude: []int64{2}})
	if n, _ := b.s.OpenDifferences(testShop); n != 0 || len(b.wanted()) != 0 {
		t.Errorf("%d open, wanted %v", n, b.wanted())
	}
}

func TestTheFeedGoesOnWhereItWasLookedAt(t *testing.T) {
	b := open(t)
	feed := func(f FeedFilter) FeedPage {
		t.Helper()
		p, err := b.s.Feed(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := feed(FeedFilter{}); p.Next != 0 || p.Newest != 0 || p.Oldest != 1 {
		t.Errorf("an empty feed: %+v", p)
	}
	for id := int64(1); id <= 3; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1")), Applied)
	}
	for _, c := range []struct {
		f       FeedFilter
		changes int
		next    int64
	}{
		{FeedFilter{}, 3, 3}, {FeedFilter{Limit: 2}, 2, 2}, {FeedFilter{Limit: 3}, 3, 3}, {FeedFilter{After: 3}, 0, 3},
		{FeedFilter{Shop: anotherShop}, 0, 3}, {FeedFilter{After: 9}, 0, 9},
	} {
		if p := feed(c.f); len(p.Changes) != c.changes || p.Next != c.next || p.Newest != 3 || p.Oldest != 1 {
			t.Errorf("%+v: %d changes, next %d, %d to %d", c.f, len(p.Changes), p.Next, p.Oldest, p.Newest)
		}
	}
	if _, err := b.other().Exec(`DELETE FROM changes`); err != nil { // as damage leaves it
		t.Fatal(err)
	}
	if p := feed(FeedFilter{After: 1}); p.Newest != 3 || p.Oldest != 4 || p.Next != 3 {
		t.Errorf("a feed that lost what it held: %+v", p)
	}
}

// The step that took longest tells what a wait is for, in the group under way and
// the one before it, and in none before that.
func TestWhatHeldTheWriterUpIsForgottenAfterTheNextGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p progress
		step := func(to step, want Cause) {
			t.Helper()
			if p.to(to); p.holdsUp() != want {
				t.Errorf("held up by %q, want %q", p.holdsUp(), want)
			}
		}
		step(stepSync, CauseTimeout)
		time.Sleep(tells)
		step(stepIdle, CauseSlow)
		step(stepBegin, CauseSlow)
		step(stepIdle, CauseTimeout)
	})
}

// A request that fails takes back what it would have been remembered by: the next
// delivery of its body has a row of its own.
func TestARepeatOfWhatWasRolledBackHasARow(t *testing.T) {
	b := open(t)
	c := upsertOf(product(1, "v1", 10_000, "1"))
	b.want(c, Applied)
	d := b.delivery(c)
	d.Body = []byte("body")
	err := b.s.write(t.Context(), b.s.urgent, 1, func(tx *tx) error {
		if _, err := tx.deliver(b.s.repeats.hashed(d), c); err != nil {
			return err
		}
		return strconv.ErrRange
	})
	if err == nil {
		t.Fatal("it was stored")
	}
	if n := len(b.s.repeats.rows.Keys()); n != 0 {
		t.Errorf("%d rows are remembered that were rolled back", n)
	}
	if res := b.deliver(d, c); res.Outcome != Stale {
		t.Errorf("%+v", res)
	}
	if list, err := b.s.Deliveries(t.Context(), testShop, 0, 10); err != nil || len(list) != 2 || list[0].Count != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}
