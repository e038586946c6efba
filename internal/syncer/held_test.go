package syncer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/breaker"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/store"
)

// TestAShopThatIsHeldSaysWhyAndUntilWhen holds a shop in each way, looks what is
// said of it, and has it asked before its time.
func TestAShopThatIsHeldSaysWhyAndUntilWhen(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  fakeshopify.Fault
		tries  int
		words  string
		within time.Duration
	}{
		{"a wrong secret", fakeshopify.Fault{Kind: fakeshopify.FaultHTML, Status: 400, Title: "400 - Oauth error invalid_client", Endpoint: "token"}, 1,
			"the shop is paused: Shopify does not accept the app's client secret", 15 * time.Minute},
		{"a missing scope", fakeshopify.Fault{Status: 403, Endpoint: "graphql"}, 1, "the shop is paused: the access scope read_products is missing", 15 * time.Minute},
		{"a frozen shop", fakeshopify.Fault{Status: 402, Endpoint: "graphql"}, 1, "the shop is paused: Shopify has frozen the shop (402)", time.Hour},
		{"a fault of Shopify", fakeshopify.Fault{Status: 500, Endpoint: "graphql"}, 5, "Shopify has a fault (500)", 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, fakeshopify.Options{Products: 1, API: fakeshopify.APIOptions{Plan: fakeshopify.Plus}})
				if why, _, held := r.Held(testShop, time.Now()); held {
					t.Fatalf("held before anything failed: %s", why)
				}
				if tt.fault.Endpoint == "graphql" {
					if _, err := r.api.Shop(t.Context(), testShop, 0); err != nil {
						t.Fatal(err)
					}
				}
				tt.fault.Times = -1
				r.shop.Fail(tt.fault)
				if tt.tries == 1 {
					r.want(store.WantProduct, r.shop.IDs()[0])
					time.Sleep(time.Second)
				}
				for range tt.tries {
					_, _ = r.api.Shop(t.Context(), testShop, 0)
				}
				now := time.Now()
				why, until, held := r.Held(testShop, now)
				if left := until.Sub(now); !held || !strings.HasPrefix(why, tt.words) || left <= 0 || left > tt.within {
					t.Errorf("held %v for %v: %q", held, left, why)
				}
				for _, name := range []string{scheduleFull, scheduleReconcile, scheduleIncremental, scheduleSubscriptions} {
					if at, reason := r.nextRunOf(name, now); name != scheduleReconcile && name != scheduleFull && (at.Before(until) || reason != why) {
						t.Errorf("%s is made at %v because of %q, the shop is asked at %v", name, at, reason, until)
					}
				}
				if tt.tries == 1 {
					if err := r.TryNow(t.Context(), testShop); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(tt.words, "the shop is paused: ")) {
						t.Errorf("asked while it is as before: %v", err)
					}
				}
				r.shop.Heal()
				if err := r.TryNow(t.Context(), testShop); err != nil {
					t.Errorf("asked when it is well: %v", err)
				}
				if _, err := r.api.Shop(t.Context(), testShop, 0); err != nil {
					t.Errorf("the next call: %v", err)
				}
				if why, _, held := r.Held(testShop, time.Now()); held {
					t.Errorf("held still: %s", why)
				}
				if time.Since(now) > 5*time.Second {
					t.Errorf("it took %v", time.Since(now))
				}
			})
		})
	}
}

func TestWhatAPersonHoldsStaysHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1})
		key := breaker.Key{Shop: testShop, Class: shopify.EndpointGraphQL}
		if err := r.brk.Force(time.Now(), key, breaker.HeldOpen); err != nil {
			t.Fatal(err)
		}
		_ = r.TryNow(t.Context(), testShop)
		why, until, held := r.Held(testShop, time.Now())
		if !held || !until.IsZero() || why != "calls to Shopify are held back by hand" {
			t.Errorf("held %v until %v: %q", held, until, why)
		}
		if at, reason := r.nextRunOf(scheduleIncremental, time.Now()); !at.IsZero() || reason != why {
			t.Errorf("made at %v because of %q", at, reason)
		}
		if err := r.state.SetPause(testShop, state.Pause{Reason: state.PauseOperator, Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
		var paused *PausedError
		if err := r.TryNow(t.Context(), testShop); !errors.As(err, &paused) {
			t.Errorf("paused by hand: %v", err)
		}
	})
}

