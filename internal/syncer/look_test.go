package syncer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/store"
)

// lookRig is a proven copy in pull mode.
func lookRig(t *testing.T, o fakeshopify.Options) *runRig {
	t.Helper()
	r := newRunRig(t, o)
	r.o.Pull = true
	r.synced()
	time.Sleep(10 * time.Minute)
	r.refreshProof(t.Context(), testShop)
	return r
}

func (r *runRig) looked() Looking {
	r.t.Helper()
	k := r.keeperOf(testShop)
	k.lookOnce(r.t.Context(), false)
	return k.looking(time.Now(), false)
}

func (r *runRig) catchUps() []store.SyncRun {
	r.t.Helper()
	list, err := r.store.Runs(r.t.Context(), store.RunFilter{Shop: testShop, Kind: store.RunIncremental, Limit: 100})
	r.check(err)
	return list
}

func TestALookBringsWhatChangedAndDropsWhatWasDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 240})
		for i := range 3 {
			r.drift(40)
			time.Sleep(3 * time.Second)
			before := r.shop.APIStats().Calls
			l := r.looked()
			calls := r.shop.APIStats().Calls - before
			r.same()
			if !l.Failed.IsZero() || l.Waiting != 0 || time.Since(l.Last) > time.Minute {
				t.Errorf("%+v", l)
			}
			if calls > 5 { // the question, two batches, what is gone, and what the app may see
				t.Errorf("%d calls for 120 changes", calls)
			}
			runs := r.catchUps()
			if len(runs) != i+1 || runs[0].State != store.RunDone || runs[0].Added != 40 || runs[0].Changed != 40 || runs[0].Removed != 40 || runs[0].ProvenAt != 0 {
				t.Errorf("%+v", runs)
			}
			time.Sleep(time.Minute)
		}
	})
}

// TestABulkEditSaysHowManyWaitAndForHowLong holds that known changes which are being
// read are counted down, and that the end is foretold once some were read.
func TestABulkEditSaysHowManyWaitAndForHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 320, Lean: true, MaxVariants: 2, Large: -1, Huge: -1,
			API: fakeshopify.APIOptions{Plan: fakeshopify.Plan{Name: "small", Maximum: 70, Restore: 0.2}}})
		for _, id := range r.shop.IDs()[:312] {
			r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title += " (sale)" })
		}
		time.Sleep(3 * time.Second)
		k, done := r.keeperOf(testShop), make(chan struct{})
		began := time.Now()
		go func() { defer close(done); k.lookOnce(t.Context(), false) }()
		most, least, foretold := 0, 1000, time.Time{}
		for ended := false; !ended; {
			select {
			case <-done:
				ended = true
			case <-time.After(time.Second):
				l := k.looking(time.Now(), false)
				most = max(most, l.Waiting)
				if l.Waiting > 0 && !l.Ends.IsZero() {
					least, foretold = min(least, l.Waiting), l.Ends
				}
			}
		}
		if took := time.Since(began); most < 200 || least > 100 || foretold.Before(began) || time.Until(foretold).Abs() > took/2 {
			t.Errorf("%d, then %d waited; it took %v and was foretold to end %v from that", most, least, took, time.Until(foretold))
		}
		if run := r.catchUps()[0]; run.Changed != 312 {
			t.Errorf("%+v", run)
		}
	})
}

// TestALookThatFindsNothingWritesNothing holds that looks cost no disk, and that
// what was seen in the window before is not read again.
func TestALookThatFindsNothingWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 20})
		r.looked() // notes how far it came
		r.drift(2)
		time.Sleep(3 * time.Second)
		r.looked()
		r.fault = func(point string) error { return errors.New("written at " + point) }
		for range 4 {
			time.Sleep(30 * time.Second)
			before := r.shop.APIStats().Calls
			if l := r.looked(); !l.Failed.IsZero() || time.Since(l.Last) > time.Second || l.Points < 1 || l.Points > lookPoints {
				t.Errorf("%+v", l)
			}
			if n := r.shop.APIStats().Calls - before; n != 1 {
				t.Errorf("%d calls where nothing changed", n)
			}
		}
		if runs := r.catchUps(); len(runs) != 1 {
			t.Errorf("%+v", runs)
		}
		r.fault = nil
	})
}

// TestASecondEditOfTheSecondThatWasReadIsSeen holds that an edit can't hide behind
// the time of one that was read within its second.
func TestASecondEditOfTheSecondThatWasReadIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 20})
		id := r.shop.IDs()[3]
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		title := func(s string) { r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = s }) }
		title("first")
		r.looked()
		title("second")
		time.Sleep(30 * time.Second)
		r.looked()
		r.same()
		time.Sleep(30 * time.Second)
		if r.looked(); len(r.catchUps()) != 2 {
			t.Errorf("read again and again: %+v", r.catchUps())
		}
	})
}

// TestAFailedLookSaysWhyAndGoesBackAsFar holds that what a look could not see the
// next one sees.
func TestAFailedLookSaysWhyAndGoesBackAsFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 20})
		r.looked()
		r.drift(2)
		time.Sleep(3 * time.Second)
		r.shop.Fail(fakeshopify.Fault{Status: 404, Times: -1})
		before := r.keeperOf(testShop).looking(time.Now(), false).Last
		time.Sleep(time.Minute)
		l := r.looked()
		if l.Failed.IsZero() || !strings.Contains(l.Words, "there is no such shop") || !l.Last.Equal(before) || l.Next.Sub(l.Failed) > time.Minute {
			t.Errorf("%+v", l)
		}
		r.shop.Heal()
		time.Sleep(time.Hour)
		if l := r.looked(); !l.Failed.IsZero() || l.Words != "" {
			t.Errorf("%+v", l)
		}
		r.same()
	})
}

