package syncer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/limiter"
	"stockroom/store"
)

// TestAProofOfAClockThatWasAheadIsOutlived holds that such a proof neither hides
// the age of the copy for a day nor, once its instant comes, looks fresh.
func TestAProofOfAClockThatWasAheadIsOutlived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 5, Products: 3})
		proven := func(at time.Time) {
			_, err := r.store.StartRun(t.Context(), store.SyncRun{
				Shop: testShop, Kind: store.RunFull, State: store.RunDone, StartedAt: store.MillisOf(at), Proven: true, ProvenAt: store.MillisOf(at),
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

// why is what the page says against the copy being in step, once everything else
// speaks for it.
func (r *runRig) why() string {
	r.t.Helper()
	k := r.keeperOf(testShop)
	k.set(func() { k.subscriptions = Subscriptions{CheckedAt: time.Now(), Present: true} })
	r.refreshProof(r.t.Context(), testShop)
	return against(r.Status(testShop, time.Now()), time.Now())
}

// against is what of the facts stands against the copy being in step; package
// status says it in its own words.
func against(st Status, now time.Time) string {
	c := st.Compared
	switch {
	case st.Loss != "":
		return st.Loss
	case st.Owed != "":
		return st.Owed
	case st.Differ > 0:
		return fmt.Sprint(st.Differ, " products differ")
	case st.ProvenIDs.IsZero() && st.ProvenFields.IsZero():
		return "never compared"
	case !st.StalenessKnown:
		return "the clock was put back"
	case c != nil && c.ID > st.ProvenRun && c.ProvenAt == 0 && c.DryRun:
		return fmt.Sprint(c.Added+c.Changed+c.Removed, " products differ")
	case c != nil && c.ID > st.ProvenRun && c.ProvenAt == 0:
		return c.Error
	case !st.Subscriptions.Present || now.Sub(st.Subscriptions.CheckedAt) > SubscriptionsKnown:
		return "subscriptions are not known"
	}
	return ""
}

// TestADifferenceThatIsKnownIsNotInStep holds the one sentence of the page
// against what the newest comparison has found.
func TestADifferenceThatIsKnownIsNotInStep(t *testing.T) {
	for _, tt := range []struct {
		name string
		find func(r *runRig) // finds a difference and does not mend it
		says string
	}{
		{"a dry run", func(r *runRig) {
			_, err := r.reconcile(true)
			r.check(err)
		}, "6 products differ"},
		{"products newer here", func(r *runRig) {
			id := r.shop.IDs()[2]
			c, err := catalog.Decode(catalog.ProductsUpdate, r.shop.Body(fakeshopify.TopicUpdate, id))
			r.check(err)
			c.Product.UpdatedAt = catalog.Of(time.Now().Add(24 * time.Hour).UnixMilli())
			_, err = r.store.Apply(r.t.Context(), store.Delivery{Shop: testShop, Topic: fakeshopify.TopicUpdate, ReceivedAt: time.Now()}, c)
			r.check(err)
			time.Sleep(time.Minute)
			_, err = r.reconcile(false)
			r.check(err)
		}, "newer here"},
		{"a comparison that broke off", func(r *runRig) {
			r.o.API = brokenFetches{singly{r.api}}
			if _, err := r.reconcile(false); err == nil {
				r.t.Error("it went well")
			}
			r.o.API = r.api
		}, "differ"},
		{"an incremental that broke off", func(r *runRig) {
			r.o.API = brokenFetches{singly{r.api}}
			if _, err := r.incremental(); err == nil {
				r.t.Error("it went well")
			}
			r.o.API = r.api
		}, "differ"},
		{"a comparison that a stop cut short", func(r *runRig) {
			ctx, cancel := context.WithCancel(r.t.Context())
			r.o.API = stopsAtFetch{singly{r.api}, cancel}
			if _, err := r.makeRun(ctx, testShop, plan(scheduleReconcile, "test", false)); err == nil {
				r.t.Error("it went well")
			}
			r.restart()
			r.check(r.Load(r.t.Context()))
		}, "differ"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 30})
				r.synced()
				if why := r.why(); why != "" {
					t.Fatalf("not in step to begin with: %s", why)
				}
				r.drift(2)
				tt.find(r)
				if why := r.why(); !strings.Contains(why, tt.says) {
					t.Errorf("it says %q", why)
				}
				time.Sleep(20 * time.Minute)
				run, err := r.reconcile(false)
				if err != nil || run.ProvenAt == 0 {
					t.Fatalf("%+v, %v", run, err)
				}
				r.keeperOf(testShop).forgetAnswered(t.Context(), scheduleReconcile, run)
				if why := r.why(); why != "" {
					t.Errorf("after the repair: %s", why)
				}
				r.same()
			})
		})
	}
}

