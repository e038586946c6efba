package syncer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
)

func TestAWantedProductIsFetchedAndStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 3})
		for _, id := range r.shop.IDs() {
			r.want(store.WantProduct, id)
		}
		time.Sleep(10 * time.Second)
		for _, id := range r.shop.IDs() {
			row, err := r.store.Product(t.Context(), testShop, id)
			if err != nil {
				t.Fatal(err)
			}
			c, err := catalog.Decode(catalog.ProductsUpdate, r.shop.Body(fakeshopify.TopicUpdate, id))
			if err != nil {
				t.Fatal(err)
			}
			if row.Source != "fetch" || row.ContentHash != c.Product.ContentHash().String() {
				t.Errorf("product %d: from %s, hash %s", id, row.Source, row.ContentHash)
			}
		}
		if list, err := r.store.WantedList(t.Context()); len(list) > 0 || err != nil || len(r.jobs()) > 0 {
			t.Errorf("left over: %v, %v, %v", list, r.jobs(), err)
		}
	})
}

func TestAProductThatIsGoneIsATombstone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1})
		id := r.shop.IDs()[0]
		r.want(store.WantProduct, id)
		time.Sleep(10 * time.Second)
		r.shop.DeleteProduct(id)
		r.want(store.WantProduct, id)
		time.Sleep(10 * time.Second)
		e, err := r.store.Explain(t.Context(), testShop, id)
		if err != nil || e.Product != nil || e.DeletedAt == nil {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

func TestAStockChangeOfAnUnknownItemBringsItsProduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 2})
		p, _ := r.shop.Product(r.shop.IDs()[1])
		r.want(store.WantInventoryItem, p.Variants[0].InventoryItemID)
		r.want(store.WantInventoryItem, 4711) // of no product
		time.Sleep(10 * time.Second)
		if !r.stored(p.ID) || len(r.jobs()) != 0 {
			t.Errorf("stored: %v, jobs: %v", r.stored(p.ID), r.jobs())
		}
		list, err := r.store.WantedList(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range list { // on the bubble's clock wish and fetch share an instant
			if w.Kind != store.WantProduct {
				t.Errorf("still wanted: %v", w)
			}
		}
	})
}

// TestAnOpenCircuitPutsJobsBackWithoutAnAttempt holds what no peer joins: the
// queue knows when the breaker lets a call through again.
func TestAnOpenCircuitPutsJobsBackWithoutAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 8})
		if _, err := r.api.Shop(t.Context(), testShop, 0); err != nil {
			t.Fatal(err)
		}
		r.shop.Fail(fakeshopify.Fault{Status: 500, Times: -1})
		for _, id := range r.shop.IDs() {
			r.want(store.WantProduct, id)
		}
		time.Sleep(10 * time.Second)
		attempts, calls := 0, r.shop.APIStats().Calls
		for _, j := range r.jobs() {
			attempts += j.Attempts
			if j.State != queue.Waiting {
				t.Errorf("%+v", j)
			}
			if j.Attempts == 0 && (j.Snoozes == 0 || j.DueAt.After(time.Now().Add(30*time.Second))) {
				t.Errorf("put back until %v: %+v", time.Until(j.DueAt), j)
			}
		}
		if len(r.jobs()) != 8 || attempts < 1 || attempts > 8 {
			t.Errorf("%d jobs spent %d attempts", len(r.jobs()), attempts)
		}
		time.Sleep(10 * time.Minute) // the shop stays ill: only probes go out, ever fewer
		probes := r.shop.APIStats().Calls - calls
		if probes < 3 || probes > 8 {
			t.Errorf("%d calls in ten minutes of an open circuit", probes)
		}
		attempts = 0
		for _, j := range r.jobs() {
			if attempts += j.Attempts; j.State == queue.Dead {
				t.Errorf("dead because a circuit was open: %+v", j)
			}
		}
		if sent := r.shop.APIStats().Calls - 1; attempts > sent {
			t.Errorf("%d attempts were spent on %d calls", attempts, sent)
		}
		r.shop.Heal()
		time.Sleep(30 * time.Minute)
		if len(r.jobs()) != 0 {
			t.Errorf("left: %+v", r.jobs())
		}
		for _, id := range r.shop.IDs() {
			if !r.stored(id) {
				t.Errorf("product %d never came", id)
			}
		}
	})
}

