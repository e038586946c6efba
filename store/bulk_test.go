package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

// fullRun starts a full sync of the test shop.
func (b *bench) fullRun() SyncRun {
	b.t.Helper()
	run, err := b.s.StartRun(context.Background(), SyncRun{Shop: testShop, Kind: RunFull, Trigger: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	return run
}

func (b *bench) run(id int64) SyncRun {
	b.t.Helper()
	run, err := b.s.Run(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return run
}

// bulkRead is a read that began before anything that the test has written.
func bulkRead(run SyncRun) Read {
	return Read{Shop: testShop, Source: "bulk", Ref: "1", Started: time.Now().Add(-time.Hour), Run: run.ID}
}

func (b *bench) putBulk(r Read, run SyncRun, products ...*catalog.Product) []Result {
	b.t.Helper()
	results, err := b.s.PutBulk(context.Background(), r, run, products...)
	if err != nil {
		b.t.Fatalf("put bulk: %v", err)
	}
	return results
}

func (b *bench) seenIDs(run int64) []int64 {
	b.t.Helper()
	ids, err := b.s.SeenIDs(context.Background(), run)
	if err != nil {
		b.t.Fatal(err)
	}
	return ids
}

func TestABulkBatchIsStoredWithItsMarkAndItsCounters(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	b.want(upsertOf(product(2, "v1", 10_000, "1")), Applied)
	b.want(upsertOf(product(3, "v3", 30_000, "1")), Applied)
	run := b.fullRun()
	run.Offset, run.Mark, run.Read, run.Objects, run.Bytes = 900, "m", 4, 9, 950
	results := b.putBulk(bulkRead(run), run,
		product(1, "v1", 10_000, "1"), product(2, "v2", 20_000, "1"), product(3, "v2", 20_000, "1"), product(4, "v1", 10_000, "1", "2"))
	var outcomes []Outcome
	for _, r := range results {
		outcomes = append(outcomes, r.Outcome)
	}
	if !slices.Equal(outcomes, []Outcome{Stale, Applied, Stale, Applied}) || results[3].Drift != DriftMissing || results[1].Drift == DriftMissing {
		t.Errorf("results %+v", results)
	}
	got := b.run(run.ID)
	if got.Added != 1 || got.Changed != 1 || got.Unchanged != 2 || got.Ignored != 0 || got.Doubtful != 0 {
		t.Errorf("counters %+v", got)
	}
	if got.Offset != 900 || got.Mark != "m" || got.Read != 4 || got.Objects != 9 || got.Bytes != 950 {
		t.Errorf("mark %+v", got)
	}
	if ids := b.seenIDs(run.ID); !slices.Equal(ids, []int64{1, 2, 3, 4}) {
		t.Errorf("seen %v", ids)
	}
	b.title(3, "Shirt v3")
	if p := b.product(4); len(p.Variants) != 2 || p.Source != "bulk" || *p.SourceRef != "1" {
		t.Errorf("product %+v", p)
	}
	if got := b.kinds(3); !slices.Equal(got, []string{"updated", "created"}) {
		t.Errorf("feed %v", got)
	}
}

func TestAFailedBulkBatchLeavesNothingAndCountsOnceWhenItComesAgain(t *testing.T) {
	for _, point := range []string{"between product and variants", "after change feed", "before bulk mark", "before commit", "after commit"} {
		t.Run(point, func(t *testing.T) {
			b := open(t)
			b.want(upsertOf(product(2, "v1", 10_000, "1")), Applied)
			run := b.fullRun()
			run.Offset = 100
			b.putBulk(bulkRead(run), run, product(1, "v1", 10_000, "1"))
			seq := b.s.LastSeq()
			b.fail(func(at string) error {
				if at == point {
					return &UnavailableError{Cause: CauseLocked, Err: errors.New("a fault")}
				}
				return nil
			})
			run.Offset, run.Read = 500, 3
			batch := []*catalog.Product{product(2, "v2", 20_000, "1"), product(3, "v1", 10_000, "1", "2")}
			if _, err := b.s.PutBulk(t.Context(), bulkRead(run), run, batch...); CauseOf(err) != CauseLocked {
				t.Fatalf("error %v, want the fault", err)
			}
			b.fail(nil)
			b.reopen()
			if point != "after commit" {
				if got := b.run(run.ID); got.Offset != 100 || got.Read != 0 || got.Added != 1 || got.Changed != 0 {
					t.Errorf("the run moved: %+v", got)
				}
				if ids := b.seenIDs(run.ID); !slices.Equal(ids, []int64{1}) {
					t.Errorf("seen %v", ids)
				}
				b.title(2, "Shirt v1")
				b.absent(3)
				if got := b.kinds(seq); len(got) != 0 {
					t.Errorf("the feed has %v of a batch that was rolled back", got)
				}
			}
			b.putBulk(bulkRead(run), run, batch...)
			got := b.run(run.ID)
			if got.Offset != 500 || got.Added != 2 || got.Changed != 1 || got.Unchanged != 0 {
				t.Errorf("after coming again: %+v", got)
			}
			if ids := b.seenIDs(run.ID); !slices.Equal(ids, []int64{1, 2, 3}) {
				t.Errorf("seen %v", ids)
			}
			b.title(2, "Shirt v2")
			if p := b.product(3); len(p.Variants) != 2 {
				t.Errorf("%d variants", len(p.Variants))
			}
		})
	}
}

func TestABulkProductThatCannotBeAppliedRollsBackAlone(t *testing.T) {
	b := open(t)
	b.fetched(Read{Shop: anotherShop, Source: "fetch", Started: time.Now()}, product(2, "v1", 10_000, "1"))
	run := b.fullRun()
	run.Offset = 300
	twice := product(4, "v1", 10_000, "1", "2")
	twice.Variants.Value()[1].ID = twice.Variants.Value()[0].ID
	results := b.putBulk(bulkRead(run), run, product(1, "v1", 10_000, "1"), product(2, "v2", 20_000, "1"), twice, product(3, "v1", 10_000, "1"))
	if !errors.Is(results[1].Err, ErrOtherShop) || results[2].Err == nil || results[0].Err != nil || results[3].Err != nil {
		t.Errorf("results %+v", results)
	}
	if ids := b.seenIDs(run.ID); !slices.Equal(ids, []int64{1, 3}) {
		t.Errorf("seen %v", ids)
	}
	if got := b.run(run.ID); got.Added != 2 || got.Offset != 300 {
		t.Errorf("run %+v", got)
	}
	b.absent(4)
	b.kinds(0)
}

func TestAProductTwiceInOneBatchEndsInItsNewerVersion(t *testing.T) {
	b := open(t)
	run := b.fullRun()
	newer := product(1, "v2", 20_000, "3")
	newer.Variants.Value()[0].ID = 150 // none of the older version's
	b.putBulk(bulkRead(run), run,
		product(1, "v1", 10_000, "1", "2"), product(2, "v1", 10_000, "1"), newer)
	b.title(1, "Shirt v2")
	if p := b.product(1); len(p.Variants) != 1 || p.Variants[0].Price.Value() != "3" {
		t.Errorf("variants %+v", p.Variants)
	}
	if got := b.run(run.ID); got.Added != 2 || got.Changed != 0 {
		t.Errorf("run %+v", got)
	}
}

// A truncated product of a bulk result removes nothing, is counted as doubtful
// once, and its fetch counts no second time.
func TestADoubtfulBulkProductIsFetchedAndCountedOnce(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1", "2", "3")), Applied)
	run := b.fullRun()
	p := product(1, "v2", 20_000, "1")
	p.Coverage, p.VariantsComplete = catalog.Truncated, false
	for range 2 {
		if res := b.putBulk(bulkRead(run), run, p); res[0].Wanted == nil {
			t.Errorf("no fetch is wanted: %+v", res)
		}
	}
	if got := b.run(run.ID); got.Doubtful != 1 || got.Changed != 1 || got.Unchanged != 0 {
		t.Errorf("run %+v", got)
	}
	if n := len(b.product(1).Variants); n != 3 {
		t.Errorf("%d variants", n)
	}
	r := bulkRead(run)
	r.Source, r.Started = "fetch", time.Now().Add(time.Second)
	if _, err := b.s.PutFetched(t.Context(), r, product(1, "v2", 20_000, "1", "9")); err != nil {
		t.Fatal(err)
	}
	if got := b.run(run.ID); got.Doubtful != 1 || got.Changed != 1 {
		t.Errorf("after the fetch: %+v", got)
	}
	if len(b.wanted()) != 0 || len(b.product(1).Variants) != 2 {
		t.Errorf("wanted %v, %d variants", b.wanted(), len(b.product(1).Variants))
	}
}

// TestDeliveriesCommitBetweenBulkTransactions shows the turns: while one long
// call of PutBulk is stored, deliveries are committed before it has ended, and
// the bulk rows go on under steady deliveries.
func TestDeliveriesCommitBetweenBulkTransactions(t *testing.T) {
	b := open(t)
	b.s.bulkTime = bulkTime
	run := b.fullRun()
	run.Offset = 1
	var commits, bulkCommits atomic.Int64
	var slowest time.Duration
	b.fail(func(at string) error {
		switch at {
		case "before commit":
			commits.Add(1)
		case "before bulk mark":
			bulkCommits.Store(commits.Load())
		}
		return nil
	})
	var list []*catalog.Product
	for id := int64(1); id <= 4000; id++ {
		list = append(list, product(id, "v1", 10_000, "1", "2", "3", "4", "5", "6", "7", "8", "9"))
	}
	done := make(chan error, 1)
	go func() {
		_, err := b.s.PutBulk(context.Background(), bulkRead(run), run, list...)
		done <- err
	}()
	during := 0
	for id := int64(10_000); ; id++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if during < 5 || bulkCommits.Load() < 10 {
				t.Errorf("%d deliveries and %d commits while the batch was stored", during, bulkCommits.Load())
			}
			t.Logf("%d deliveries during the batch, the slowest took %v", during, slowest)
			if n := len(b.seenIDs(run.ID)); n != 4000 {
				t.Errorf("%d seen", n)
			}
			return
		default:
		}
		began := time.Now()
		b.want(upsertOf(product(id, "v1", 10_000, "1")), Applied)
		slowest = max(slowest, time.Since(began))
		during++
	}
}

func TestTheMarkMovesOnlyWithTheLastPartOfALongBatch(t *testing.T) {
	b := open(t)
	b.s.bulkTime = bulkTime
	run := b.fullRun()
	run.Offset = 77
	var commits int
	b.fail(func(at string) error {
		if at != "before commit" {
			return nil
		}
		if commits++; commits == 3 {
			return &UnavailableError{Cause: CauseLocked, Err: errors.New("a fault")}
		}
		return nil
	})
	var list []*catalog.Product
	for id := int64(1); id <= 4000; id++ {
		list = append(list, product(id, "v1", 10_000, "1", "2", "3"))
	}
	if _, err := b.s.PutBulk(t.Context(), bulkRead(run), run, list...); CauseOf(err) != CauseLocked {
		t.Fatalf("error %v, want the fault", err)
	}
	b.fail(nil)
	before := b.run(run.ID)
	if before.Offset != 0 || before.Added == 0 || before.Added != int64(len(b.seenIDs(run.ID))) {
		t.Errorf("after two parts: %+v, %d seen", before, len(b.seenIDs(run.ID)))
	}
	b.putBulk(bulkRead(run), run, list...)
	if got := b.run(run.ID); got.Offset != 77 || got.Added != 4000 || got.Unchanged != 0 {
		t.Errorf("after coming again: %+v", got)
	}
}

func TestTheSweepShowsOnlyRowsThatNobodyHasSeenOrWrittenSince(t *testing.T) {
	b := open(t)
	for id := int64(1); id <= 6; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1")), Applied)
	}
	began := time.Now().Add(time.Millisecond)
	for !time.Now().After(began) {
	}
	run := b.fullRun()
	r := bulkRead(run)
	r.Started = began
	b.putBulk(r, run, product(1, "v1", 10_000, "1"), product(3, "v2", 20_000, "1"))
	b.want(upsertOf(product(5, "v2", 20_000, "1")), Applied) // written since
	b.want(upsertOf(product(7, "v1", 10_000, "1")), Applied) // new since
	unseen := func(after int64, limit int) []int64 {
		ids, err := b.s.Unseen(t.Context(), testShop, run.ID, began, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if got := unseen(0, 10); !slices.Equal(got, []int64{2, 4, 6}) {
		t.Errorf("unseen %v", got)
	}
	if got := unseen(2, 1); !slices.Equal(got, []int64{4}) {
		t.Errorf("the page after 2 is %v", got)
	}
	// What a delivery writes between the sweep and the removal stays.
	b.want(upsertOf(product(4, "v2", 20_000, "1")), Applied)
	for _, id := range []int64{2, 4} {
		if _, err := b.s.PutGone(t.Context(), r, id); err != nil {
			t.Fatal(err)
		}
	}
	b.absent(2)
	b.title(4, "Shirt v2")
	if w := b.wanted(); len(w) != 1 || w[0].ID != 4 {
		t.Errorf("wanted %v, want the fetch that decides about 4", w)
	}
	if got := b.run(run.ID); got.Removed != 1 {
		t.Errorf("run %+v", got)
	}
	if err := b.s.ForgetSeen(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if ids := b.seenIDs(run.ID); len(ids) != 0 {
		t.Errorf("still seen: %v", ids)
	}
}

func TestListingGoesByExternalID(t *testing.T) {
	b := open(t)
	for _, id := range []int64{30, 10, 20} {
		b.want(upsertOf(product(id, "v1", id*1000, slices.Repeat([]string{"1"}, int(id/10))...)), Applied)
	}
	b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{20}})
	list, err := b.s.Listing(t.Context(), testShop, 0, 2)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	rest, err := b.s.Listing(t.Context(), testShop, list[1].ID, 2)
	if err != nil || len(rest) != 1 {
		t.Fatalf("%v, %v", rest, err)
	}
	var got []string
	for _, p := range append(list, rest...) {
		if p.SyncedAt == 0 {
			t.Errorf("%+v has no time", p)
		}
		got = append(got, fmt.Sprint(p.ID, p.UpdatedAt, p.Variants, p.Selected))
	}
	if want := []string{"10 10000 1 true", "20 20000 2 false", "30 30000 3 true"}; !slices.Equal(got, want) {
		t.Errorf("listing %v, want %v", got, want)
	}
}
