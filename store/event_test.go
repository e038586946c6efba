package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
)

func eventOf(id int64, what string) catalog.Change {
	return catalog.Change{Topic: catalog.EventProduct, Kind: catalog.ProductEvent, ID: id, What: what, Untimed: true}
}

func TestAnEventAsksForAReadOfItsProductAndChangesNothing(t *testing.T) {
	const changed = "changed: title; "
	for name, tt := range map[string]struct {
		selection catalog.Selection
		before    []catalog.Change
		what      string
		outcome   Outcome
		reason    string
		wanted    bool
	}{
		"of a product that is stored": {before: []catalog.Change{upsertOf(product(1, "v1", 10_000, "1"))},
			what: "changed: title", outcome: Applied, reason: changed + "the product is read from the shop", wanted: true},
		"of one that is not": {what: "created", outcome: Applied, reason: "created; the product is read from the shop", wanted: true},
		"a delete": {before: []catalog.Change{upsertOf(product(1, "v1", 10_000, "1"))},
			what: "deleted", outcome: Applied, reason: "deleted; the product is read from the shop", wanted: true},
		"of a deleted one": {before: []catalog.Change{upsertOf(product(1, "v1", 10_000, "1")), deleteOf(1)},
			what: "changed: title", outcome: Stale, reason: changed + deletedForGood},
		"of one that is not listed": {selection: catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{2}},
			what: "changed: title", outcome: Ignored, reason: changed + notSelected},
		"of one that is excluded beside rules": {selection: catalog.Selection{Mode: catalog.SelectRules, Exclude: []int64{1},
			Rules: []catalog.Rule{{Field: "tag", Value: "web"}}}, what: "changed: title", outcome: Ignored, reason: changed + notSelected},
		"of one that the rules may fit now": {selection: catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: "tag", Value: "web"}}},
			what: "changed: title", outcome: Applied, reason: changed + "the product is read from the shop", wanted: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			if tt.selection.Mode != "" {
				b.selection(tt.selection)
			}
			for _, c := range tt.before {
				b.want(c, Applied)
			}
			seq := b.s.LastSeq()
			c := eventOf(1, tt.what)
			res := b.apply(c)
			list := b.wanted()
			wanted := slices.ContainsFunc(list, func(w Wanted) bool { return w.Kind == WantProduct && w.ID == 1 })
			if res.Outcome != tt.outcome || res.Reason != tt.reason || wanted != tt.wanted || (res.Wanted != nil) != tt.wanted || b.s.LastSeq() != seq {
				t.Errorf("%+v, wanted %+v, %d changes", res, list, b.s.LastSeq()-seq)
			}
			e, err := b.s.Explain(t.Context(), testShop, 1)
			if err != nil || len(e.Deliveries) != 1+len(tt.before) || *e.Deliveries[0].Error != tt.reason || *e.Deliveries[0].GID != "gid://shopify/Product/1" {
				t.Errorf("explained as %+v, %v", e.Deliveries, err)
			}
			if page := b.deliveries(DeliveryFilter{Product: 1, Limit: 10}); len(page.Deliveries) != 1+len(tt.before) {
				t.Errorf("its updates: %+v", page.Deliveries)
			}
		})
	}
}

func TestAnEventOfAnotherShopsProductIsRefused(t *testing.T) {
	b := open(t)
	b.fetched(Read{Shop: anotherShop, Source: "fetch", Started: time.Now()}, product(1, "v1", 10_000, "1"))
	c := eventOf(1, "changed")
	if _, err := b.s.Apply(t.Context(), b.delivery(c), c); !errors.Is(err, ErrOtherShop) {
		t.Error(err)
	}
}

func TestAnEventOfAnInventoryItemAsksForAReadOfItsProduct(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	res := b.apply(catalog.Change{Topic: catalog.EventInventoryItem, Kind: catalog.ItemEvent, ID: 107, What: "changed: tracked", Untimed: true})
	if res.Outcome != Applied || res.Reason != "changed: tracked; the product is fetched again" || res.Wanted == nil || res.Wanted.ID != 1 {
		t.Errorf("%+v", res)
	}
	if e, err := b.s.Explain(t.Context(), testShop, 1); err != nil || len(e.Deliveries) != 2 {
		t.Errorf("%+v, %v", e.Deliveries, err)
	}
}

