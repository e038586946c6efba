package syncer

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
)

// fakeRunner notes which runs are made; each takes a while and does nothing.
type fakeRunner struct {
	t  *testing.T
	mu sync.Mutex
	// made are the runs in order.
	made   []madeRun
	under  int
	takes  time.Duration
	fail   error
	proves bool
	begins func(shop string, id int64)
}

type madeRun struct {
	name, trigger string
	at            time.Time
	dry           bool
}

// list are the runs made so far.
func (f *fakeRunner) list() []madeRun {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.made)
}

func (f *fakeRunner) run(ctx context.Context, shop string, p *planned) (store.SyncRun, error) {
	f.mu.Lock()
	f.under++
	if f.under > 1 {
		f.t.Error("two runs of one shop at a time")
	}
	started := time.Now()
	f.made = append(f.made, madeRun{p.name, p.trigger, started, p.dryRun})
	takes, fail := f.takes, f.fail
	f.mu.Unlock()
	f.begins(shop, int64(len(f.list())))
	defer func() {
		f.mu.Lock()
		f.under--
		f.mu.Unlock()
	}()
	t := time.NewTimer(takes)
	defer t.Stop()
	run := store.SyncRun{Shop: shop, StartedAt: store.MillisOf(started), Proven: f.proves && fail == nil}
	select {
	case <-ctx.Done():
		return run, context.Cause(ctx)
	case <-t.C:
	}
	return run, fail
}

func (f *fakeRunner) count(name string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.made {
		if m.name == name {
			n++
		}
	}
	return n
}

func (f *fakeRunner) set(change func(f *fakeRunner)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// idleAPI is asked nothing but whether calls are held back.
type idleAPI struct{ API }

func (idleAPI) Held(string, time.Time) *shopify.Error { return nil }
func (idleAPI) TryNow(string)                         {}
func (idleAPI) Pace(string) shopify.Pace              { return shopify.Pace{} }

// scheduleRig is a syncer whose runs do nothing.
type scheduleRig struct {
	*Syncer
	runs *fakeRunner
	dir  string
	stop func()
	hung atomic.Int64 // checks of subscriptions that hung; none hangs while it is negative
}

func newScheduleRig(t *testing.T, dir string, runs *fakeRunner) *scheduleRig {
	t.Helper()
	st, err := state.Open(filepath.Join(dir, "state.db"), time.Now(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.AddShop(testShop, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	cat, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "products.db")})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := queue.Open(queue.Options{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	r := &scheduleRig{dir: dir, runs: runs}
	r.hung.Store(-1)
	r.Syncer = New(Options{API: idleAPI{}, Store: cat, State: st, Queue: jobs, Folder: folderAt(t, t.TempDir()), ReconcileEvery: time.Hour, FullSyncEvery: 24 * time.Hour})
	runs.begins, r.makes = r.begins, runs.run
	r.checkSubs = func(ctx context.Context, _ string, _ bool) (Subscriptions, error) {
		if r.hung.Load() >= 0 {
			r.hung.Add(1)
			<-ctx.Done()
			return Subscriptions{}, ctx.Err()
		}
		return Subscriptions{CheckedAt: time.Now(), Present: true}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.keep(ctx) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-done
		if err := errors.Join(jobs.Close(), cat.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

func TestAShopIsSyncedWholeFirstAndThenBySchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: 3 * time.Second, proves: true}
		newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		if got := runs.list(); len(got) != 1 || got[0].name != scheduleFull || got[0].trigger != "the first sync of this shop" {
			t.Fatalf("after a minute: %+v, want the first full sync", got)
		}
		if testing.Short() {
			return
		}
		time.Sleep(72 * time.Hour)
		// Up to a tenth later each time, so three days hold a little less.
		for name, want := range map[string][2]int{scheduleFull: {3, 4}, scheduleReconcile: {62, 72}} {
			if n := runs.count(name); n < want[0] || n > want[1] {
				t.Errorf("%s ran %d times in three days, want %d to %d", name, n, want[0], want[1])
			}
		}
	})
}

func TestARestartChangesNoSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		for range 30 { // a restart every two minutes
			r := newScheduleRig(t, dir, runs)
			time.Sleep(2 * time.Minute)
			r.stop()
		}
		if n := runs.count(scheduleFull); n != 1 {
			t.Errorf("%d full syncs in an hour of restarts, want 1", n)
		}
	})
}

