package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/store"
)

// pulls is what the rig does after a restart: webhooks off, or no address.
func (r *subRig) pulls(off bool) {
	r.o.Pull, r.o.Unsubscribe = true, off
	if !off {
		r.o.PublicURL = ""
	}
	r.Syncer = New(r.o)
}

// pushes is what the rig does after a restart with its address.
func (r *subRig) pushes() {
	r.o.Pull, r.o.Unsubscribe, r.o.PublicURL = false, false, ourBase
	r.Syncer = New(r.o)
}

// proven is a copy that was proven now.
func (r *subRig) proven() {
	r.t.Helper()
	now := store.MillisOf(time.Now())
	if _, err := r.store.StartRun(r.t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunFull, State: store.RunDone, StartedAt: now, Proven: true, ProvenAt: now}); err != nil {
		r.t.Fatal(err)
	}
	r.refreshProof(r.t.Context(), testShop)
}

// foreign makes subscriptions of somebody else and returns what holds that they
// are as they were, and all that is there besides.
func (r *subRig) foreign() (others func() (changed bool, ours int)) {
	uris := []string{"https://feed.example/hooks", "https://stock.example.evil.example/webhooks/shopify/x", "pubsub://project:topic"}
	ids := map[int64]string{}
	for _, uri := range uris {
		ids[r.shop.Subscribe("products/update", uri)] = uri
	}
	return func() (bool, int) {
		same, ours := 0, 0
		for _, s := range r.shop.Subscriptions() {
			if uri, ok := ids[s.ID]; !ok {
				ours++
			} else if uri == s.Address {
				same++
			}
		}
		return same != len(uris), ours
	}
}

func TestWebhooksOffRemovesWhatIsOursOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		others := r.foreign()
		r.check(true)
		a := r.spoil()
		r.pulls(true)
		if every := r.subscriptionsEveryOf(testShop); every != subscriptionsEvery {
			t.Errorf("looked after every %v before the removal", every)
		}
		got, healed := r.check(true)
		if !got.Present || got.Error != "" || got.Next != "" || len(got.Missing()) > 0 || healed || r.owesComparison() {
			t.Errorf("healed %v: %+v", healed, got)
		}
		if changed, ours := others(); changed || ours != 0 {
			t.Errorf("%d of ours are left, others changed: %v", ours, changed)
		}
		if rec := r.subscriptionRecord(testShop); !rec.Removed || !rec.Since.IsZero() {
			t.Errorf("remembered: %+v", rec)
		}
		a.calls = nil
		r.pulls(true)
		if got, _ := r.check(true); !got.Present || got.Error != "" || len(a.calls) != 0 {
			t.Errorf("after a restart: %q, %+v", a.calls, got)
		}
		if every := r.subscriptionsEveryOf(testShop); every != 0 {
			t.Errorf("looked after every %v", every)
		}
	})
}

// TestBackFromPullModeEverythingIsSubscribed also where our own subscriptions have
// delivered lately: those deliveries speak for no configuration file.
func TestBackFromPullModeEverythingIsSubscribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		r.heard("products/update", "w-1", time.Now())
		r.pulls(true)
		r.check(true)
		time.Sleep(time.Hour)
		r.pushes()
		before := time.Now()
		got, healed := r.check(true)
		if !got.Present || !healed || !r.owesComparison() || len(unlike(got, subCreated)) > 0 || r.subscriptionRecord(testShop).Since.Before(before) {
			t.Errorf("healed %v: %+v", healed, got)
		}
		if rec := r.subscriptionRecord(testShop); rec.Removed {
			t.Error("the next time they would be left")
		}
	})
}

