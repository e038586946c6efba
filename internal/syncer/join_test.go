package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/store"
)

// Who asks while a run goes on joins it; who asks when it is about to be told as
// ended gets one of his own.
func TestNobodyJoinsARunThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: 3 * time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		made := runs.count(scheduleReconcile)
		ask := func(want int) {
			t.Helper()
			if id, err := r.Start(t.Context(), testShop, store.RunReconcile, false); id == 0 || err != nil {
				t.Fatalf("%d, %v", id, err)
			}
			synctest.Wait()
			if n := runs.count(scheduleReconcile) - made; n != want {
				t.Errorf("%d comparisons have begun, want %d", n, want)
			}
		}
		ask(1)
		time.Sleep(time.Second)
		ask(1)
		r.ends(testShop)
		ask(2)
	})
}

// A run says itself that it ends, before the row does.
func TestARunEndsForThoseWhoAskBeforeItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Products: 5})
		r.synced()
		k, j := r.keeperOf(testShop), plan("", "", false)
		k.running = j
		if _, err := r.reconcile(true); err != nil || !j.ends {
			t.Errorf("%v, ends: %v", err, j.ends)
		}
	})
}