func TestAFailedRunIsTriedAgainAfterAGrowingWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Second, fail: errors.New("the export failed")}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(6 * time.Hour)
		var waits []time.Duration
		for i := 1; i < len(runs.list()); i++ {
			waits = append(waits, runs.list()[i].at.Sub(runs.list()[i-1].at).Round(time.Minute))
		}
		want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}
		for i := range want {
			want[i] *= time.Minute
		}
		if !slices.Equal(waits[:min(len(waits), len(want))], want[:min(len(waits), len(want))]) || len(waits) < 8 {
			t.Errorf("waits %v, want %v", waits, want)
		}
		st := r.Status(testShop, time.Now())
		if i := slices.IndexFunc(st.Schedules, func(s ScheduleStatus) bool { return s.Name == scheduleFull }); st.Schedules[i].LastError != "the export failed" {
			t.Errorf("the schedule tells %q of its failure", st.Schedules[i].LastError)
		}
	})
}

func TestAGapLongerThanShopifyRepeatsDeliveriesIsFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		r := newScheduleRig(t, dir, runs)
		time.Sleep(5 * time.Minute)
		r.stop()
		time.Sleep(6 * time.Hour)
		runs.set(func(f *fakeRunner) { f.proves, f.fail = false, errors.New("Shopify is not answering") })
		r = newScheduleRig(t, dir, runs)
		time.Sleep(30 * time.Second)
		if why := against(r.Status(testShop, time.Now()), time.Now()); why == "" {
			t.Error("in step in spite of the gap")
		}
		r.stop() // what is owed outlives the restart
		runs.set(func(f *fakeRunner) { f.proves, f.fail, f.made = true, nil, nil })
		r = newScheduleRig(t, dir, runs)
		time.Sleep(2 * time.Minute)
		if len(runs.list()) == 0 || runs.list()[0].name != scheduleReconcile || runs.list()[0].trigger != "Stockroom was off for 6 hours, longer than Shopify repeats deliveries" {
			t.Fatalf("runs after the gap: %+v, want a comparison that names it first", runs.list())
		}
		if _, owed := r.comparisonWanted(testShop); owed {
			t.Error("still owed after the comparison")
		}
	})
}

// TestASleepOfTheMachineIsAGapToo holds that an absence counts that no restart
// ends: the machine was suspended, so the last sign of life is old.
func TestASleepOfTheMachineIsAGapToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(5*time.Minute + 30*time.Second)
		text, err := time.Now().Add(-6 * time.Hour).UTC().MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.o.State.Put(marks, "alive", text); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if !slices.ContainsFunc(runs.list(), func(m madeRun) bool {
			return m.name == scheduleReconcile && m.trigger == "Stockroom was off for 6 hours, longer than Shopify repeats deliveries"
		}) {
			t.Errorf("runs %+v, want a comparison for the gap", runs.list())
		}
	})
}

func TestARunThatProvesNothingPaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		runs.set(func(f *fakeRunner) { f.proves = false })
		if err := r.wantComparison(testShop, "webhook subscriptions were missing", time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if _, owed := r.comparisonWanted(testShop); !owed {
			t.Error("a comparison that was not proven paid for the gap")
		}
	})
}

func TestALossIsFollowedByAFullSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		w := store.Wanted{Shop: testShop, Kind: store.WantSync, Reason: "products.db lost changes", At: store.MillisOf(time.Now())}
		if err := r.o.Store.Want(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		r.wantFull(w)
		if _, known := r.Staleness(testShop, time.Now()); known {
			t.Error("the copy's age is known in spite of a loss")
		}
		time.Sleep(time.Minute)
		if n := runs.count(scheduleFull); n != 2 || runs.list()[1].trigger != "products.db lost changes" {
			t.Errorf("runs %+v, want a full sync that names the loss", runs.list())
		}
		if list, err := r.o.Store.WantedList(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("still wanted after the full sync: %v, %v", list, err)
		}
	})
}

