package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"stockroom/fakeshopify"
	"stockroom/store"
)

// TestADryRunThatFindsADifferenceProvesNothing holds a difference that times do
// not show: the second of two edits in one second was lost.
func TestADryRunThatFindsADifferenceProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 5, Products: 20})
		r.synced()
		id := r.shop.IDs()[4]
		r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "first" })
		r.apply(fakeshopify.TopicUpdate, id)
		r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "second" })
		time.Sleep(3 * time.Second)
		run, err := r.reconcile(true)
		if err != nil || run.Changed != 1 || run.ProvenAt != 0 {
			t.Errorf("%+v, %v", run, err)
		}
	})
}

// TestAProofOfAClockThatWasAheadIsOutlived holds that such a proof neither hides
// the age of the copy for a day nor, once its instant comes, looks fresh.
func TestAProofOfAClockThatWasAheadIsOutlived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 5, Products: 3})
		proven := func(at time.Time) {
			_, err := r.store.StartRun(t.Context(), store.SyncRun{
				Shop: testShop, Kind: store.RunFull, State: store.RunDone, StartedAt: at.UnixMilli(), Proven: true, ProvenAt: at.UnixMilli(),
			})
			r.check(err)
			r.refreshProof(t.Context(), testShop)
		}
		proven(time.Now().Add(24 * time.Hour))
		if d, known := r.Staleness(testShop, time.Now()); known {
			t.Errorf("%v although the proof lies ahead", d)
		}
		began := time.Now()
		proven(began)
		for range 26 {
			time.Sleep(time.Hour)
			if d, known := r.Staleness(testShop, time.Now()); !known || d < time.Since(began)-time.Second {
				t.Fatalf("%v, %v after %v", d, known, time.Since(began))
			}
		}
	})
}
