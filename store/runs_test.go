package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stockroom/internal/catalog"
)

func (b *bench) runRow(run SyncRun) SyncRun {
	b.t.Helper()
	got, err := b.s.StartRun(b.t.Context(), run)
	if err != nil {
		b.t.Fatal(err)
	}
	got.State, got.ProvenAt, got.Proven = run.State, run.ProvenAt, run.ProvenAt > 0
	if err := b.s.SaveRun(b.t.Context(), got); err != nil {
		b.t.Fatal(err)
	}
	return got
}

func (b *bench) runIDs(f RunFilter) []int64 {
	b.t.Helper()
	list, err := b.s.Runs(b.t.Context(), f)
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []int64
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestARunIsReadBackAsItWasSaved(t *testing.T) {
	b := open(t)
	want, err := b.s.StartRun(t.Context(), SyncRun{
		Shop: testShop, Kind: RunFull, Trigger: "by hand", DryRun: true, Phase: "waiting", StartedAt: 123,
		Added: 99, Doubtful: 99, // not the caller's to say
	})
	if err != nil || want.ID == 0 || want.State != RunRunning || want.Added != 0 {
		t.Fatalf("%+v, %v", want, err)
	}
	b.reopen()
	if diff := cmp.Diff(want, b.run(want.ID)); diff != "" {
		t.Error(diff)
	}
	want.State, want.Phase, want.FinishedAt, want.Proven, want.ProvenAt, want.Error = RunFailed, "reading", 1, true, 2, "why"
	want.Expected, want.Read, want.Objects, want.ObjectsTotal, want.Bytes, want.BytesTotal = 3, 4, 5, 6, 7, 8
	want.Points, want.Calls, want.Operation, want.Offset, want.Mark, want.Cause = 9, 10, "gid://x/1", 11, "m", "network"
	saved := want
	saved.Added, saved.Unchanged, saved.Shop = 55, 55, "other"
	if err := b.s.SaveRun(t.Context(), saved); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.run(want.ID)); diff != "" {
		t.Error(diff)
	}
	if err := b.s.SaveRun(t.Context(), SyncRun{ID: 77, State: RunDone}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a run without a row: %v", err)
	}
	if _, err := b.s.Run(t.Context(), 77); !errors.Is(err, ErrNotFound) {
		t.Errorf("a run without a row: %v", err)
	}
}

func TestRunsAreListedNewestFirst(t *testing.T) {
	b := open(t)
	b.runRow(SyncRun{Shop: testShop, Kind: RunFull, State: RunDone})
	b.runRow(SyncRun{Shop: "other", Kind: RunFull, State: RunRunning})
	b.runRow(SyncRun{Shop: testShop, Kind: RunReconcile, State: RunRunning})
	b.runRow(SyncRun{Shop: testShop, Kind: RunFull, State: RunFailed})
	for _, tc := range []struct {
		f    RunFilter
		want []int64
	}{
		{RunFilter{}, []int64{4, 3, 2, 1}},
		{RunFilter{Shop: testShop}, []int64{4, 3, 1}},
		{RunFilter{Shop: testShop, Kind: RunFull}, []int64{4, 1}},
		{RunFilter{Before: 4, Limit: 2}, []int64{3, 2}},
	} {
		if got := b.runIDs(tc.f); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: %v, want %v", tc.f, got, tc.want)
		}
	}
	running, err := b.s.RunningRuns(t.Context())
	if err != nil || len(running) != 2 || running[0].ID != 2 || running[1].ID != 3 {
		t.Errorf("running %+v, %v", running, err)
	}
}

