package syncer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/bulk"
	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/store"
)

// TestABulkFaultNeverCostsAProduct makes each thing go wrong that can, on a copy
// that has drifted: products may be added and changed, and they go only when the
// result was proven to be whole.
func TestABulkFaultNeverCostsAProduct(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  fakeshopify.BulkFault
		proven bool // the run ends well all the same
		error  string
	}{
		{"none", fakeshopify.BulkFault{}, true, ""},
		{"failed, with half of it written", fakeshopify.BulkFault{Status: "FAILED", At: 0.5}, false, "FAILED"},
		{"timed out", fakeshopify.BulkFault{Status: "FAILED", ErrorCode: "TIMEOUT", At: 0.9}, false, "TIMEOUT"},
		{"failed at once", fakeshopify.BulkFault{Status: "FAILED"}, false, "FAILED"},
		{"denied", fakeshopify.BulkFault{Status: "FAILED", ErrorCode: "ACCESS_DENIED"}, false, "scope"},
		{"canceled by Shopify", fakeshopify.BulkFault{Status: "CANCELED", At: 0.3}, false, "CANCELED"},
		{"expired", fakeshopify.BulkFault{Status: "EXPIRED"}, false, "EXPIRED"},
		{"nested lists cut short", fakeshopify.BulkFault{Nested: 2}, true, ""},
		{"children dropped", fakeshopify.BulkFault{DropChildren: 0.2}, true, ""},
		{"children dropped and counted", fakeshopify.BulkFault{DropChildren: 0.05, CountDropped: true}, false, "not complete"},
		{"lines sent twice", fakeshopify.BulkFault{Duplicate: 0.3}, true, ""},
		{"more objects counted", fakeshopify.BulkFault{CountOff: 3}, false, "not complete"},
		{"fewer objects counted", fakeshopify.BulkFault{CountOff: -3}, false, "not complete"},
		{"more roots counted", fakeshopify.BulkFault{RootCountOff: 1}, false, "not complete"},
		{"fewer roots counted", fakeshopify.BulkFault{RootCountOff: -1}, false, "not complete"},
		{"cut at a byte", fakeshopify.BulkFault{CutAt: 20_000}, false, "not complete"},
		{"no news of its end", fakeshopify.BulkFault{Silent: true}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 11, Products: fewer(40, 15)})
				r.synced()
				r.drift(4)
				before := r.rows()
				r.shop.FailBulk(tt.fault)
				run, err := r.full()
				if (err == nil) != tt.proven || run.Proven != tt.proven || (run.State == store.RunDone) != tt.proven || !strings.Contains(run.Error, tt.error) {
					t.Errorf("%+v, %v", run, err)
				}
				if tt.proven {
					r.same()
					return
				}
				if run.Removed != 0 || run.ProvenAt != 0 {
					t.Errorf("%+v", run)
				}
				r.lostNothing(before)
				if p, _ := r.state.Shop(testShop); p.Pause.Paused() {
					r.check(r.state.SetPause(testShop, state.Pause{}))
				}
				r.synced() // the next one goes well
				r.same()
			})
		})
	}
}

// lostNothing checks that nothing stored went or became INACTIVE which the shop
// does not say itself.
func (r *runRig) lostNothing(before map[int64]string) {
	r.t.Helper()
	after := r.rows()
	for id, was := range before {
		is, ok := after[id]
		if !ok {
			r.t.Errorf("product %d was removed", id)
		}
		if strings.HasPrefix(was, "ACTIVE") && strings.HasPrefix(is, "INACTIVE") {
			if p, ok := r.shop.Product(id); !ok || p.Status == fakeshopify.StatusActive {
				r.t.Errorf("product %d became inactive", id)
			}
		}
	}
}

// TestNothingIsRemovedFromATruncatedResult is I15: the file ends cleanly after
// every line, and at random bytes.
func TestNothingIsRemovedFromATruncatedResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 5, Products: 8, MaxVariants: 3})
		r.synced()
		r.drift(2)
		before := r.rows()
		cuts, size := r.lineEnds(t)
		random := 30
		if raceEnabled {
			cuts, random = cuts[:min(len(cuts), 8)], 4
		}
		if long() {
			random = 400
		}
		for range random {
			cuts = append(cuts, 1+rand.Int64N(size-1))
		}
		for _, cut := range cuts {
			r.shop.FailBulk(fakeshopify.BulkFault{CutAt: cut})
			run, err := r.full()
			if err == nil || run.Proven || run.Removed != 0 || run.State != store.RunFailed {
				t.Fatalf("cut at %d: %+v, %v", cut, run, err)
			}
		}
		r.lostNothing(before)
		r.synced()
		r.same()
	})
}