// TestALookWithoutEventsStillBringsChanges holds that deletions which can't be
// listed do not stop the changes, and are looked for again.
func TestALookWithoutEventsStillBringsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 60})
		r.looked()
		r.drift(3)
		time.Sleep(3 * time.Second)
		r.o.API = noEvents{r.api}
		l := r.looked()
		run := r.catchUps()[0]
		if l.Failed.IsZero() || l.Words == "" || run.Added != 3 || run.Changed != 3 || run.Removed != 0 {
			t.Errorf("%+v, %+v", l, run)
		}
		r.o.API = r.api
		time.Sleep(time.Hour)
		r.looked()
		r.same()
	})
}

// TestLooksSlowDownWithTheBudget holds that looks take 3 % of the points, and say
// why they are seldom.
func TestLooksSlowDownWithTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 1})
		k := r.keeperOf(testShop)
		for _, tt := range []struct {
			pace  shopify.Pace
			every time.Duration
			slow  string
		}{
			{shopify.Pace{PerSecond: 100, Learnt: true}, 30 * time.Second, ""},
			{shopify.Pace{PerSecond: 50, Learnt: true}, 30 * time.Second, ""},
			{shopify.Pace{PerSecond: 10, Learnt: true}, 97 * time.Second, "the shop allows few calls"},
			{shopify.Pace{PerSecond: 100, Learnt: true, Short: true}, time.Minute, "other calls need the shop's points"},
			{shopify.Pace{PerSecond: 80.0 / 60}, 725 * time.Second, "how many calls the shop allows is not known yet"},
			{shopify.Pace{PerSecond: 0.1, Learnt: true}, 15 * time.Minute, "the shop allows few calls"},
			{shopify.Pace{}, 30 * time.Second, ""},
		} {
			r.o.API = paced{r.api, tt.pace}
			if every, slow := k.lookEvery(look{}, false); every != tt.every || slow != tt.slow {
				t.Errorf("%+v: every %v, %q", tt.pace, every, slow)
			}
		}
		r.o.API = r.api
		if p := r.api.Pace(testShop); p.PerSecond != fakeshopify.Plus.Restore || !p.Learnt || p.Short {
			t.Errorf("%+v", p)
		}
	})
}

type paced struct {
	API
	pace shopify.Pace
}

func (p paced) Pace(string) shopify.Pace { return p.pace }

// TestLooksBeginAfterTheFirstFullSync runs the loop itself: nothing before there is
// a copy, then every 30 seconds, and beside deliveries every 10 minutes.
func TestLooksBeginAfterTheFirstFullSync(t *testing.T) {
	for pull, want := range map[bool][2]int{true: {118, 122}, false: {5, 7}} {
		t.Run(fmt.Sprintf("pull mode %v", pull), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 3})
				r.o.Pull = pull
				work := func(d time.Duration) (looks int) {
					ctx, stop := context.WithCancel(t.Context())
					done := make(chan struct{})
					before := r.shop.APIStats().Calls
					go func() { defer close(done); r.keeperOf(testShop).looks(ctx) }()
					time.Sleep(d)
					stop()
					<-done
					return r.shop.APIStats().Calls - before
				}
				if n := work(time.Hour); n != 0 {
					t.Errorf("%d looks before there is a copy", n)
				}
				r.synced()
				r.refreshProof(t.Context(), testShop)
				if n := work(time.Hour + time.Second); n < want[0] || n > want[1] {
					t.Errorf("%d looks in an hour, want %v", n, want)
				}
			})
		})
	}
}

// TestNoLookIsMadeWhileAPausedShopIsAsked holds that a look waits for the answer to
// whether the shop goes on, however long that takes: it would be refused at once, and
// again, and again.
func TestNoLookIsMadeWhileAPausedShopIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 3})
		r.check(r.state.SetPause(testShop, state.Pause{Reason: state.PauseToken, Since: time.Now(), NextProbe: time.Now().Add(time.Hour)}))
		for _, at := range []time.Duration{0, 2 * time.Hour} {
			time.Sleep(at)
			if l := r.keeperOf(testShop).looking(time.Now(), false); l.wait(time.Now()) < time.Second {
				t.Errorf("%v after the pause a look is due: %+v", at, l)
			}
		}
		r.check(r.state.SetPause(testShop, state.Pause{}))
		if l := r.keeperOf(testShop).looking(time.Now(), false); l.wait(time.Now()) != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// TestALookReadsWhatOnlyADeliveryBrought holds that in pull mode, where deliveries may
// come and nobody sees to it that all do, a lost edit can't hide behind a delivered one
// of its second.
func TestALookReadsWhatOnlyADeliveryBrought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lookRig(t, fakeshopify.Options{Seed: 3, Products: 20})
		id := r.shop.IDs()[3]
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "delivered" })
		c, err := catalog.Decode(catalog.ProductsUpdate, r.shop.Body(fakeshopify.TopicUpdate, id))
		r.check(err)
		_, err = r.store.Apply(t.Context(), store.Delivery{Shop: testShop, Topic: fakeshopify.TopicUpdate, ReceivedAt: time.Now()}, c)
		r.check(err)
		r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "lost" })
		time.Sleep(30 * time.Second)
		r.looked()
		r.same()
		time.Sleep(30 * time.Second)
		if r.looked(); len(r.catchUps()) != 1 {
			t.Errorf("read again: %+v", r.catchUps())
		}
	})
}