func TestTheLastProofIsTheNewestOfWhatWasCompared(t *testing.T) {
	b := open(t)
	proof := func() Proof {
		p, err := b.s.LastProof(t.Context(), testShop)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := proof(); p != (Proof{}) {
		t.Errorf("%+v before any run", p)
	}
	b.runRow(SyncRun{Shop: testShop, Kind: RunReconcile, State: RunDone, ProvenAt: 300})
	b.runRow(SyncRun{Shop: testShop, Kind: RunReconcile, State: RunFailed})
	b.runRow(SyncRun{Shop: "other", Kind: RunFull, State: RunDone, ProvenAt: 900})
	if p := proof(); p != (Proof{IDs: 300, Run: 1}) {
		t.Errorf("%+v", p)
	}
	b.runRow(SyncRun{Shop: testShop, Kind: RunFull, State: RunDone, ProvenAt: 500})
	if p := proof(); p != (Proof{IDs: 500, Fields: 500, Run: 4}) {
		t.Errorf("%+v", p)
	}
	// The clock was ahead in the one before: what was shown last counts, or an old
	// proof would look fresh once its instant comes.
	b.runRow(SyncRun{Shop: testShop, Kind: RunFull, State: RunDone, ProvenAt: 400})
	if p := proof(); p != (Proof{IDs: 400, Fields: 400, Run: 5}) {
		t.Errorf("%+v", p)
	}
	b.runRow(SyncRun{Shop: testShop, Kind: RunReconcile, State: RunDone, ProvenAt: 450})
	if p := proof(); p != (Proof{IDs: 450, Fields: 400, Run: 6}) {
		t.Errorf("%+v", p)
	}
}

func TestOldRunsGoAndTheNewestAndTheProofsStay(t *testing.T) {
	b := open(t)
	const day = 24 * 60 * 60 * 1000
	now := time.Now()
	old := MillisOf(now) - 40*day
	var ids []int64
	for i := range int64(70) {
		run := SyncRun{Shop: testShop, Kind: RunReconcile, State: RunDone, StartedAt: old + Millis(i)}
		switch i {
		case 2:
			run.Kind, run.ProvenAt = RunFull, 5
		case 3, 4:
			run.ProvenAt = Millis(60 - i) // the one made last stays, also where the clock was put back
		case 6:
			run.State = RunRunning
		}
		ids = append(ids, b.runRow(run).ID)
		b.fetched(Read{Run: ids[i], Report: true, DryRun: true}, product(1, "v1", 10_000, "1"))
	}
	r := Read{Shop: testShop, Source: "bulk", Started: later()}
	for _, i := range []int{0, 6, 69} {
		r.Run = ids[i]
		b.fetched(r, product(1, "v1", 10_000, "1"))
	}
	other := b.runRow(SyncRun{Shop: "other", Kind: RunFull, State: RunDone, StartedAt: old})
	if _, err := b.s.Prune(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	var want []int64
	for i, id := range ids {
		if i >= 20 || i == 2 || i == 4 || i == 6 {
			want = append(want, id)
		}
	}
	slices.Reverse(want)
	if got := b.runIDs(RunFilter{Shop: testShop, Limit: 200}); !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
	if got := b.runIDs(RunFilter{Shop: "other"}); !slices.Equal(got, []int64{other.ID}) {
		t.Errorf("the other shop's newest run went: %v", got)
	}
	if len(b.drift(ids[0])) != 0 || len(b.drift(ids[2])) != 1 || len(b.drift(ids[69])) != 1 {
		t.Error("reports and runs do not go together")
	}
	if len(b.seenIDs(ids[6])) != 1 || len(b.seenIDs(ids[69])) != 0 || len(b.seenIDs(ids[0])) != 0 {
		t.Error("what was seen does not go with the end of the run")
	}
}

// TestCatchUpsAreKeptAsLongAsTheJournal holds that the many runs of pull mode go
// before those that compare.
func TestCatchUpsAreKeptAsLongAsTheJournal(t *testing.T) {
	b := open(t)
	const day = 24 * 60 * 60 * 1000
	now := time.Now()
	run := func(kind RunKind, days Millis) int64 {
		return b.runRow(SyncRun{Shop: testShop, Kind: kind, State: RunDone, StartedAt: MillisOf(now) - days*day}).ID
	}
	_, compared, newer := run(RunIncremental, 8), run(RunReconcile, 8), run(RunIncremental, 6)
	for range runsKept {
		run(RunReconcile, 1)
	}
	if _, err := b.s.Prune(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if got := b.runIDs(RunFilter{Shop: testShop, Limit: 200}); len(got) != runsKept+2 || !slices.Equal(got[runsKept:], []int64{newer, compared}) {
		t.Errorf("left %v, want %d and %d to be the oldest", got, newer, compared)
	}
	plan, err := query(t.Context(), b.s, func(scan func(...any) error) (text string, err error) {
		var skip any
		return text, scan(&skip, &skip, &skip, &text)
	}, `EXPLAIN QUERY PLAN SELECT id FROM sync_runs WHERE shop = ? AND kind = ? AND (?3 = 0 OR id < ?3) ORDER BY id DESC LIMIT 10`, testShop, "full", 0)
	if err != nil || len(plan) != 1 || !strings.Contains(plan[0], "sync_runs_by_kind (shop=? AND kind=?") {
		t.Errorf("%q, %v", plan, err)
	}
}

func TestARemovedShopTakesItsRunsAlong(t *testing.T) {
	b := open(t)
	if err := b.s.PutShop(t.Context(), Shop{Shop: testShop}); err != nil {
		t.Fatal(err)
	}
	run, other := b.fullRun(), b.runRow(SyncRun{Shop: "other", Kind: RunFull, State: RunDone})
	b.selection(catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: catalog.RuleTag, Value: "winter"}}})
	b.putBulk(bulkRead(run), run, product(1, "v1", 10_000, "1"))
	b.fetched(Read{Run: run.ID, Report: true, DryRun: true}, product(1, "v1", 10_000, "1"))
	if got := b.run(run.ID); got.Ignored != 1 {
		t.Errorf("run %+v", got)
	}
	if _, err := b.s.RemoveShop(t.Context(), testShop, false, "test"); err != nil {
		t.Fatal(err)
	}
	if got := b.runIDs(RunFilter{}); !slices.Equal(got, []int64{other.ID}) {
		t.Errorf("runs %v", got)
	}
	passed, err := b.s.PassedOver(t.Context(), testShop, 0, 10)
	if err != nil || len(passed)+len(b.seenIDs(run.ID))+len(b.drift(run.ID)) != 0 {
		t.Errorf("left: %v %v %v (%v)", passed, b.seenIDs(run.ID), b.drift(run.ID), err)
	}
}
