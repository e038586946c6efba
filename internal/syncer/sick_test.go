package syncer

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/limiter"
	"stockroom/store"
)

// sickFile is a shop that says something else of a bulk result.
type sickFile struct {
	API
	says func(op *shopify.BulkOperation)
}

func (s sickFile) Bulk(ctx context.Context, shop string, class limiter.Class, id string) (shopify.BulkOperation, bool, error) {
	op, found, err := s.API.Bulk(ctx, shop, class, id)
	s.says(&op)
	return op, found, err
}

func TestABulkResultIsNeverMoreThanAnnounced(t *testing.T) {
	for _, tt := range []struct {
		name, words string
		says        func(op *shopify.BulkOperation)
	}{
		{"bytes", "where 5000 were announced", func(op *shopify.BulkOperation) { op.FileSize = 5000 }},
		{"lines", "lines where Shopify counts 20", func(op *shopify.BulkOperation) { op.Objects = 20 }},
		{"no size, and few lines", "lines where Shopify counts 0", func(op *shopify.BulkOperation) { op.FileSize, op.Objects = 0, 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 9, Products: 400, MaxVariants: 5, Lean: true})
				r.synced()
				r.drift(3)
				before := r.rows()
				r.o.API = sickFile{r.api, tt.says}
				run, err := r.full()
				if err == nil || run.State != store.RunFailed || run.Cause != causeDownload || !strings.Contains(run.Error, tt.words) || run.Removed > 0 {
					t.Errorf("%+v, %v", run, err)
				}
				r.lostNothing(before)
			})
		})
	}
}

// TestASyncYieldsToDeliveriesWhenTheDiskIsFull: nothing is written beyond the room
// that deliveries need, and what was there stays.
func TestASyncYieldsToDeliveriesWhenTheDiskIsFull(t *testing.T) {
	const words = "the disk is needed"
	for _, tt := range []struct {
		name string
		room func(call int, more int64) bool
		run  func(r *runRig) (store.SyncRun, error)
	}{
		{"from the start", func(call int, _ int64) bool { return call < 2 }, (*runRig).full},
		{"while it reads", func(call int, _ int64) bool { return call < 8 }, (*runRig).full},
		{"for what is to come", func(_ int, more int64) bool { return more < 10_000 }, (*runRig).full},
		{"a comparison", func(call int, _ int64) bool { return call < 5 }, func(r *runRig) (store.SyncRun, error) { return r.reconcile(false) }},
		{"an incremental", func(call int, _ int64) bool { return call < 3 }, (*runRig).incremental},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 9, Products: 60, MaxVariants: 5})
				r.synced()
				r.drift(3)
				before, call := r.rows(), atomic.Int64{}
				r.o.Room = func(more int64) string {
					if tt.room(int(call.Add(1)), more) {
						return ""
					}
					return words
				}
				run, err := tt.run(r)
				if err == nil || run.State != store.RunFailed || run.Error != words || run.Cause != causeRoom || run.Removed > 0 {
					t.Errorf("%+v, %v", run, err)
				}
				r.lostNothing(before)
				if left := filesLike(t, r.dir, "sync-"); len(left) > 0 {
					t.Errorf("it left %v", left)
				}
			})
		})
	}
}

func TestAFetchWaitsWhileTheDiskIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := openRig(t, fakeshopify.Options{Products: 3})
		r.o.Room = func(int64) string { return "the disk is needed" }
		id := r.shop.IDs()[0]
		r.want(store.WantProduct, id)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if jobs := r.jobs(); r.stored(id) || len(jobs) != 1 || !strings.Contains(jobs[0].Reason, "the disk is needed") || jobs[0].Attempts > 0 {
			t.Errorf("%+v", jobs)
		}
	})
}

// TestAWaitThatTheShopAsksForIsMinutesAndAPersonEndsIt is the shop that says
// "Retry-After: 99999999999" once.
func TestAWaitThatTheShopAsksForIsMinutesAndAPersonEndsIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		hand func(r *rig) error
		most time.Duration
	}{
		{"by itself", nil, shopify.LongestAsked + time.Minute},
		{"by a sync that a person asks for", func(r *rig) error {
			_, err := r.Start(r.t.Context(), testShop, store.RunReconcile, false)
			return err
		}, time.Minute},
		{"by the button", func(r *rig) error { return r.TryNow(r.t.Context(), testShop) }, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, fakeshopify.Options{Products: 3})
				time.Sleep(3 * time.Second)
				if _, err := r.api.Shop(t.Context(), testShop, limiter.Bulk); err != nil {
					t.Fatal(err)
				}
				id := r.shop.IDs()[0]
				r.shop.Fail(fakeshopify.Fault{Status: 429, RetryAfter: "99999999999"})
				begun := time.Now()
				go func() { _, _ = r.Start(t.Context(), testShop, store.RunReconcile, false) }()
				r.want(store.WantProduct, id)
				time.Sleep(20 * time.Second)
				if run, _, ok := r.progress.of(testShop); !ok || r.stored(id) {
					t.Fatalf("it does not wait: %+v", run)
				}
				if tt.hand != nil {
					if err := tt.hand(r); err != nil {
						t.Fatal(err)
					}
				}
				for !r.stored(id) || r.Status(testShop, time.Now()).Running != nil {
					if time.Sleep(time.Second); time.Since(begun) > tt.most {
						t.Fatalf("it waits after %v: %+v", time.Since(begun), r.Status(testShop, time.Now()))
					}
				}
			})
		})
	}
}

// TestASyncThatAPersonAsksForAsksAPausedShop: what paused it may be over.
func TestASyncThatAPersonAsksForAsksAPausedShop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 3})
		r.setPause(t.Context(), testShop, state.Pause{Reason: state.PauseFrozen, Words: "frozen", Since: time.Now(), NextProbe: time.Now().Add(time.Hour)})
		if id, err := r.Start(t.Context(), testShop, store.RunReconcile, false); err != nil || id == 0 {
			t.Errorf("%d, %v", id, err)
		}
	})
}
