package web

import (
	"context"
	"sync"
	"testing"
	"time"
)

func TestCountsFollowWhatIsStored(t *testing.T) {
	r := newRig(t, nil)
	for n := range int64(5) {
		counts, err := r.counts.get(t.Context(), testShop)
		// A count that took long is not made again at once; here it is quick.
		if err != nil || counts.Products != n && r.counts.kept[testShop].took < time.Millisecond {
			t.Fatalf("%+v %v after %d products", counts, err, n)
		}
		r.product(n+1, "Shirt", "")
		r.counts.mu.Lock()
		r.counts.kept[testShop].took = 0
		r.counts.mu.Unlock()
	}
}

func TestASlowCountIsNotWaitedForTwice(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	if _, err := r.counts.get(t.Context(), testShop); err != nil {
		t.Fatal(err)
	}
	r.counts.mu.Lock()
	k := r.counts.kept[testShop]
	k.took, k.counting = time.Minute, make(chan struct{}) // as if one were under way that takes long
	r.counts.mu.Unlock()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if counts, err := r.counts.get(t.Context(), testShop); err != nil || counts.Products != 1 {
				t.Errorf("%+v %v", counts, err)
			}
		})
	}
	wg.Wait()
	r.counts.mu.Lock()
	k.at = time.Time{} // nothing is known yet: then there is nothing to show instead
	r.counts.mu.Unlock()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.counts.get(gone, testShop); err == nil {
		t.Error("a reader that left is answered")
	}
}