// TestWithoutAnAddressWhatWasMadeIsLeftAlone: nobody knows whether the next start
// has it again.
func TestWithoutAnAddressWhatWasMadeIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		a := r.spoil()
		r.pulls(false)
		if r.expected(testShop) != nil {
			t.Error("deliveries are waited for at the start")
		}
		got, _ := r.check(true)
		if !got.Present || got.Error != "" || len(a.calls) != 0 || len(r.shop.Subscriptions()) != len(wantedTopics) {
			t.Errorf("%q: %+v", a.calls, got)
		}
		if r.subscriptionsEveryOf(testShop) != 0 || r.expected(testShop) != nil {
			t.Error("deliveries are waited for")
		}
		time.Sleep(time.Hour)
		r.pushes()
		back := time.Now()
		got, _ = r.check(true)
		if !got.Present || len(unlike(got, subPresent)) > 0 || r.subscriptionRecord(testShop).Since.Before(back) {
			t.Errorf("with the address again: %+v", got)
		}
		if expected := r.expected(testShop); expected(catalog.ProductsCreate, back.Add(-time.Minute)) || !expected(catalog.ProductsCreate, back.Add(time.Minute)) {
			t.Error("deliveries count from another instant than the address's return")
		}
	})
}

// checksOf is how the checks of subscriptions stand.
func checksOf(st Status) ScheduleStatus {
	return st.Schedules[slices.IndexFunc(st.Schedules, func(sc ScheduleStatus) bool { return sc.Name == scheduleSubscriptions })]
}

// TestWhatPullModeCannotRemoveIsTriedAgain every 5 minutes, and said meanwhile.
func TestWhatPullModeCannotRemoveIsTriedAgain(t *testing.T) {
	for _, call := range []string{"list", "delete"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSubRig(t, fakeshopify.Options{})
				r.check(true)
				a := r.spoil()
				var up atomic.Bool
				a.before = func(c string) error {
					if c == call && !up.Load() {
						return &shopify.Error{Kind: shopify.KindNetwork, Shop: testShop}
					}
					return nil
				}
				r.pulls(true)
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { r.watchSubscriptions(ctx, testShop); close(done) }()
				time.Sleep(19 * time.Minute)
				synctest.Wait()
				tries := 0
				for _, c := range a.calls {
					if c == call {
						tries++
					}
				}
				st := r.Status(testShop, time.Now())
				if sub := st.Subscriptions; tries != 4 || !sub.Present || len(sub.Missing()) > 0 || sub.Next != "It is tried again every 5 minutes. Deliveries that still come are used." ||
					!strings.HasPrefix(sub.Error, "The subscriptions that Stockroom made can't be removed now: ") {
					t.Errorf("%d tries: %+v", tries, sub)
				}
				if sc := checksOf(st); sc.LastError == "" || sc.Next.IsZero() {
					t.Errorf("%+v", sc)
				}
				up.Store(true)
				time.Sleep(5 * time.Minute)
				<-done // nothing is left to be done
				st = r.Status(testShop, time.Now())
				if len(r.shop.Subscriptions()) != 0 || st.Subscriptions.Error != "" {
					t.Errorf("%+v", st.Subscriptions)
				}
				if sc := checksOf(st); sc.LastError != "" || sc.Every != 0 || sc.Late || !sc.Next.IsZero() {
					t.Errorf("%+v", sc)
				}
				stop()
			})
		})
	}
}

func TestAPersonCannotSubscribeInPullMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSubRig(t, fakeshopify.Options{})
		r.check(true)
		foreign := r.shop.Subscribe("products/update", "https://feed.example/hooks")
		for off, want := range map[bool]error{true: ErrWebhooksOff, false: ErrNoAddress} {
			a := r.spoil()
			r.pulls(off)
			if _, err := r.CheckSubscriptions(t.Context(), testShop, true); !errors.Is(err, want) || len(a.calls) > 0 {
				t.Errorf("off %v: %v, %q", off, err, a.calls)
			}
			got, err := r.CheckSubscriptions(t.Context(), testShop, false) // looking is possible
			if err != nil || !got.Present || len(got.Wanted) != 0 || len(got.Others) != len(wantedTopics)+1 {
				t.Errorf("off %v: %+v, %v", off, got, err)
			}
			for _, sub := range got.Others {
				if mine := !strings.HasSuffix(sub.ID, fmt.Sprint("/", foreign)); mine != (sub.State == subPresent) || !mine && sub.State != subElsewhere {
					t.Errorf("off %v: %+v", off, sub)
				}
			}
		}
	})
}

