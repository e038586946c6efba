package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/queue"
	"stockroom/store"
)

// TestWorkThatDiedWaitsForNews looks at the table again and again while a row
// has a dead letter.
func TestWorkThatDiedWaitsForNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 2})
		_, err := r.api.Shop(t.Context(), testShop, 0) // which gets a token
		r.shop.Fail(fakeshopify.Fault{Status: 404})
		id := r.shop.IDs()[0]
		r.want(store.WantProduct, id)
		time.Sleep(time.Second)
		jobs := r.jobs()
		if err != nil || len(jobs) != 1 || jobs[0].State != queue.Dead {
			t.Fatalf("%+v, %v", jobs, err)
		}
		f := feeder{s: r.Syncer}
		now := time.Now()
		f.rebuild(t.Context(), now) // the first look takes all
		for range 5 {
			now = now.Add(wantedLook)
			f.rebuild(t.Context(), now)
		}
		if jobs := r.jobs(); len(jobs) != 1 || jobs[0].State != queue.Dead {
			t.Fatalf("the row brought it back: %+v", jobs)
		}
		if _, err := r.queue.Discard(t.Context(), jobs[0].ID); err != nil {
			t.Fatal(err)
		}
		f.rebuild(t.Context(), now.Add(lookBack))
		if jobs := r.jobs(); len(jobs) != 0 {
			t.Errorf("what a person discarded came back: %+v", jobs)
		}
		r.want(store.WantProduct, id) // news
		time.Sleep(time.Second)
		if !r.stored(id) {
			t.Errorf("not done: %+v", r.jobs())
		}
	})
}

// TestARowWhoseNoticeWasDroppedIsFound wants something without telling anybody.
func TestARowWhoseNoticeWasDroppedIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 2})
		for _, w := range []store.Wanted{{Kind: store.WantProduct, ID: r.shop.IDs()[1]}, {Kind: store.WantSync}} {
			if w.Shop = testShop; r.store.Want(t.Context(), w) != nil {
				t.Fatal("not stored")
			}
		}
		time.Sleep(wantedLook + time.Second)
		if _, wanted := r.fullWanted(); !wanted || !r.stored(r.shop.IDs()[1]) {
			t.Errorf("a full sync is wanted: %v; %+v", wanted, r.jobs())
		}
	})
}

// Full syncs and news of bulk operations are for the keeper: no commit of the queue
// stands before them.
func TestWhatIsForTheKeeperIsNoJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 2})
		synctest.Wait()
		before := r.queue.Stats().Counts
		news := r.progress.nudge(testShop)
		for _, w := range []store.Wanted{
			{Kind: store.WantSync, Reason: "the selection changed"}, {Kind: store.WantBulk, ID: 7},
		} {
			if w.Shop = testShop; r.store.Want(t.Context(), w) != nil {
				t.Fatal("not stored")
			}
			time.Sleep(2 * time.Millisecond) // news of this millisecond may be newer than what was passed on
			r.Wanted(w)
		}
		synctest.Wait()
		if w, wanted := r.fullWanted(); !wanted || w.Reason != "the selection changed" {
			t.Errorf("the keeper makes no full sync: %+v", w)
		}
		select {
		case <-news:
		default:
			t.Error("the run that waits for the bulk operation does not look again")
		}
		if now := r.queue.Stats().Counts; now != before {
			t.Errorf("the queue went from %+v to %+v", before, now)
		}
		list, err := r.store.WantedList(t.Context())
		if err != nil || len(list) != 1 || list[0].Kind != store.WantSync {
			t.Errorf("wanted: %+v, %v", list, err) // until a full sync was made
		}
	})
}

// An earlier version made jobs of full syncs and of news. The rows of the wishes
// stand for them.
func TestJobsOfAnEarlierVersionGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := openRig(t, fakeshopify.Options{Products: 2})
		full := store.Wanted{Shop: testShop, Kind: store.WantSync, Reason: "products.db lost changes"}
		if err := r.store.Want(t.Context(), full); err != nil {
			t.Fatal(err)
		}
		old := jobOf(full)
		if _, _, err := r.queue.Enqueue(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		old.Kind = string(store.WantBulk)
		if _, err := r.queue.Bury(t.Context(), old, queue.ClassStorage, nil); err != nil {
			t.Fatal(err)
		}
		r.runs()
		synctest.Wait()
		if jobs := r.jobs(); len(jobs) != 0 {
			t.Errorf("left: %+v", jobs)
		}
		if w, wanted := r.fullWanted(); !wanted || w.Reason != full.Reason {
			t.Errorf("the full sync is not wanted any more: %+v", w)
		}
	})
}
