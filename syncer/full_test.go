package syncer

import (
	"testing"
	"testing/synctest"

	"stockroom/fakeshopify"
	"stockroom/store"
)

func TestAFullSyncEqualsTheShop(t *testing.T) {
	for _, tt := range []struct {
		name     string
		options  fakeshopify.BulkOptions
		grouped  bool
		products int
	}{
		{"grouped", fakeshopify.BulkOptions{}, true, fewer(60, 20)},
		{"not grouped", fakeshopify.BulkOptions{}, false, fewer(60, 20)},
		{"shuffled", fakeshopify.BulkOptions{Shuffle: true}, false, fewer(60, 20)},
		{"an empty shop", fakeshopify.BulkOptions{}, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 7, Products: tt.products, Large: 1, API: fakeshopify.APIOptions{Bulk: tt.options}})
				if !tt.grouped {
					r.check(r.state.Put(marks, testShop+"/ungrouped", []byte("1")))
				}
				run, err := r.full()
				if err != nil || run.State != store.RunDone || !run.Proven || run.ProvenAt != run.StartedAt || run.Error != "" {
					t.Fatalf("%+v, %v", run, err)
				}
				if int(run.Added) != tt.products || run.Read != int64(tt.products) || run.Expected != int64(tt.products) || run.Removed+run.Changed > 0 {
					t.Errorf("%+v", run)
				}
				if run.Calls == 0 || run.Points == 0 {
					t.Errorf("%d calls, %d points", run.Calls, run.Points)
				}
				r.same()
				if _, _, ok := r.progress.of(testShop); ok {
					t.Error("it still counts as under way")
				}
			})
		})
	}
}
