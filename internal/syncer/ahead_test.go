package syncer

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/queue"
	"stockroom/store"
)

// poison stores a version of a product that is dated ahead, as an earlier
// Stockroom did when a body said so.
func (r *runRig) poison(id int64, by time.Duration) {
	r.t.Helper()
	c, err := catalog.Decode(catalog.ProductsUpdate, r.shop.Body(fakeshopify.TopicUpdate, id))
	r.check(err)
	c.Product.Title = catalog.Of("POISON")
	c.Product.UpdatedAt = catalog.Of(time.Now().Add(by).UnixMilli())
	d := store.Delivery{Shop: testShop, Topic: fakeshopify.TopicUpdate, ReceivedAt: time.Now()}
	_, err = r.store.Apply(r.t.Context(), d, c)
	r.check(err)
	time.Sleep(time.Second)
}

// TestNoRunProvesACopyWhoseReadsWereRefused holds every kind of run against a
// product that is dated ahead, over a restart, and that two reads put it right.
func TestNoRunProvesACopyWhoseReadsWereRefused(t *testing.T) {
	runs := map[string]func(r *runRig) (store.SyncRun, error){
		"full":      (*runRig).full,
		"reconcile": func(r *runRig) (store.SyncRun, error) { return r.reconcile(false) },
		"dry run":   func(r *runRig) (store.SyncRun, error) { return r.reconcile(true) },
	}
	for name, run := range runs {
		for _, by := range []time.Duration{time.Minute, 70 * 365 * 24 * time.Hour} {
			t.Run(name+" "+by.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 10})
					r.synced()
					r.poison(r.shop.IDs()[2], by)
					for range 3 {
						row, err := run(r)
						if err != nil || row.State != store.RunDone || row.ProvenAt != 0 || row.Unchanged == 10 {
							t.Fatalf("%+v, %v", row, err)
						}
						n, _ := r.store.OpenDifferences(testShop)
						open, words := 1, "1 product is newer here than in the shop and is read again within 10 minutes"
						if row.DryRun {
							open, words = 0, "1 product is newer here than in the shop and would be read again within 10 minutes"
						}
						if n != open || row.Error != words {
							t.Fatalf("%d open differences, %+v", n, row)
						}
						r.restart()
					}
					time.Sleep(11 * time.Minute)
					row, err := run(r)
					if err != nil || (row.Changed == 0) != row.DryRun || (row.ProvenAt == 0) != row.DryRun {
						t.Fatalf("%+v, %v", row, err)
					}
					if !row.DryRun {
						r.same()
					}
				})
			})
		}
	}
}

// TestARefusedFetchIsReadAgainByItself holds that no comparison is needed, and
// that one follows.
func TestARefusedFetchIsReadAgainByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 10})
		r.synced()
		id := r.shop.IDs()[2]
		r.poison(id, 24*time.Hour)
		if row, err := r.reconcile(false); err != nil || row.ProvenAt != 0 {
			t.Fatalf("%+v, %v", row, err)
		}
		r.refreshProof(t.Context(), testShop)
		r.want(id)
		r.fetches(time.Minute)
		jobs := r.jobs()
		if len(jobs) != 1 || jobs[0].Attempts != 0 || (time.Until(jobs[0].DueAt)-9*time.Minute).Abs() > time.Minute {
			t.Fatalf("jobs: %+v", jobs)
		}
		if _, owed := r.comparisonWanted(testShop); owed {
			t.Fatal("a comparison is owed before there is anything new")
		}
		r.fetches(10 * time.Minute)
		if jobs := r.jobs(); len(jobs) != 0 {
			t.Errorf("jobs: %+v", jobs)
		}
		if n, _ := r.store.OpenDifferences(testShop); n != 0 {
			t.Errorf("%d open differences", n)
		}
		r.same()
		if _, owed := r.comparisonWanted(testShop); !owed {
			t.Error("no comparison is owed, so nothing says that the copy is in step again")
		}
	})
}

// TestATombstoneDatedAheadGivesWayToTwoReads is for one that was written while our
// clock was ahead.
func TestATombstoneDatedAheadGivesWayToTwoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 10})
		r.synced()
		id := r.shop.IDs()[2]
		gone := store.Read{Shop: testShop, Source: "fetch", Started: time.Now().Add(time.Hour)}
		_, err := r.store.PutGone(t.Context(), gone, id)
		r.check(err)
		r.sql(`UPDATE tombstones SET written_at = ?`, time.Now().Add(365*24*time.Hour).UnixMilli())
		for range 3 {
			row, err := r.reconcile(false)
			if err != nil || row.ProvenAt != 0 || !strings.Contains(row.Error, "newer here") {
				t.Fatalf("%+v, %v", row, err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(11 * time.Minute)
		row, err := r.reconcile(false)
		if err != nil || row.ProvenAt == 0 || row.Added != 1 {
			t.Errorf("%+v, %v", row, err)
		}
		r.same()
	})
}

// fetches works the queue's fetches for a while.
func (r *runRig) fetches(d time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), d)
	defer cancel()
	r.check(r.queue.Work(ctx, string(store.WantProduct), 1, time.Hour, r.handler(r.workers()[0])))
}

// want asks for a read of a product, as a commit does.
func (r *runRig) want(id int64) {
	r.t.Helper()
	w := store.Wanted{Shop: testShop, Kind: store.WantProduct, ID: id, Reason: "test"}
	r.check(r.store.Want(r.t.Context(), w))
	time.Sleep(2 * time.Millisecond) // what is wanted while a fetch runs stays wanted
	_, _, err := r.queue.Enqueue(r.t.Context(), jobOf(w))
	r.check(err)
}

func (r *runRig) jobs() []queue.Job {
	r.t.Helper()
	list, _, err := r.queue.List(r.t.Context(), queue.Filter{})
	r.check(err)
	return list
}

// sql changes the catalogue's file as another program would.
func (r *runRig) sql(text string, args ...any) {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "products.db"))
	r.check(err)
	defer db.Close()
	_, err = db.Exec(text, args...)
	r.check(err)
}