func TestNothingRunsForAPausedShop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		r.setPause(t.Context(), testShop, state.Pause{Reason: state.PauseToken, Since: time.Now(), NextProbe: time.Now().Add(time.Hour)})
		before := len(runs.list())
		time.Sleep(5 * time.Hour)
		if n := len(runs.list()); n != before {
			t.Errorf("%d runs while paused", n-before)
		}
		st := r.Status(testShop, time.Now())
		if !slices.ContainsFunc(st.Schedules, func(s ScheduleStatus) bool { return s.Name == scheduleReconcile && s.Late }) {
			t.Errorf("status %+v, want late", st)
		}
		r.setPause(t.Context(), testShop, state.Pause{})
		time.Sleep(10 * time.Second)
		if n := len(runs.list()); n == before {
			t.Error("nothing ran when the pause ended")
		}
	})
}

func TestARunAskedForTwiceIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: 20 * time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		for range 3 {
			if id, err := r.Start(t.Context(), testShop, store.RunReconcile, true); id == 0 || err != nil {
				t.Fatalf("began as %d, %v", id, err)
			}
		}
		// Another kind has to wait.
		wait, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if id, err := r.Start(wait, testShop, store.RunFull, false); id != 0 || !errors.Is(err, ErrOtherRuns) {
			t.Fatalf("a full sync beside a comparison: began as %d, %v", id, err)
		}
		time.Sleep(time.Minute)
		if n := runs.count(scheduleReconcile); n != 1 || runs.count(scheduleFull) != 2 {
			t.Errorf("runs %+v, want one comparison and then the full sync", runs.list())
		}
	})
}

func TestARunCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Hour, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		if !r.Cancel(testShop) {
			t.Fatal("there was none to cancel")
		}
		time.Sleep(time.Second)
		if run, _ := r.o.State.Run(testShop, scheduleFull); run.OK || run.Error != errCancelled.Error() {
			t.Errorf("stored %+v, want it cancelled", run)
		}
		if r.Cancel(testShop) {
			t.Error("cancelled twice")
		}
	})
}

func TestAClockPutBackDelaysNoRun(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	sc := schedule{name: scheduleReconcile, every: time.Hour}
	if at := due(testShop, sc, last{started: now.Add(24 * time.Hour)}, now); at.After(now) {
		t.Errorf("due at %v although the last run lies ahead", at)
	}
	if at := due(testShop, sc, last{started: now.Add(-time.Minute), failed: now.Add(time.Hour), fails: 3}, now); at.After(now.Add(70 * time.Minute)) {
		t.Errorf("due at %v", at)
	}
	if !late(sc, now.Add(time.Hour), now.Add(-3*time.Hour), now) {
		t.Error("a success that lies ahead counts")
	}
}

func TestJitterIsUpwardAndAtMostATenth(t *testing.T) {
	sc := schedule{name: scheduleReconcile, every: time.Hour}
	seen := map[time.Duration]bool{}
	for i := range 1000 {
		d := jitter(testShop, sc, time.UnixMilli(int64(i)*1000))
		if d < 0 || d > sc.every/10 {
			t.Fatalf("jitter %v", d)
		}
		seen[d.Round(time.Second)] = true
	}
	if len(seen) < 200 {
		t.Errorf("only %d different waits", len(seen))
	}
}

func TestAGapBeforeTheFirstSyncIsFilledByIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		runs := &fakeRunner{t: t, takes: time.Second, proves: true, fail: errors.New("the export failed")}
		r := newScheduleRig(t, dir, runs)
		time.Sleep(10 * time.Second)
		if err := r.wantComparison(testShop, "webhook subscriptions were missing", time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		runs.set(func(f *fakeRunner) { f.fail = nil })
		time.Sleep(10 * time.Minute)
		if n := runs.count(scheduleReconcile); n != 0 {
			t.Errorf("%d comparisons before there was anything to compare: %+v", n, runs.list())
		}
		if _, owed := r.comparisonWanted(testShop); owed || runs.count(scheduleFull) < 2 {
			t.Errorf("still owed after the first full sync: %+v", runs.list())
		}
	})
}