// TestDifferencesThatAreBeingReadAreNotInStep looks at the page while a
// comparison repairs what it has found.
func TestDifferencesThatAreBeingReadAreNotInStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 30})
		r.synced()
		r.drift(2)
		var mu sync.Mutex
		var said []string
		r.o.API = watchedFetches{singly{r.api}, func() {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, r.why())
		}}
		run, err := r.reconcile(false)
		if err != nil || run.ProvenAt == 0 {
			t.Fatalf("%+v, %v", run, err)
		}
		if len(said) == 0 || slices.Contains(said, "") {
			t.Errorf("during the repair it says %q", said)
		}
		if why := r.why(); why != "" {
			t.Errorf("after it: %s", why)
		}
	})
}

type brokenFetches struct{ API }

func (brokenFetches) Product(context.Context, string, limiter.Class, int64) (*catalog.Product, error) {
	return nil, &shopify.Error{Kind: shopify.KindServer, Op: "Product"}
}

type stopsAtFetch struct {
	API
	stop func()
}

func (s stopsAtFetch) Product(ctx context.Context, _ string, _ limiter.Class, _ int64) (*catalog.Product, error) {
	s.stop()
	return nil, ctx.Err()
}

type watchedFetches struct {
	API
	look func()
}

func (w watchedFetches) Product(ctx context.Context, shop string, class limiter.Class, id int64) (*catalog.Product, error) {
	w.look()
	return w.API.Product(ctx, shop, class, id)
}

// TestARunDuringWhichTheClockWasPutBackProvesNothing holds that no order is
// trusted of what was written before and after.
func TestARunDuringWhichTheClockWasPutBackProvesNothing(t *testing.T) {
	for back, proven := range map[time.Duration]bool{30 * time.Second: false, 24 * time.Hour: false, -24 * time.Hour: true, 0: true} {
		began := time.Now()
		r := &run{began: began, beganWall: began.Add(back).UnixMilli(), row: store.SyncRun{StartedAt: 1}}
		r.conclude(true, 0, 0, 0)
		if (r.row.ProvenAt != 0) != proven || r.row.Proven != proven || (r.row.Error == "") != proven {
			t.Errorf("put back by %v: %+v", back, r.row)
		}
		if r.clockPutBack(time.Now()) == proven {
			t.Errorf("put back by %v: not seen", back)
		}
	}
}

// TestAFullSyncDuringWhichTheClockWasPutBackProvesNothing does so for a full
// sync, whose clock is bent while it reads.
func TestAFullSyncDuringWhichTheClockWasPutBackProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 5, Products: 5})
		made, ctx := r.newRun(t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunFull, Trigger: "test", Phase: phaseWaiting}, limiter.Bulk, "bulk_sync")
		r.check(made.begin(ctx))
		made.beganWall += 60_000
		row, err := made.end(ctx, made.full(ctx))
		if err != nil || row.Proven || row.ProvenAt != 0 || row.Added != 5 {
			t.Errorf("%+v, %v", row, err)
		}
	})
}
