package syncer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// oneSlot is a syncer that makes one run at a time, and a run of a shop.
func oneSlot(t *testing.T) (*Syncer, *run, context.Context, *slot) {
	t.Helper()
	s := &Syncer{slots: make(chan struct{}, 1)}
	ctx, sl, err := s.takeSlot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, &run{s: s, shop: testShop}, ctx, sl
}

func TestARunThatWaitsForLongLetsOtherShopsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, ctx, sl := oneSlot(t)
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
		_, other, err := s.takeSlot(short)
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
		if sl.give(); len(s.slots) != 0 {
			t.Error("a place was taken twice")
		}
		sl.give() // and is not given twice
	})
}

func TestAShortWaitKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, ctx, sl := oneSlot(t)
		go func() { _ = r.wait(ctx, "points", "", time.Now().Add(lendAfter-time.Second)) }()
		synctest.Wait()
		if len(s.slots) != 1 {
			t.Error("the place was given away")
		}
		sl.give()
	})
}

func TestARunThatIsCancelledWaitsForNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, ctx, sl := oneSlot(t)
		ctx, cancel := context.WithCancelCause(ctx)
		ended := make(chan error, 1)
		go func() { ended <- r.wait(ctx, "points", "", time.Now().Add(time.Minute)) }()
		synctest.Wait()
		_, other, err := s.takeSlot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		cancel(errCancelled)
		if err := <-ended; !errors.Is(err, errCancelled) {
			t.Errorf("got %v", err)
		}
		sl.give()
		if len(s.slots) != 1 {
			t.Error("it gave back the place of another shop")
		}
		other.give()
	})
}