// lineEnds are the places of the ends of lines in a result of now, but for the
// last, and its size.
func (r *runRig) lineEnds(t *testing.T) (ends []int64, size int64) {
	id, err := r.api.RunBulk(t.Context(), testShop, 0, shopify.BulkProductsQuery(), true)
	r.check(err)
	time.Sleep(time.Minute)
	op, found, err := r.api.Bulk(t.Context(), testShop, 0, id)
	if err != nil || !found {
		t.Fatal(err)
	}
	d, err := r.api.Download(t.Context(), testShop, op.URL, 0, -1)
	r.check(err)
	defer d.Body.Close()
	buf, at := make([]byte, 1<<16), int64(0)
	for {
		n, err := d.Body.Read(buf)
		for i, c := range buf[:n] {
			if c == '\n' && at+int64(i)+1 < d.Total {
				ends = append(ends, at+int64(i)+1)
			}
		}
		at += int64(n)
		if err != nil {
			return ends, d.Total
		}
	}
}

func TestADownloadGoesOnWhereItBroke(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults []fakeshopify.Fault
	}{
		{"cut again and again", []fakeshopify.Fault{{Kind: fakeshopify.FaultTruncate, Bytes: 70_000, Times: 3}, {Kind: fakeshopify.FaultTruncate, Bytes: 1}}},
		{"reset before the first byte", []fakeshopify.Fault{{Kind: fakeshopify.FaultReset, Times: 2}}},
		{"a server's fault", []fakeshopify.Fault{{Status: 503, Times: 2}}},
		{"an address that is not good any more", []fakeshopify.Fault{{Status: 403}, {Kind: fakeshopify.FaultTruncate, Bytes: 5000}, {Status: 400}}},
		{"silence", []fakeshopify.Fault{{Kind: fakeshopify.FaultSilence}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 11, Products: 40})
				for i := range tt.faults {
					tt.faults[i].Endpoint = "bulk"
				}
				r.shop.Fail(tt.faults...)
				run := r.synced()
				r.same()
				if run.Bytes != run.BytesTotal {
					t.Errorf("%+v", run)
				}
				if s := r.shop.APIStats(); s.TokenLeaks > 0 || s.Downloads < 2 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestAnExpiredAddressIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 11, Products: 40, API: fakeshopify.APIOptions{Bulk: fakeshopify.BulkOptions{URLLife: 3 * time.Second}}})
		r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultTruncate, Bytes: 50_000, Endpoint: "bulk"},
			fakeshopify.Fault{Kind: fakeshopify.FaultSilence, Endpoint: "bulk"}) // for longer than the address is good
		r.synced()
		r.same()
	})
}

// TestAStoppedSyncGoesOn stops the process at each step of a full sync, starts
// it again and lets the run go on.
func TestAStoppedSyncGoesOn(t *testing.T) {
	nths := []int{1, 3}
	if raceEnabled {
		nths = []int{3}
	}
	if long() {
		nths = []int{1, 2, 3, 4, 5, 6, 8, 40, 300}
	}
	points := []string{"before commit", "after commit", "before bulk mark", "between product and variants", "after change feed"}
	for _, point := range points[:fewer(len(points), 2)] {
		for _, nth := range nths {
			t.Run(fmt.Sprintf("%s %d", point, nth), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRunRig(t, fakeshopify.Options{Seed: 23, Products: 230, MaxVariants: 2, API: fakeshopify.APIOptions{Bulk: fakeshopify.BulkOptions{Shuffle: nth == 3}}})
					run, err := r.makeFull(r.stopAt(t.Context(), point, nth), nil)
					if err == nil {
						t.Skipf("there is no %d. time: %+v", nth, run)
					}
					r.resumed(t, run)
				})
			})
		}
	}
}

// resumed restarts the process and takes up what it left.
func (r *runRig) resumed(t *testing.T, stopped store.SyncRun) {
	t.Helper()
	r.restart()
	left := r.left()
	var run store.SyncRun
	var err error
	if left == nil {
		run, err = r.full()
	} else {
		if run, err = r.makeFull(t.Context(), left); run.ID != left.ID {
			t.Errorf("another run: %d, %d", run.ID, left.ID)
		}
	}
	if err != nil || !run.Proven || run.State != store.RunDone {
		t.Fatalf("stopped as %+v, then %+v, %v", stopped, run, err)
	}
	if n := len(r.shop.IDs()); run.Read != int64(n) || int(run.Added+run.Changed+run.Unchanged) < n {
		t.Errorf("%+v of %d products", run, n)
	}
	r.same()
	if ops, err := r.api.Bulks(t.Context(), testShop, 0, ""); err != nil || left != nil && len(ops) != 1 {
		t.Errorf("%d operations, %v", len(ops), err)
	}
}