// TestARunThatProvesNothingIsNotDone holds that it is tried again after the wait
// of a failure, neither at once again and again nor only when it is next due, and
// that its alarm goes off.
func TestARunThatProvesNothingIsNotDone(t *testing.T) {
	for _, tt := range []struct {
		name, schedule string
		ask            func(t *testing.T, r *scheduleRig)
	}{
		{"a full sync after a loss", scheduleFull, func(t *testing.T, r *scheduleRig) {
			w := store.Wanted{Shop: testShop, Kind: store.WantSync, Reason: "products.db lost changes", At: store.MillisOf(time.Now())}
			if err := r.o.Store.Want(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			r.wantFull(w)
		}},
		{"a comparison after a gap", scheduleReconcile, func(t *testing.T, r *scheduleRig) {
			if err := r.wantComparison(testShop, "webhook subscriptions were missing", time.Now()); err != nil {
				t.Fatal(err)
			}
		}},
		{"a comparison by schedule", scheduleReconcile, func(*testing.T, *scheduleRig) { time.Sleep(66 * time.Minute) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runs := &fakeRunner{t: t, takes: time.Second, proves: true}
				r := newScheduleRig(t, t.TempDir(), runs)
				time.Sleep(time.Minute)
				runs.set(func(f *fakeRunner) { f.proves = false })
				before, _ := r.o.State.Run(testShop, tt.schedule)
				had := runs.count(tt.schedule)
				tt.ask(t, r)
				time.Sleep(time.Hour)
				if n := runs.count(tt.schedule) - had; n < 4 || n > 8 {
					t.Errorf("%d runs in an hour", n)
				}
				after, _ := r.o.State.Run(testShop, tt.schedule)
				if after.OK || !after.LastSuccess.Equal(before.LastSuccess) || after.Error == "" {
					t.Errorf("stored %+v", after)
				}
				if tt.schedule == scheduleFull {
					return // its alarm goes off after two days
				}
				time.Sleep(2 * time.Hour)
				if st := r.Status(testShop, time.Now()); !slices.ContainsFunc(st.Schedules, func(s ScheduleStatus) bool { return s.Name == tt.schedule && s.Late }) {
					t.Errorf("not late: %+v", st.Schedules)
				}
			})
		})
	}
}

// TestACheckOfSubscriptionsThatHangsIsGivenUp holds that the checks after it are
// made, and that the schedule tells of it.
func TestACheckOfSubscriptionsThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		r.hung.Store(0)
		time.Sleep(time.Hour)
		synctest.Wait()
		if checks := r.hung.Load(); checks < 3 {
			t.Errorf("%d checks in an hour", checks)
		}
		if run, _ := r.o.State.Run(testShop, scheduleSubscriptions); run.OK || run.LastSuccess.IsZero() {
			t.Errorf("stored %+v", run)
		}
		if why := against(r.Status(testShop, time.Now()), time.Now()); why == "" {
			t.Error("in step although nobody knows of the subscriptions")
		}
	})
}

// TestWhatIsOwedUnderAClockThatWasAheadIsPaidOnce holds that no run is repeated
// until the instant of such a mark has come.
func TestWhatIsOwedUnderAClockThatWasAheadIsPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		ahead := time.Now().Add(24 * time.Hour)
		r.wantFull(store.Wanted{Shop: testShop, Kind: store.WantSync, Reason: "products.db lost changes", At: store.MillisOf(ahead)})
		if err := r.wantComparison(testShop, "webhook subscriptions were missing", ahead); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if full, compared := runs.count(scheduleFull), runs.count(scheduleReconcile); full < 2 || full > 3 || compared > 2 {
			t.Errorf("%d full syncs and %d comparisons", full, compared)
		}
		_, owed := r.comparisonWanted(testShop)
		if _, lost := r.fullWanted(); owed || lost {
			t.Errorf("owed %v, lost %v", owed, lost)
		}
	})
}
