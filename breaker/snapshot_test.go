package breaker

import (
	"cmp"
	"fmt"
	sorting "slices"
	"testing"
	"time"
)

func TestAShopsSnapshotIsItsPartOfTheWhole(t *testing.T) {
	b := openAt(t, epoch, openDB(t), Options{})
	for i := range 20 {
		for _, class := range []string{"graphql", "token"} {
			p, err := b.Allow(epoch, Key{Shop: fmt.Sprint("shop-", i), Class: class})
			if err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				_ = b.ShopAt(epoch, "shop-0") // in between, so that young circuits are seen too
			}
			p.DoneAt(at(time.Second), Success, 0)
		}
	}
	whole := b.SnapshotAt(at(2 * time.Second))
	if len(whole) != 40 {
		t.Fatalf("%d circuits", len(whole))
	}
	byClass := func(x, y Status) int { return cmp.Compare(x.Key.Class, y.Key.Class) }
	for i := range 21 {
		shop := fmt.Sprint("shop-", i)
		var want []Status
		for _, st := range whole {
			if st.Key.Shop == shop {
				want = append(want, st)
			}
		}
		got := b.ShopAt(at(2*time.Second), shop)
		sorting.SortFunc(want, byClass)
		sorting.SortFunc(got, byClass)
		if !sorting.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", shop, got, want)
		}
	}
}