// TestASyncStoppedAtAnyInstantGoesOn stops it wherever the clock happens to be,
// several times.
func TestASyncStoppedAtAnyInstantGoesOn(t *testing.T) {
	rounds := fewer(3, 1)
	if long() {
		rounds = 100
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(uint64(seed), 1))
				r := newRunRig(t, fakeshopify.Options{Seed: uint64(seed), Products: fewer(150, 40), API: fakeshopify.APIOptions{Bulk: fakeshopify.BulkOptions{Shuffle: seed%2 == 0}}})
				r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultTruncate, Bytes: 200_000, Endpoint: "bulk", Times: 3})
				var resume *store.SyncRun
				for range 12 {
					ctx, cancel := context.WithCancel(t.Context())
					after := rnd.IntN(60) // commits
					r.fault = func(point string) error {
						if point == "before commit" {
							if after--; after == 0 {
								cancel()
							}
						}
						return nil
					}
					_, err := r.makeFull(ctx, resume)
					cancel()
					if err == nil {
						r.same()
						return
					}
					if !errors.Is(err, context.Canceled) {
						t.Fatal(err)
					}
					r.restart()
					resume = r.left()
				}
				run, err := r.makeFull(t.Context(), resume)
				if err != nil || !run.Proven {
					t.Errorf("%+v, %v", run, err)
				}
				r.same()
			})
		})
	}
}

func TestACancelledSyncEndsAtShopifyToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 1, Products: 10})
		r.shop.FailBulk(fakeshopify.BulkFault{Stall: true})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errCancelled) })
		run, err := r.makeFull(ctx, nil)
		if !errors.Is(err, errCancelled) || run.State != store.RunCancelled || run.FinishedAt == 0 {
			t.Errorf("%+v, %v", run, err)
		}
		time.Sleep(5 * time.Second)
		if op, _, err := r.api.Bulk(t.Context(), testShop, 0, run.Operation); err != nil || op.Status != "CANCELED" {
			t.Errorf("%+v, %v", op, err)
		}
	})
}

func TestOtherOperationsAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 1, Products: 10})
		var ids []string
		for range 5 {
			r.shop.FailBulk(fakeshopify.BulkFault{Stall: true})
			id, err := r.api.RunBulk(t.Context(), testShop, 0, "{products{edges{node{id}}}}", false)
			r.check(err)
			ids = append(ids, id)
		}
		time.AfterFunc(20*time.Minute, func() { r.check(r.api.CancelBulk(t.Context(), testShop, 0, ids[2])) })
		run := r.synced()
		if took := run.FinishedAt - run.StartedAt; took < 20*60_000 || took > 25*60_000 {
			t.Errorf("%d s", took/1000)
		}
	})
}

// TestTheShopGoesOnDuringASync holds that what happens while the result is made
// and read is neither lost nor undone.
func TestTheShopGoesOnDuringASync(t *testing.T) {
	seeds := uint64(fewer(2, 1))
	if long() {
		seeds = 40
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: seed, Products: fewer(200, 50), API: fakeshopify.APIOptions{Bulk: fakeshopify.BulkOptions{Base: time.Minute}}})
				if seed%2 == 0 {
					r.synced()
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { // edits every two seconds, some of whose deliveries arrive
					defer close(done)
					for i := 0; ctx.Err() == nil; i++ {
						e := r.shop.RandomEdit()
						if i%3 != 0 {
							topic := fakeshopify.TopicUpdate
							if _, ok := r.shop.Product(e.ProductID); !ok {
								topic = fakeshopify.TopicDelete
							}
							r.apply(topic, e.ProductID)
						}
						time.Sleep(2 * time.Second)
					}
				}()
				run, err := r.full()
				if err != nil || !run.Proven {
					t.Errorf("%+v, %v", run, err)
				}
				stop()
				<-done
				time.Sleep(5 * time.Second)
				// Deletions that were not delivered after the last look at events, and edits
				// after the last look at changes, are all that may be left.
				if _, err := r.incremental(); err != nil {
					t.Error(err)
				}
				if _, err := r.reconcile(false); err != nil {
					t.Error(err)
				}
				r.same()
			})
		})
	}
}

