package syncer

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/limiter"
	"stockroom/store"
)

// What was cancelled by hand does not begin again automatically for an hour.
func TestNothingRunsForAWhileAfterACancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: 10 * time.Hour, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		r.Cancel(testShop)
		time.Sleep(cancelHolds - time.Second)
		if n := len(runs.list()); n != 1 {
			t.Errorf("%d runs within an hour: %+v", n, runs.list())
		}
		time.Sleep(2 * time.Minute)
		if n := len(runs.list()); n != 2 {
			t.Errorf("%d runs after it: %+v", n, runs.list())
		}
	})
}

func TestWhoAsksLaterHasThoughtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: 20 * time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(time.Minute)
		before := len(runs.list())
		for _, kind := range []store.RunKind{store.RunReconcile, store.RunFull, store.RunIncremental} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := r.Start(ctx, testShop, kind, false); err != nil && !errors.Is(err, ErrOtherRuns) {
				t.Error(err)
			}
			cancel()
		}
		time.Sleep(time.Minute)
		var names []string
		for _, m := range runs.list()[before:] {
			names = append(names, m.name)
		}
		if !slices.Equal(names, []string{scheduleReconcile, scheduleIncremental}) {
			t.Errorf("runs %v, want the one under way and the last that was asked for", names)
		}
	})
}

// What is asked for while another run begins is made after it, and a comparison
// that only reports is no run of the schedule.
func TestARunThatBeginsTakesOnlyItsOwnWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Products: 1})
		r.makes = (&fakeRunner{t: t, proves: true, begins: r.begins}).run
		k, later := r.keeperOf(testShop), plan(scheduleFull, "", false)
		k.asked = later
		k.do(t.Context(), plan(scheduleReconcile, "", true))
		if k.asked != later {
			t.Error("what was asked for meanwhile is forgotten")
		}
		if run, ok := r.state.Run(testShop, scheduleReconcile); ok && !run.Started.IsZero() {
			t.Errorf("a dry run counts: %+v", run)
		}
	})
}

// A run pays for what was owed before it began, and for nothing since.
func TestARunPaysForWhatWasBeforeIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		run    string
		proven bool
		before time.Duration // how long before the run it was owed or lost
		paid   bool          // the comparison
		full   bool          // the full sync
	}{
		{"a full sync", scheduleFull, true, time.Millisecond, true, true},
		{"a comparison", scheduleReconcile, true, time.Millisecond, true, false},
		{"an incremental", scheduleIncremental, true, time.Millisecond, false, false},
		{"what proves nothing", scheduleFull, false, time.Millisecond, false, false},
		{"of the same millisecond", scheduleFull, true, 0, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Products: 1})
				time.Sleep(time.Minute)
				began := time.Now()
				r.check(r.wantComparison(testShop, "test", began.Add(-tt.before)))
				r.wantFull(store.Wanted{Shop: testShop, Kind: store.WantSync, At: store.MillisOf(began.Add(-tt.before))})
				time.Sleep(time.Minute)
				run := store.SyncRun{Shop: testShop, StartedAt: store.MillisOf(began), Proven: tt.proven}
				r.keeperOf(testShop).forgetAnswered(t.Context(), tt.run, run)
				_, owed := r.comparisonWanted(testShop)
				if _, lost := r.fullWanted(); owed == tt.paid || lost == tt.full {
					t.Errorf("owed %v, lost %v", owed, lost)
				}
			})
		})
	}
}

// The wish for a full sync lasts until it is noted as answered, and a newer one
// that comes meanwhile stays.
func TestAFullSyncAnswersOneLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Products: 1})
		var fault atomic.Pointer[func(point string) error] // the writer asks at any time
		r.fault = func(point string) error {
			if f := fault.Load(); f != nil {
				return (*f)(point)
			}
			return nil
		}
		r.check(r.store.Want(t.Context(), store.Wanted{Shop: testShop, Kind: store.WantSync}))
		time.Sleep(time.Minute)
		wish := func(at time.Time) store.Wanted {
			return store.Wanted{Shop: testShop, Kind: store.WantSync, At: store.MillisOf(at)}
		}
		began := time.Now()
		first, second := wish(began.Add(-time.Second)), wish(began.Add(time.Second))
		r.wantFull(first)
		r.wantFull(wish(began.Add(-time.Minute)))
		if w, _ := r.fullWanted(); w.At != first.At {
			t.Errorf("an older wish takes the place of a newer one: %v", w.At)
		}
		time.Sleep(time.Minute)
		run := store.SyncRun{Shop: testShop, StartedAt: store.MillisOf(began), Proven: true}
		locked := func(string) error { return &store.UnavailableError{Cause: store.CauseLocked} }
		fault.Store(&locked)
		r.keeperOf(testShop).forgetAnswered(t.Context(), scheduleFull, run)
		if _, lost := r.fullWanted(); !lost {
			t.Error("forgotten although that is not stored")
		}
		news := func(point string) error {
			if point == "before commit" {
				r.wantFull(second)
			}
			return nil
		}
		fault.Store(&news)
		r.keeperOf(testShop).forgetAnswered(t.Context(), scheduleFull, run)
		if w, lost := r.fullWanted(); !lost || w.At != second.At {
			t.Errorf("a newer loss was taken for the old one: %+v, %v", w, lost)
		}
	})
}

func TestAClockPutBackByHoursIsAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Products: 1})
		text, err := time.Now().Add(6 * time.Hour).UTC().MarshalText()
		r.check(err)
		r.check(r.state.Put(marks, "alive", text))
		r.lookForGap(time.Now())
		if _, owed := r.comparisonWanted(testShop); !owed {
			t.Error("nobody knows how long it was, and nothing is compared")
		}
	})
}

func TestAFailureCountsUntilALaterSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		sc := schedule{name: scheduleIncremental, every: beside}
		if at := due(testShop, sc, last{failed: now, fails: 10}, now); at.Sub(now) != beside {
			t.Errorf("tried again after %v, later than its schedule", at.Sub(now))
		}
		r := newRunRig(t, fakeshopify.Options{Products: 1})
		r.check(r.state.RunStarted(testShop, scheduleReconcile, now))
		r.check(r.state.RunFinished(testShop, scheduleReconcile, now.Add(time.Minute), "no"))
		time.Sleep(time.Hour)
		full := time.Now()
		r.check(r.state.RunStarted(testShop, scheduleFull, full))
		r.check(r.state.RunFinished(testShop, scheduleFull, full.Add(time.Minute), ""))
		if l := r.keeperOf(testShop).lastOf(scheduleReconcile); !l.failed.IsZero() || !l.started.Equal(full) {
			t.Errorf("%+v, want what the full sync showed since", l)
		}
	})
}

// lateRig has one change that a run read and no delivery told of.
func lateRig(t *testing.T) *runRig {
	t.Helper()
	r := newRunRig(t, fakeshopify.Options{Products: 1})
	p, err := r.api.Product(t.Context(), testShop, limiter.WebhookRefetch, r.shop.IDs()[0])
	r.check(err)
	p.UpdatedAt = catalog.Of(time.Now().UnixMilli())
	time.Sleep(time.Minute)
	run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunIncremental})
	r.check(err)
	_, err = r.store.PutFetched(t.Context(), store.Read{
		Shop: testShop, Source: "reconcile", Started: time.Now(), Run: run.ID, Expected: func(catalog.Topic, time.Time) bool { return true },
	}, p)
	r.check(err)
	r.judgeDeliveries(t.Context(), testShop, run)
	return r
}

// Two runs in a row that show it say that deliveries are late; half an hour of
// silence besides, that none arrives; and a run after something was heard, that
// they do.
func TestDeliveriesThatDoNotArriveAreNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lateRig(t)
		says := func(when string, late, deaf bool, every time.Duration) {
			t.Helper()
			d, err := r.Deliveries(t.Context(), testShop, time.Now())
			if err != nil || d.Undelivered != 1 || d.Late != late || d.Deaf != deaf || r.keeperOf(testShop).looking(time.Now(), d.Late).Every != every {
				t.Errorf("%s: %+v, changes are looked for every %v (%v)", when, d, r.keeperOf(testShop).looking(time.Now(), d.Late).Every, err)
			}
		}
		run := func() {
			time.Sleep(time.Minute)
			r.judgeDeliveries(t.Context(), testShop, store.SyncRun{Shop: testShop, StartedAt: store.MillisOf(time.Now())})
		}
		says("after one run", false, false, beside)
		run()
		says("after two", true, false, 30*time.Second)
		time.Sleep(deafAfter)
		says("half an hour later", true, true, 30*time.Second)
		d := store.Delivery{Shop: testShop, Topic: string(catalog.ProductsCreate), ReceivedAt: time.Now()}
		r.store.Heard(d, catalog.Change{Kind: catalog.Delete})
		says("when something is heard", true, false, 30*time.Second)
		run()
		says("after a run that found nothing new", false, false, beside)
	})
}