// TestACrashOnTheWayThroughPullModeLosesNothing plays webhooks, off, a crash at
// each call of the removal, off again or not, and webhooks again.
func TestACrashOnTheWayThroughPullModeLosesNothing(t *testing.T) {
	for _, again := range []bool{true, false} {
		for at := range 5 { // of three there are, and the list
			for _, when := range []string{"before", "after"} {
				t.Run(fmt.Sprintf("%s call %d, again %v", when, at, again), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { crashInPull(t, at, when, again) })
				})
			}
		}
	}
}

func crashInPull(t *testing.T, at int, when string, again bool) {
	r := newSubRig(t, fakeshopify.Options{})
	others := r.foreign()
	a := r.spoil()
	// Of one we never got to know that it was made. It delivers.
	a.after = func(call string) error {
		if call == "create products/delete" {
			return &shopify.Error{Kind: shopify.KindTimeout}
		}
		return nil
	}
	r.proven()
	if _, err := r.checkSubscriptions(t.Context(), testShop, true); err == nil {
		t.Fatal("no answer was lost")
	}
	for i, topic := range wantedTopics[:3] {
		r.heard(topic, fmt.Sprint("w-", i), time.Now())
	}
	r.pulls(true)
	ctx, crash := context.WithCancel(t.Context())
	calls := 0
	var left []byte // of the record, by the crash
	dies := func(string) error {
		if calls++; calls <= at {
			return nil
		}
		if left == nil {
			left, _ = r.state.Get(subscriptionMarks, testShop)
		}
		crash()
		return context.Canceled
	}
	if a.before, a.after = dies, nil; when == "after" {
		a.before, a.after = nil, dies
	}
	_, _ = r.tendSubscriptions(ctx, testShop, true)
	a.before, a.after = nil, nil
	if left != nil {
		if err := r.state.Put(subscriptionMarks, testShop, left); err != nil {
			t.Fatal(err)
		}
	}
	if !r.owesComparison() {
		t.Error("what was owed before is forgotten")
	}
	r.paid()
	if again {
		r.pulls(true)
		r.check(true)
		if changed, ours := others(); changed || ours > 0 {
			t.Fatalf("%d of ours are left, others changed: %v", ours, changed)
		}
	}
	r.pushes()
	r.refreshProof(t.Context(), testShop)
	got, _ := r.check(true)
	if changed, ours := others(); !got.Present || changed || ours != len(wantedTopics) {
		t.Fatalf("%d of ours, others changed: %v: %+v", ours, changed, got)
	}
	for _, topic := range wantedTopics {
		if have := r.ours(topic); len(have) != 1 || have[0].Address != ourBase+HookPath(topic) {
			t.Errorf("%s: %+v", topic, have)
		}
	}
	created := slices.ContainsFunc(got.Wanted, func(s Subscription) bool { return s.State == subCreated })
	if created && !r.owesComparison() {
		t.Error("no comparison follows")
	}
}

func TestNothingIsUndeliveredInPullMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lateRig(t)
		r.o.Pull = true
		if d, err := r.Deliveries(t.Context(), testShop, time.Now()); d != (Deliveries{}) || err != nil {
			t.Errorf("%+v, %v", d, err)
		}
		r.judgeDeliveries(t.Context(), testShop, store.SyncRun{Shop: testShop, StartedAt: store.MillisOf(time.Now())})
		if m := r.lateMark(testShop); m != (lateMark{}) {
			t.Errorf("remembered: %+v", m)
		}
		if st := (New(r.o)).Status(testShop, time.Now()); !st.Subscriptions.Present {
			t.Error("subscriptions are missed before the first check")
		}
	})
}
