package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stockroom/internal/catalog"
)

// event is one thing that happened to the product in the shop.
type event struct {
	delete    bool
	version   int
	updated   int64
	triggered time.Time
	change    catalog.Change
	id        string
}

// TestAnyHistoryEndsInTheNewestState is I3: whatever the order in which a
// product's deliveries arrive, however often each, and whichever are lost and
// sent again, the newest version stands, and a delete is final.
func TestAnyHistoryEndsInTheNewestState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := open(t)
		b.t = t
		events := drawHistory(rt)
		for _, i := range drawArrivals(rt, len(events)) {
			e := events[i]
			d := Delivery{
				Shop: testShop, Topic: string(e.change.Topic), WebhookID: e.id, ReceivedAt: time.Now(), TriggeredAt: e.triggered,
				Dedupe: DedupeKey(testShop, string(e.change.Topic), e.id, []byte(fmt.Sprint(e.version))),
			}
			if _, err := b.s.Apply(context.Background(), d, e.change); err != nil {
				rt.Fatalf("apply: %v", err)
			}
			if rapid.IntRange(0, 19).Draw(rt, "restart") == 0 {
				b.reopen()
			}
		}
		checkNewest(rt, b, events)
		if err := b.s.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// drawHistory makes the shop's own order of events: updated_at never goes back
// and often stays within one second, triggered-at always grows.
func drawHistory(rt *rapid.T) []event {
	n := rapid.IntRange(1, 8).Draw(rt, "events")
	at := int64(1_700_000_000_000)
	var events []event
	for v := 1; v <= n; v++ {
		at += rapid.Int64Range(0, 2500).Draw(rt, "ms until the edit")
		second := at / 1000 * 1000
		prices := rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2.50", "9.90"}), 0, 4).Draw(rt, "prices")
		p := product(1, fmt.Sprint(v), second, prices...)
		events = append(events, event{
			version: v, updated: second, triggered: time.UnixMilli(at).Add(time.Duration(v)), change: upsertOf(p), id: fmt.Sprint("w", v),
		})
	}
	if rapid.Bool().Draw(rt, "deleted at the end") {
		events = append(events, event{delete: true, version: n + 1, triggered: time.UnixMilli(at).Add(time.Second), change: deleteOf(1), id: "wd"})
	}
	return events
}

// drawArrivals is the order of arrival: every event at least once, some more
// often.
func drawArrivals(rt *rapid.T, n int) []int {
	var order []int
	for i := range n {
		for range rapid.IntRange(1, 3).Draw(rt, "copies") {
			order = append(order, i)
		}
	}
	return rapid.Permutation(order).Draw(rt, "order")
}

func checkNewest(rt *rapid.T, b *bench, events []event) {
	last := events[len(events)-1]
	if last.delete {
		if _, err := b.s.Product(context.Background(), testShop, 1); err == nil {
			rt.Fatalf("the product is stored although it was deleted")
		}
		return
	}
	row, err := b.s.Product(context.Background(), testShop, 1)
	if err != nil {
		rt.Fatal(err)
	}
	want := last.change.Product
	if row.Title.Value() != want.Title.Value() || Millis(row.UpdatedAt.Value()) != Millis(last.updated) {
		rt.Fatalf("stored %s of %d, newest is %s of %d", row.Title.Value(), Millis(row.UpdatedAt.Value()), want.Title.Value(), last.updated)
	}
	var got, wanted []string
	for _, v := range row.Variants {
		got = append(got, fmt.Sprint(v.ExternalID, v.Price.Value()))
	}
	for _, v := range want.Variants.Value() {
		wanted = append(wanted, fmt.Sprint(v.ID, v.Price.Value()))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		rt.Fatalf("variants %v, newest has %v", got, wanted)
	}
	if loaded := want.ContentHash().String(); row.ContentHash != loaded {
		rt.Fatalf("content hash %s, newest has %s", row.ContentHash, loaded)
	}
}
