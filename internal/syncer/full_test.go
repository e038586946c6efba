package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
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

// TestProgressIsMeasuredAgainstTheNewestCount lets the shop grow while its first
// full sync is made: what there is to read is never less than the shop counts
// when the reading begins, and nothing is all read before the end.
func TestProgressIsMeasuredAgainstTheNewestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Products: 30, API: fakeshopify.APIOptions{
			Latency: 200 * time.Millisecond, Bulk: fakeshopify.BulkOptions{Base: 5 * time.Second, Rate: 1000},
		}})
		ended := make(chan store.SyncRun)
		go func() {
			run, err := r.full()
			if err != nil || !run.Proven {
				t.Errorf("%+v, %v", run, err)
			}
			ended <- run
		}()
		seen := map[string]bool{}
		for {
			select {
			case run := <-ended:
				if n := int64(len(r.shop.IDs())); run.Expected != n || run.Read != n {
					t.Errorf("at the end %d of %d; the shop has %d", run.Read, run.Expected, n)
				}
				if !seen[phaseExporting] || !seen[phaseRepairing] {
					t.Errorf("seen only %v", seen)
				}
				return
			case <-time.After(50 * time.Millisecond):
			}
			run, _, ok := r.progress.of(testShop)
			if !ok {
				continue
			}
			if seen[run.Phase] = true; run.Phase == phaseExporting {
				r.shop.CreateProduct(func(*fakeshopify.Product) {})
			}
			if run.Phase != phaseExporting && run.Phase != phaseWaiting && run.Expected <= 30 {
				t.Errorf("%s: %d of %d; the shop has %d", run.Phase, run.Read, run.Expected, len(r.shop.IDs()))
			}
		}
	})
}
