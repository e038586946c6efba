package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

// TestTheReadOfTheTrueOwnerDecidesWhoseAProductIs plants a product under another
// shop of the same app, as anybody can who has seen one delivery, and lets the
// true owner's read come in each way.
func TestTheReadOfTheTrueOwnerDecidesWhoseAProductIs(t *testing.T) {
	ctx := t.Context()
	v1 := product(1, "v1", 10_000, "1")
	plant := func(b *bench) error {
		d := b.delivery(upsertOf(v1))
		d.Shop = anotherShop
		_, err := b.s.Apply(ctx, d, upsertOf(v1))
		return err
	}
	read := func(shop string) Read { return Read{Shop: shop, Source: "fetch", Started: time.Now().Add(time.Minute)} }
	fetch := func(b *bench) error {
		_, err := b.s.PutFetched(ctx, read(testShop), product(1, "v1", 10_000, "1"))
		return err
	}
	bulk := func(more ...*catalog.Product) func(b *bench) error {
		return func(b *bench) error {
			run := b.fullRun()
			list := append(more, product(1, "v1", 10_000, "1"))
			results := b.putBulk(bulkRead(run), run, list...)
			if run = b.run(run.ID); results[len(more)].Err == nil && run.Added != int64(len(list)) {
				return fmt.Errorf("run %+v", run)
			}
			return results[len(more)].Err
		}
	}
	gone := func(b *bench) error {
		_, err := b.s.PutGone(ctx, read(testShop), 1)
		return err
	}
	const ours, theirs, nobody = testShop, anotherShop, ""
	for _, tt := range []struct {
		name  string
		plant func(b *bench) error // nil: a delivery
		do    func(b *bench) error
		owner string
		other bool // ErrOtherShop
	}{
		{"a delivery", nil, func(b *bench) error {
			_, err := b.s.Apply(ctx, b.delivery(upsertOf(v1)), upsertOf(v1))
			return err
		}, theirs, true},
		{"a fetch that shows it", nil, fetch, ours, false},
		{"a bulk result that shows it", nil, bulk(), ours, false},
		{"a bulk result that shows more", nil, bulk(product(2, "v1", 10_000, "1")), ours, false},
		{"a fetch that shows none", nil, gone, theirs, false},
		{"a fetch, and a read showed it to be theirs", func(b *bench) error {
			_, err := b.s.PutFetched(ctx, read(anotherShop), product(1, "v1", 10_000, "1"))
			return err
		}, fetch, theirs, true},
		{"a fetch, and the selection leaves it out", func(b *bench) error {
			b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{1}})
			return plant(b)
		}, fetch, nobody, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t)
			if tt.plant == nil {
				tt.plant = plant
			}
			wants := []Wanted{{Shop: ours, Kind: WantProduct, ID: 1}, {Shop: theirs, Kind: WantProduct, ID: 1}}
			if err := errors.Join(tt.plant(b), b.s.Want(ctx, wants...)); err != nil {
				t.Fatal(err)
			}
			before := b.s.LastSeq()
			if err := tt.do(b); errors.Is(err, ErrOtherShop) != tt.other || err != nil && !tt.other {
				t.Fatal(err)
			}
			owner := nobody
			for _, shop := range []string{ours, theirs} {
				for _, p := range b.products(shop) {
					if p.ExternalID == 1 {
						owner += shop
					}
				}
			}
			if owner != tt.owner {
				t.Errorf("it belongs to %q, want %q", owner, tt.owner)
			}
			e, err := b.s.Explain(ctx, anotherShop, 1)
			if err != nil || (e.DeletedBy == OwnerCause+testShop) != (tt.owner != theirs) {
				t.Errorf("explained as %+v, %v", e, err)
			}
			feed, _, err := b.s.Changes(ctx, before, 10)
			if err != nil {
				t.Fatal(err)
			}
			told := ""
			for _, c := range feed {
				if c.ExternalID == 1 {
					told += c.Kind + " " + c.Shop + " by " + c.Cause + "; "
				}
			}
			want := ""
			if tt.owner != theirs {
				want = "deleted " + theirs + " by " + OwnerCause + ours + "; "
			}
			if tt.owner == ours {
				want += "created " + ours + " by "
			}
			if !strings.HasPrefix(told, want) || want == "" && told != "" {
				t.Errorf("the feed tells %q, want %q", told, want)
			}
			b.kinds(0)
			for _, w := range b.wanted() {
				if w.Shop == theirs && tt.owner != theirs {
					t.Errorf("still wanted: %+v", w)
				}
			}
		})
	}
}