func TestAnEventOfWhatIsNotKeptIsOnlyNoted(t *testing.T) {
	b := open(t)
	res := b.apply(catalog.Change{Topic: catalog.EventCollection, Kind: catalog.OtherEvent, ID: 5, What: "created", Untimed: true})
	if res.Outcome != Ignored || res.Reason != "created; the copy has nothing that this could change" || len(b.wanted()) != 0 {
		t.Errorf("%+v, %+v", res, b.wanted())
	}
	list, err := b.s.Deliveries(t.Context(), "", 0, 10)
	if err != nil || len(list) != 1 || *list[0].GID != "gid://shopify/Collection/5" {
		t.Errorf("%+v, %v", list, err)
	}
}

// An Event's body has no time, and neither has that of a disconnected level: two
// equal ones may tell of two changes.
func TestTheSameBodyWithoutATimeAsksAnew(t *testing.T) {
	for name, c := range map[string]catalog.Change{
		"an Event": eventOf(1, "changed: title"),
		"a level":  {Topic: catalog.InventoryLevelsDisconnect, Kind: catalog.Inventory, ID: 107, Untimed: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t)
				defer b.s.Close()
				b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
				told := ""
				for n := range 8 { // every 3 s
					began := time.Now()
					if n%4 == 0 {
						if err := b.s.WantedDone(t.Context(), Wanted{Shop: testShop, Kind: WantProduct, ID: 1}, began.Add(-time.Second)); err != nil {
							t.Fatal(err)
						}
					}
					res := b.deliver(repeated(c, "body", n), c)
					list := b.wanted()
					if res.Outcome != Applied || len(list) != 1 || list[0].At.Time().Before(began) {
						t.Errorf("%d: %+v, wanted %+v", n, res, list)
					}
					told += fmt.Sprint(res.Wanted != nil, " ")
					time.Sleep(3 * time.Second)
				}
				if told != "true false false false true false false false " {
					t.Errorf("told of it: %s", told)
				}
				again := repeated(c, "body", 0) // the delivery that made the row
				if res := b.deliver(again, c); res.Outcome != Duplicate || res.Wanted != nil {
					t.Errorf("the same delivery again: %+v", res)
				}
			})
		})
	}
}

func TestAnEventIsNewsOfWhatWasChangedBeforeIt(t *testing.T) {
	b := open(t)
	at := time.Now().UnixMilli()
	b.want(upsertOf(product(1, "v1", at-60_000, "1")), Applied)
	b.runReads(always, product(1, "v2", at-50_000, "1"))
	if u := b.undelivered(); u.Changes != 1 {
		t.Fatalf("before the Event: %+v", u)
	}
	b.want(eventOf(1, "changed"), Applied)
	if u := b.undelivered(); u.Changes != 0 {
		t.Errorf("an Event that came late: %+v", u)
	}
	b.runReads(always, product(1, "v3", at-40_000, "1"))
	if u := b.undelivered(); u.Changes != 0 {
		t.Errorf("a change that an Event had announced: %+v", u)
	}
	if at := b.s.LastHeard(testShop, string(catalog.ProductsUpdate)); time.Since(at) > time.Minute {
		t.Errorf("products/update was heard at %v", at)
	}
	b.runReads(always, product(1, "v4", at+60_000, "1"))
	if u := b.undelivered(); u.Changes != 1 {
		t.Errorf("a change that came after it: %+v", u)
	}
	held := eventOf(1, "changed")
	d := b.delivery(held)
	d.ReceivedAt = d.ReceivedAt.Add(2 * time.Minute)
	b.s.Heard(d, held) // and is not stored now
	b.runReads(always, product(1, "v5", at+90_000, "1"))
	if u := b.undelivered(); u.Changes != 1 {
		t.Errorf("a change of which a waiting Event told: %+v", u)
	}
}
