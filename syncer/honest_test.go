package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"stockroom/fakeshopify"
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