func TestAFullSyncKeepsToTheSelection(t *testing.T) {
	for _, tt := range []struct {
		name string
		sel  func(r *runRig) catalog.Selection
	}{
		{"include", func(r *runRig) catalog.Selection {
			return catalog.Selection{Mode: catalog.SelectInclude, Include: r.shop.IDs()[3:9]}
		}},
		{"exclude", func(r *runRig) catalog.Selection {
			return catalog.Selection{Mode: catalog.SelectAll, Exclude: r.shop.IDs()[3:9]}
		}},
		{"none", func(*runRig) catalog.Selection { return catalog.Selection{Mode: catalog.SelectInclude} }},
		{"rules", func(r *runRig) catalog.Selection {
			p, _ := r.shop.Product(r.shop.IDs()[0])
			return catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: catalog.RuleVendor, Value: p.Vendor}}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 2, Products: fewer(60, 25)})
				sel := tt.sel(r)
				_, err := r.store.SetSelection(t.Context(), testShop, sel)
				r.check(err)
				r.synced()
				check := func() {
					t.Helper()
					have, want := r.rows(), r.wants(sel)
					if (len(want) == 0) != (tt.name == "none") {
						t.Errorf("%d products are selected", len(want))
					}
					for id, w := range want {
						if have[id] != w {
							t.Errorf("product %d is %q, in the shop %q", id, have[id], w)
						}
					}
					for id, h := range have {
						if _, ok := want[id]; !ok && strings.HasPrefix(h, "ACTIVE") {
							t.Errorf("product %d is there: %s", id, h)
						}
					}
				}
				check()
				run, err := r.reconcile(false)
				if err != nil || run.Added+run.Changed+run.Removed > 0 || run.ProvenAt == 0 {
					t.Errorf("%+v, %v", run, err)
				}
				if calls := run.Calls; calls > 10 {
					t.Errorf("%d calls although nothing differs", calls)
				}
				r.drift(3)
				if run, err := r.reconcile(false); err != nil || run.ProvenAt == 0 {
					t.Errorf("%+v, %v", run, err)
				}
				check()
			})
		})
	}
}

// TestARunOfAVersionWithAnotherMarkReadsItsResultAgain: that one kept lines in
// sync-ID.spill.
func TestARunOfAVersionWithAnotherMarkReadsItsResultAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 23, Products: 230, MaxVariants: 2, API: fakeshopify.APIOptions{Bulk: fakeshopify.BulkOptions{Shuffle: true}}})
		run, err := r.makeFull(r.stopAt(t.Context(), "before bulk mark", 2), nil)
		left := r.left()
		if err == nil || left == nil || left.Mark == "" {
			t.Fatalf("%+v, %v", run, err)
		}
		left.Mark = `{"bulk":{"offset":900,"spilled":700,"read":1200,"lines":9,"objects":0,"roots":0,"cuts":[{"spilled":9,"offset":1}],"late":[5]}}`
		var m resultMark
		if err := m.parse(left.Mark); !errors.Is(err, bulk.ErrSortFile) {
			t.Errorf("the mark was read: %v", err)
		}
		r.check(r.store.SaveRun(t.Context(), *left))
		r.check(writeFile(r.dir, fmt.Sprintf("sync-%d.spill", left.ID)))
		r.resumed(t, run)
		if got := filesLike(t, r.dir, "sync-"); len(got) > 0 {
			t.Errorf("%v stay", got)
		}
	})
}

func TestSortFilesOfNobodyGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 1, Products: 3})
		for _, name := range []string{"sync-7.spill", "sync-7.db", "sync-7.db-journal", "sync-8.db", "sync-8.db-journal", "sync-9.db-journal", "sync-x.db", "sync-7.txt"} {
			r.check(writeFile(r.dir, name))
		}
		r.check(r.dropSorted(func(run int64) bool { return run != 8 }))
		if got := filesLike(t, r.dir, "sync-"); fmt.Sprint(got) != "[sync-7.txt sync-8.db sync-8.db-journal sync-x.db]" {
			t.Error(got)
		}
		r.synced()
		r.check(writeFile(r.dir, "sync-1.db-journal")) // the process died while it removed them
		r.restart()
		r.check(r.Load(t.Context()))
		if got := filesLike(t, r.dir, "sync-"); fmt.Sprint(got) != "[sync-7.txt sync-x.db]" {
			t.Errorf("after a start: %v", got)
		}
	})
}
