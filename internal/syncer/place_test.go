package syncer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// onePlace is a syncer that makes one run at a time, and a run of a shop.
func onePlace(t *testing.T) (*Syncer, *run, context.Context, *place) {
	t.Helper()
	s := &Syncer{places: make(chan struct{}, 1)}
	ctx, sl, err := s.takePlace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, &run{s: s, shop: testShop, progress: &s.progress}, ctx, sl
}

func TestARunThatWaitsForLongLetsOtherShopsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, ctx, sl := onePlace(t)
		began, ended := time.Now(), make(chan time.Duration, 2)
		for range 2 { // two of its requests wait at a time
			go func() {
				if err := r.wait(ctx, "points", "", began.Add(time.Hour)); err != nil {
					t.Error(err)
				}
				ended <- time.Since(began)
			}()
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		_, other, err := s.takePlace(short)
		cancel()
		if err != nil {
			t.Fatalf("another shop waits for one that waits: %v", err)
		}
		time.Sleep(3 * time.Hour)
		if len(ended) > 0 {
			t.Error("the run went on although another one had its place")
		}
		other.give()
		for range 2 {
			if took := <-ended; took != 3*time.Hour {
				t.Errorf("it went on after %v", took)
			}
		}
		if sl.give(); len(s.places) != 0 {
			t.Error("a place was taken twice")
		}
		sl.give() // and is not given twice
	})
}

func TestAShortWaitKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, ctx, sl := onePlace(t)
		go func() { _ = r.wait(ctx, "points", "", time.Now().Add(lendAfter-time.Second)) }()
		synctest.Wait()
		if len(s.places) != 1 {
			t.Error("the place was given away")
		}
		sl.give()
	})
}

func TestARunThatIsCancelledWaitsForNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, ctx, sl := onePlace(t)
		ctx, cancel := context.WithCancelCause(ctx)
		ended := make(chan error, 1)
		go func() { ended <- r.wait(ctx, "points", "", time.Now().Add(time.Minute)) }()
		synctest.Wait()
		_, other, err := s.takePlace(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		cancel(errCancelled)
		if err := <-ended; !errors.Is(err, errCancelled) {
			t.Errorf("got %v", err)
		}
		sl.give()
		if len(s.places) != 1 {
			t.Error("it gave back the place of another shop")
		}
		other.give()
	})
}