func TestASpentBudgetPutsJobsBackWithoutAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Without throttleStatus the default window of 80 points in 60 s holds, so
		// that two fetches wait for minutes.
		r := newRig(t, fakeshopify.Options{Products: 4, API: fakeshopify.APIOptions{NoThrottleStatus: true}})
		for _, id := range r.shop.IDs() {
			r.want(store.WantProduct, id)
		}
		time.Sleep(30 * time.Second)
		for _, j := range r.jobs() {
			if j.Attempts != 0 || j.Snoozes == 0 {
				t.Errorf("an attempt was spent on a call that was not sent: %+v", j)
			}
		}
		time.Sleep(time.Hour)
		for _, j := range r.jobs() {
			t.Errorf("left: %+v", j)
		}
		if most, _ := r.shop.MaxWindow(time.Minute); most > 80+10 { // what calls cost in the end, as the limiter counts them
			t.Errorf("%d points in a window of 80 and a probe", most)
		}
		if s := r.shop.APIStats(); s.Throttled > 0 {
			t.Errorf("throttled %d times", s.Throttled)
		}
	})
}

func TestAPausedShopGoesOnByItself(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  fakeshopify.Fault
		reason state.PauseReason
		after  time.Duration // when it is asked again
	}{
		{"a refused token", fakeshopify.Fault{Status: 401, Times: -1, Endpoint: "graphql"}, state.PauseToken, 15 * time.Minute},
		{"a missing scope", fakeshopify.Fault{Status: 403}, state.PauseScope, 15 * time.Minute},
		{"a frozen shop", fakeshopify.Fault{Status: 402}, state.PauseFrozen, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, fakeshopify.Options{Products: 3})
				if _, err := r.api.Shop(t.Context(), testShop, 0); err != nil {
					t.Fatal(err)
				}
				r.shop.Fail(tt.fault)
				id := r.shop.IDs()[0]
				r.want(store.WantProduct, id)
				time.Sleep(time.Second)
				if p := r.pauseNow(); p.Reason != tt.reason {
					t.Fatalf("pause: %+v", p)
				}
				calls := r.shop.APIStats().Calls
				for _, other := range r.shop.IDs()[1:] {
					r.want(store.WantProduct, other) // waits too, without a call
				}
				time.Sleep(tt.after - time.Minute)
				if n := r.shop.APIStats().Calls - calls; n != 0 {
					t.Errorf("%d calls while paused", n)
				}
				r.shop.Heal()
				time.Sleep(2 * time.Minute)
				if p := r.pauseNow(); p.Paused() {
					t.Errorf("still paused: %+v", p)
				}
				for _, id := range r.shop.IDs() {
					if !r.stored(id) {
						t.Errorf("product %d never came: %+v", id, r.jobs())
					}
				}
			})
		})
	}
}

func TestNewCredentialsEndAPauseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1, RotationWindow: time.Second})
		r.shop.RotateSecret("new-secret")
		time.Sleep(2 * time.Second)
		id := r.shop.IDs()[0]
		r.want(store.WantProduct, id)
		time.Sleep(time.Second)
		if p := r.pauseNow(); p.Reason != state.PauseToken {
			t.Fatalf("pause: %+v", p)
		}
		if err := r.state.SetCredentials(testShop, state.Credentials{APIKey: "app", APISecret: config.NewSecret("new-secret")}); err != nil {
			t.Fatal(err)
		}
		r.CredentialsChanged(t.Context(), testShop)
		time.Sleep(5 * time.Second)
		if p := r.pauseNow(); p.Paused() || !r.stored(id) {
			t.Errorf("pause %+v, stored %v, jobs %+v", p, r.stored(id), r.jobs())
		}
	})
}

func TestARestartAsksPausedShopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1})
		time.Sleep(time.Second)
		p := state.Pause{Reason: state.PauseToken, Since: time.Now(), NextProbe: time.Now().Add(15 * time.Minute)}
		if err := r.state.SetPause(testShop, p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if !r.pauseNow().Paused() {
			t.Fatal("asked without a reason")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- New(r.o).Run(ctx) }()
		time.Sleep(5 * time.Second)
		if r.pauseNow().Paused() {
			t.Error("still paused")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnUninstalledAppIsConfirmedAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1})
		// A delivery alone proves nothing: the topic is not signed.
		r.want(store.WantUninstalled, 0)
		time.Sleep(5 * time.Second)
		if s, _ := r.state.Shop(testShop); !s.UninstalledAt.IsZero() || s.Pause.Paused() {
			t.Errorf("believed without asking: %+v", s)
		}
		r.shop.Uninstall()
		r.want(store.WantUninstalled, 0)
		time.Sleep(5 * time.Second)
		if s, _ := r.state.Shop(testShop); s.UninstalledAt.IsZero() || s.Pause.Reason != state.PauseUninstalled {
			t.Errorf("not confirmed: %+v, %+v", s, r.jobs())
		}
		if len(r.jobs()) != 0 {
			t.Errorf("jobs: %+v", r.jobs())
		}
		r.shop.Reinstall()
		time.Sleep(2 * time.Hour)
		if s, _ := r.state.Shop(testShop); !s.UninstalledAt.IsZero() || s.Pause.Paused() {
			t.Errorf("not noticed: %+v", s)
		}
	})
}

func TestScopesThatWereTakenAwayAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1})
		r.shop.SetScopes("read_products", "write_inventory")
		r.want(store.WantScopes, 0)
		time.Sleep(5 * time.Second)
		if p := r.pauseNow(); p.Reason != state.PauseScope || p.Detail != "read_locations" {
			t.Errorf("pause: %+v", p)
		}
		r.shop.SetScopes("read_products", "write_inventory", "read_locations")
		r.want(store.WantScopes, 0)
		time.Sleep(5 * time.Second)
		if p := r.pauseNow(); p.Paused() {
			t.Errorf("pause: %+v", p)
		}
	})
}

func TestDeadLettersGoWhenALaterFetchMendsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{Products: 1})
		if _, err := r.api.Shop(t.Context(), testShop, 0); err != nil {
			t.Fatal(err)
		}
		r.shop.Fail(fakeshopify.Fault{Status: 404})
		id := r.shop.IDs()[0]
		r.want(store.WantProduct, id)
		time.Sleep(5 * time.Second)
		if j := r.jobs(); len(j) != 1 || j[0].State != queue.Dead {
			t.Fatalf("jobs: %+v", j)
		}
		r.want(store.WantProduct, id)
		time.Sleep(5 * time.Second)
		if j := r.jobs(); len(j) != 0 {
			t.Errorf("jobs: %+v", j)
		}
	})
}

func TestAJobThatCannotBeReadIsKeptForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, fakeshopify.Options{})
		for _, payload := range []string{"", "{", `{"id":1}`} {
			if _, _, err := r.queue.Enqueue(t.Context(), queue.NewJob{Kind: string(store.WantProduct), Payload: []byte(payload)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		for _, j := range r.jobs() {
			if j.State != queue.Dead || j.Class != queue.ClassPoison {
				t.Errorf("%+v", j)
			}
		}
		if len(r.jobs()) != 3 {
			t.Errorf("%d jobs", len(r.jobs()))
		}
	})
}
