package store

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

func TestNewerVersionWinsWhateverTheOrder(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v2", 20_000, "2")), Applied)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Stale)
	b.title(1, "Shirt v2")
	b.want(upsertOf(product(1, "v3", 30_000, "3")), Applied)
	b.title(1, "Shirt v3")
	if got := b.kinds(0); !slices.Equal(got, []string{"created", "updated"}) {
		t.Errorf("feed %v", got)
	}
}

func TestSameDeliveryTwiceIsADuplicate(t *testing.T) {
	b := open(t)
	c := upsertOf(product(1, "v1", 10_000, "1"))
	d := b.delivery(c)
	b.deliver(d, c)
	if res := b.deliver(d, c); res.Outcome != Duplicate {
		t.Errorf("outcome %s, want duplicate", res.Outcome)
	}
	rows, err := b.s.Deliveries(context.Background(), testShop, 0, 10)
	if err != nil || len(rows) != 2 {
		t.Errorf("%d journal rows (%v), want one for each", len(rows), err)
	}
}

func TestDedupeKeyTellsDeliveriesApart(t *testing.T) {
	base := DedupeKey("a", "products/update", "w1", []byte("x"))
	if base != DedupeKey("a", "products/update", "w1", []byte("x")) {
		t.Error("equal deliveries have different keys")
	}
	for name, other := range map[string]int64{
		"another shop":                   DedupeKey("b", "products/update", "w1", []byte("x")),
		"another topic":                  DedupeKey("a", "products/create", "w1", []byte("x")),
		"another webhook id":             DedupeKey("a", "products/update", "w2", []byte("x")),
		"the same id with another body":  DedupeKey("a", "products/update", "w1", []byte("y")),
		"a border shifted between parts": DedupeKey("a", "products/updatew", "1", []byte("x")),
	} {
		if other == base {
			t.Errorf("%s has the same key", name)
		}
	}
}

func TestSameSecondKeepsTheLaterTriggeredAndFetches(t *testing.T) {
	at := time.Unix(100, 0)
	for _, tc := range []struct {
		name          string
		first, second time.Time
		want          string
		outcome       Outcome
	}{
		{"triggered later stands", at, at.Add(time.Nanosecond), "Shirt b", Applied},
		{"triggered earlier does not", at.Add(time.Nanosecond), at, "Shirt a", Stale},
		{"without times the later arrival stands", time.Time{}, time.Time{}, "Shirt b", Applied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := open(t)
			for i, step := range []struct {
				version   string
				triggered time.Time
			}{{"a", tc.first}, {"b", tc.second}} {
				c := upsertOf(product(1, step.version, 10_000+int64(i)*300, "1"))
				d := b.delivery(c)
				d.TriggeredAt = step.triggered
				res := b.deliver(d, c)
				if i == 1 && res.Outcome != tc.outcome {
					t.Errorf("outcome %s, want %s", res.Outcome, tc.outcome)
				}
			}
			b.title(1, tc.want)
			if w := b.wanted(); len(w) != 1 || w[0].Kind != WantProduct || w[0].ID != 1 {
				t.Errorf("wanted %v, want one fetch of product 1", w)
			}
		})
	}
}

func TestSameSecondWithTheSameContentIsStaleAndFetchesNothing(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1.0")), Applied)
	b.want(upsertOf(product(1, "v1", 10_400, "1.00")), Stale)
	if w := b.wanted(); len(w) != 0 {
		t.Errorf("wanted %v", w)
	}
}

// The same content triggered again later in its second stands against what was
// triggered in between, and its variants' own times are taken.
func TestSameContentTriggeredLaterInItsSecondStands(t *testing.T) {
	b := open(t)
	send := func(version string, triggered, variantUpdated int64) Outcome {
		p := product(1, version, 10_000, "1")
		p.Variants.Value()[0].UpdatedAt = catalog.Of(variantUpdated)
		c := upsertOf(p)
		d := b.delivery(c)
		d.TriggeredAt = time.Unix(100, triggered)
		return b.deliver(d, c).Outcome
	}
	for i, step := range []struct {
		version   string
		triggered int64
		want      Outcome
	}{{"v1", 1, Applied}, {"v1", 3, Stale}, {"v2", 2, Stale}} {
		if got := send(step.version, step.triggered, 20_000+step.triggered*1000); got != step.want {
			t.Errorf("step %d: outcome %s, want %s", i, got, step.want)
		}
	}
	b.title(1, "Shirt v1")
	p, err := b.s.Product(t.Context(), testShop, 1)
	if err != nil || len(p.Variants) == 0 || Millis(p.Variants[0].UpdatedAt.Value()) != 23_000 {
		t.Errorf("product %+v, %v: want the variant's time of the later one", p, err)
	}
}