// TestAFirstReadThatFailsSaysWhyAndWhenItIsTriedAgain fails the first full sync
// in several ways; a restart forgets none of it.
func TestAFirstReadThatFailsSaysWhyAndWhenItIsTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		name         string
		fail         func(s *fakeshopify.Shop)
		words, cause string
		expected     int64
	}{
		{"an export without a code", func(s *fakeshopify.Shop) { s.FailBulk(fakeshopify.BulkFault{Status: "FAILED", NoCode: true}) },
			"the export at Shopify ended as FAILED, and Shopify does not say why", "export", 40},
		{"an export that takes too long", func(s *fakeshopify.Shop) { s.FailBulk(fakeshopify.BulkFault{Status: "FAILED", ErrorCode: "TIMEOUT"}) },
			"the export at Shopify ended as FAILED (TIMEOUT)", "export", 40},
		{"no such shop", func(s *fakeshopify.Shop) { s.Fail(fakeshopify.Fault{Status: 404, Times: -1}) },
			"there is no such shop at Shopify (404)", "refused", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Products: 40})
				r.o.FullSyncEvery, r.o.ReconcileEvery = 24*time.Hour, time.Hour
				tt.fail(r.shop)
				began := time.Now()
				k := r.keeperOf(testShop)
				j, _ := k.next(time.Now())
				if j == nil || j.name != scheduleFull {
					t.Fatalf("the first run: %+v", j)
				}
				k.do(t.Context(), j)
				check := func(fails int) {
					t.Helper()
					f := r.keeperOf(testShop).firstRead(time.Now())
					if f.Done || !strings.HasPrefix(f.Words, tt.words) || f.Cause != tt.cause || f.Expected != tt.expected || f.Fails != fails {
						t.Errorf("%+v", f)
					}
					if f.Failed.Before(began) || f.Next.Sub(f.Failed) != time.Minute || f.Held != "" {
						t.Errorf("failed at %v, next at %v, %q", f.Failed, f.Next, f.Held)
					}
					if run, _ := r.state.Run(testShop, scheduleFull); !strings.HasPrefix(run.Error, tt.words) {
						t.Errorf("the schedule says %q", run.Error)
					}
					for _, name := range []string{scheduleReconcile, scheduleIncremental} {
						if at, why := r.nextRunOf(name, time.Now()); !at.IsZero() || why == "" {
							t.Errorf("%s is said to be made at %v, %q", name, at, why)
						}
					}
				}
				check(1)
				r.restart()
				r.o.FullSyncEvery, r.o.ReconcileEvery = 24*time.Hour, time.Hour
				if err := r.Load(context.Background()); err != nil {
					t.Fatal(err)
				}
				check(0)
				r.shop.Heal()
				time.Sleep(time.Minute)
				j, at := r.keeperOf(testShop).next(time.Now())
				if j == nil || j.name != scheduleFull || at.After(time.Now()) {
					t.Fatalf("a minute later: %+v at %v", j, at)
				}
				r.keeperOf(testShop).do(t.Context(), j)
				if f := r.keeperOf(testShop).firstRead(time.Now()); !f.Done || f.Words != "" || f.Cause != "" {
					t.Errorf("healed: %+v", f)
				}
			})
		})
	}
}

// nextRunOf is when a schedule's next run begins.
func (s *Syncer) nextRunOf(name string, now time.Time) (at time.Time, why string) {
	if name == scheduleIncremental {
		l := s.keeperOf(testShop).looking(now, false)
		return l.Next, l.Held
	}
	all := append(s.schedules(), schedule{name: scheduleSubscriptions, every: subscriptionsEvery})
	i := slices.IndexFunc(all, func(sc schedule) bool { return sc.name == name })
	return s.keeperOf(testShop).nextRun(all[i], now)
}
