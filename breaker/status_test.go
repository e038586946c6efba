package breaker

import (
	"fmt"
	"testing"
	"time"
)

func TestAShopsSnapshotIsOfItsOwnCircuits(t *testing.T) {
	b := openAt(t, epoch, openDB(t), Options{})
	for i := range 20 {
		for _, class := range []string{"graphql", "token"} {
			p, err := b.Allow(epoch, Key{Shop: fmt.Sprint("shop-", i), Class: class})
			if err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				_ = b.ShopAt(epoch, "shop-0")
			}
			for range 5 * (i % 2) { // each counts while the circuit is closed
				p.Done(at(time.Second), Failure, 0)
			}
		}
	}
	for i := range 21 {
		shop := fmt.Sprint("shop-", i)
		classes := map[string]bool{}
		for _, st := range b.ShopAt(at(2*time.Second), shop) {
			classes[st.Key.Class] = true
			if st.Key.Shop != shop || (st.State == StateOpen) != (i%2 == 1) {
				t.Errorf("of %s: %+v", shop, st)
			}
		}
		if len(classes) != 2 && i < 20 || len(classes) != 0 && i == 20 {
			t.Errorf("%s has the circuits %v", shop, classes)
		}
	}
}