func TestDeleteIsFinal(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	b.want(deleteOf(1), Applied)
	b.absent(1)
	b.want(upsertOf(product(1, "v9", 90_000, "1")), Stale)
	b.absent(1)
	b.want(deleteOf(1), Stale)
	if got := b.kinds(0); !slices.Equal(got, []string{"created", "deleted"}) {
		t.Errorf("feed %v", got)
	}
}

func TestDeleteBeforeCreateStillWins(t *testing.T) {
	b := open(t)
	b.want(deleteOf(1), Applied)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Stale)
	b.absent(1)
	if got := b.kinds(0); len(got) != 0 {
		t.Errorf("feed %v for a product nobody saw", got)
	}
}

func TestOnlyAReadThatStartedAfterLiftsATombstone(t *testing.T) {
	b := open(t)
	ctx := context.Background()
	before := time.Now().Add(-time.Second)
	b.want(deleteOf(1), Applied)
	res, err := b.s.PutFetched(ctx, Read{Shop: testShop, Source: "fetch", Started: before}, product(1, "v1", 10_000, "1"))
	if err != nil || res[0].Outcome != Stale {
		t.Fatalf("a read from before the delete: %v %v, want stale", res, err)
	}
	b.absent(1)
	res, err = b.s.PutFetched(ctx, Read{Shop: testShop, Source: "fetch", Started: time.Now().Add(time.Second)}, product(1, "v1", 10_000, "1"))
	if err != nil || res[0].Outcome != Applied {
		t.Fatalf("a read from after the delete: %v %v, want applied", res, err)
	}
	b.title(1, "Shirt v1")
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
}

func TestFetchDecidesATieAndAnswersTheWish(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "a", 10_000, "1")), Applied)
	b.want(upsertOf(product(1, "b", 10_000, "1")), Applied)
	if len(b.wanted()) != 1 {
		t.Fatal("no fetch is wanted")
	}
	_, err := b.s.PutFetched(context.Background(), Read{Shop: testShop, Source: "fetch", Started: time.Now().Add(time.Second)}, product(1, "a", 10_000, "1"))
	if err != nil {
		t.Fatal(err)
	}
	b.title(1, "Shirt a")
	if w := b.wanted(); len(w) != 0 {
		t.Errorf("still wanted: %v", w)
	}
}

func TestFetchThatIsOlderThanAWebhookLoses(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	res, err := b.s.PutFetched(context.Background(), Read{Shop: testShop, Source: "fetch", Started: time.Now()}, product(1, "v1", 10_000, "1"))
	if err != nil || res[0].Outcome != Stale {
		t.Fatalf("%v %v, want stale", res, err)
	}
	b.title(1, "Shirt v2")
}

func TestFetchThatFindsNothingDeletes(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	if _, err := b.s.PutGone(context.Background(), Read{Shop: testShop, Source: "fetch", Started: time.Now()}, 1); err != nil {
		t.Fatal(err)
	}
	b.absent(1)
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Stale)
}

func TestAnotherShopsIDIsRefused(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	for name, c := range map[string]catalog.Change{"update": upsertOf(product(1, "v2", 20_000, "1")), "delete": deleteOf(1)} {
		d := b.delivery(c)
		d.Shop = "other-shop.myshopify.com"
		if _, err := b.s.Apply(context.Background(), d, c); !errors.Is(err, ErrOtherShop) {
			t.Errorf("%s: %v, want ErrOtherShop", name, err)
		}
	}
	b.title(1, "Shirt v1")
}

func TestABodyWithoutUpdatedAtIsFetchedInstead(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	p := product(1, "v2", 0, "1")
	p.UpdatedAt, p.Coverage = catalog.Field[int64]{}, catalog.Partial
	b.want(upsertOf(p), Stale)
	b.title(1, "Shirt v1")
	if len(b.wanted()) != 1 {
		t.Error("no fetch is wanted")
	}
}

func TestInventoryWantsOneFetchOfTheOwner(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	item := int64(100 + 7)
	c := catalog.Change{Topic: catalog.InventoryLevelsUpdate, Kind: catalog.Inventory, ID: item}
	b.want(c, Applied)
	b.want(c, Applied)
	b.want(catalog.Change{Topic: catalog.InventoryLevelsUpdate, Kind: catalog.Inventory, ID: 999}, Applied)
	got := map[WantedKind]int64{}
	for _, w := range b.wanted() {
		got[w.Kind] = w.ID
	}
	if len(got) != 2 || got[WantProduct] != 1 || got[WantInventoryItem] != 999 {
		t.Errorf("wanted %v", got)
	}
	if q := b.product(1).Variants[0].InventoryQuantity.Value(); q != 3 {
		t.Errorf("quantity %d, want the old total", q)
	}
}