func TestNoDeliveryIsExpectedOfAnAbsence(t *testing.T) {
	r := openRig(t, fakeshopify.Options{})
	at := func(m int) time.Time { return time.Date(2026, 11, 23, 12, m, 0, 0, time.UTC) }
	record := subscriptionRecord{Since: at(10), Topics: map[string]topicRecord{string(catalog.ProductsUpdate): {Listed: true}}}
	if err := r.saveSubscriptionRecord(testShop, record); err != nil {
		t.Fatal(err)
	}
	r.absent(at(20), at(22))
	r.absent(at(30), at(31)) // too short to count
	expected := r.expected(testShop)
	for m, want := range map[int]bool{5: false, 10: false, 15: true, 20: false, 21: false, 22: false, 23: true, 30: true} {
		if got := expected(catalog.ProductsUpdate, at(m)); got != want {
			t.Errorf("of a change at minute %d: %v", m, got)
		}
	}
	if expected(catalog.ProductsCreate, at(15)) {
		t.Error("of a topic that was never listed nor heard")
	}
}

// Where the app is not installed no token is accepted either: that is no news.
func TestAnAppThatStaysUninstalledIsSaidToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1})
		r.shop.Uninstall()
		r.want(store.WantUninstalled, 0)
		time.Sleep(5 * time.Second)
		r.shop.Reinstall()
		r.shop.Fail(fakeshopify.Fault{Status: 401, Endpoint: "graphql", Times: -1})
		time.Sleep(3 * time.Hour) // it is asked now and then
		if p := r.pauseNow(); p.Reason != state.PauseUninstalled {
			t.Errorf("paused for %q", p.Reason)
		}
		r.shop.Heal()
		time.Sleep(2 * time.Hour)
		if p := r.pauseNow(); p.Paused() {
			t.Errorf("paused still for %q", p.Reason)
		}
	})
}

// Times have whole seconds, and our clock may be ahead of the shop's: no edit can
// hide behind a version that was read two seconds after its own.
func TestAVersionIsSettledOnceItsSecondIsOver(t *testing.T) {
	for _, c := range []struct {
		read int64
		skew time.Duration
		want bool
	}{
		{11_999, 0, false}, {12_000, 0, true}, {12_000, time.Second, false}, {13_000, time.Second, true},
		{11_000, -time.Second, true},
	} {
		if got := settled(&store.LocalProduct{ReadAt: c.read, UpdatedAt: 10_400}, nil, c.skew); got != c.want {
			t.Errorf("read at %d with a clock %v ahead: %v", c.read, c.skew, got)
		}
		if got := settled(nil, &store.Passed{ReadAt: c.read, UpdatedAt: 10_400}, c.skew); got != c.want {
			t.Errorf("passed over, read at %d with a clock %v ahead: %v", c.read, c.skew, got)
		}
	}
}

func TestARowOfTheRunsFirstMillisecondIsReadBeforeItGoes(t *testing.T) {
	began := time.UnixMilli(50_000)
	rows := &pages[store.LocalProduct]{
		id: func(p *store.LocalProduct) int64 { return p.ID },
		load: func(after int64) ([]store.LocalProduct, error) {
			if after > 0 {
				return nil, nil
			}
			return []store.LocalProduct{{ID: 1, SyncedAt: 49_999}, {ID: 2, SyncedAt: 50_000}}, nil
		},
	}
	none := &pages[store.Passed]{load: func(int64) ([]store.Passed, error) { return nil, nil }}
	found, err := choose(catalog.Selection{}).compare(nil, nil, rows, none, began, 0)
	if err != nil || !slices.Equal(found.extra, []int64{1}) || !slices.Equal(found.unsure, []int64{2}) {
		t.Errorf("%+v, %v", found, err)
	}
}

// laggingShop does not know of a product yet whose news arrives right after it was
// asked.
type laggingShop struct {
	API
	hidden int64
	news   func()
}

func (l laggingShop) Existing(ctx context.Context, shop string, class limiter.Class, ids []int64) ([]int64, error) {
	list, err := l.API.Existing(ctx, shop, class, ids)
	time.Sleep(time.Second)
	l.news()
	time.Sleep(time.Second)
	return slices.DeleteFunc(list, func(id int64) bool { return id == l.hidden }), err
}

func TestWhatIsWrittenAfterTheShopWasAskedIsNotRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 20})
		r.synced()
		id := r.shop.IDs()[7]
		r.o.API = bentShop{
			API: laggingShop{r.api, id, func() {
				r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "news" })
				r.apply(fakeshopify.TopicUpdate, id)
			}},
			count: func(n int) int { return n - 1 },
			ids: func(list []shopify.Listed) []shopify.Listed {
				return slices.DeleteFunc(list, func(l shopify.Listed) bool { return l.ID == id })
			},
		}
		run, err := r.reconcile(false)
		if err != nil || run.Removed != 0 {
			t.Errorf("%+v, %v", run, err)
		}
		r.o.API = r.api
		r.same()
	})
}
