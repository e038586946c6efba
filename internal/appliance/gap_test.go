package appliance

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
	"stockroom/store"
)

const gapShop = "my-shop.myshopify.com"

// cable is the line between Stockroom and the shop, both ways.
type cable struct {
	next http.RoundTripper
	cut  *atomic.Bool
}

func (c cable) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.cut.Load() {
		return nil, errors.New("no route to host")
	}
	return c.next.RoundTrip(r)
}

// gapRig is a whole appliance and a shop that lives, on the bubble's clock.
type gapRig struct {
	*Appliance
	t    *testing.T
	shop *fakeshopify.Shop
	down *atomic.Bool // neither side reaches the other
}

// newGapRig starts both. The shop edits its products at a slow pace, and has no
// subscriptions until Stockroom makes them.
func newGapRig(t *testing.T, dir string, o fakeshopify.Options) (*gapRig, func()) {
	t.Helper()
	var receiver atomic.Pointer[http.Handler]
	r := &gapRig{t: t, down: &atomic.Bool{}}
	inbound := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { (*receiver.Load()).ServeHTTP(w, q) })
	o.Shop, o.Topics = gapShop, []string{}
	o.Client = &http.Client{Transport: cable{fakeshopify.Transport(inbound), r.down}}
	r.shop = fakeshopify.New(o)
	settings, err := config.Load(config.Sources{Flags: map[string]string{"data": dir}})
	if err != nil {
		t.Fatal(err)
	}
	settings.PublicURL = "https://stockroom.example"
	settings.Shop = config.EnvShop{Domain: gapShop, APIKey: "app", APISecret: config.NewSecret(r.shop.Secret())}
	r.Appliance, err = Open(t.Context(), Options{Settings: settings, Transport: cable{fakeshopify.Transport(r.shop.Handler()), r.down}})
	if err != nil {
		t.Fatal(err)
	}
	handler := http.Handler(r.intake)
	receiver.Store(&handler)
	_, stopWork := r.Work(t.Context())
	ctx, stopShop := context.WithCancel(t.Context())
	lived := make(chan error, 1)
	go func() { lived <- r.shop.Run(ctx, 1.0/60) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		stopShop()
		if err := errors.Join(<-lived, stopWork(), r.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return r, stop
}

// differences are the products that differ now, each with the instant from which
// on it may have: that of its last edit in the shop.
func (r *gapRig) differences() map[int64]time.Time {
	r.t.Helper()
	local := map[int64]int64{} // id to version
	after := int64(0)
	for {
		list, err := r.store.Listing(r.t.Context(), gapShop, after, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, p := range list {
			local[p.ID] = p.UpdatedAt
			after = p.ID
		}
	}
	found := map[int64]time.Time{}
	for _, p := range r.shop.Snapshot() {
		if at, ok := local[p.ID]; !ok || at != p.UpdatedAt.UnixMilli() {
			found[p.ID] = p.UpdatedAt
		}
		delete(local, p.ID)
	}
	for id := range local {
		found[id] = time.Time{} // deleted; the caller knows no instant
	}
	return found
}

// exact fails when a product differs in any field from what the shop's API shows.
func (r *gapRig) exact() {
	r.t.Helper()
	if list := r.differences(); len(list) > 0 {
		r.t.Errorf("%d products differ: %v", len(list), list)
	}
	for _, id := range r.shop.IDs() {
		p, err := r.client.Product(r.t.Context(), gapShop, limiter.Reconcile, id)
		if err != nil {
			r.t.Fatal(err)
		}
		res, err := r.store.PutFetched(r.t.Context(), store.Read{Shop: gapShop, Started: time.Now(), Report: true, DryRun: true}, p)
		if err != nil || res[0].Drift != "" || !res[0].Refused.IsZero() {
			r.t.Errorf("product %d: %+v, %v", id, res, err)
		}
	}
}

func TestSixHoursWithoutShopifyAreFilledByThemselves(t *testing.T) {
	if raceEnabled {
		t.Skip("hours of one process; the tests of minutes are run with the detector")
	}
	synctest.Test(t, func(t *testing.T) {
		r, _ := newGapRig(t, t.TempDir(), fakeshopify.Options{Seed: 11, Products: 40, MaxVariants: 3})
		time.Sleep(30 * time.Minute)
		if st := r.standing(gapShop); !st.InStep || !st.Subscriptions.Present || len(r.shop.Subscriptions()) == 0 {
			t.Fatalf("before the outage: %+v", st)
		}

		began := time.Now()
		r.down.Store(true)
		for time.Since(began) < 6*time.Hour {
			time.Sleep(5 * time.Minute)
			st := r.standing(gapShop)
			// Whatever differs was changed after the instant that the page names.
			for id, changed := range r.differences() {
				if proven := max(st.ProvenIDs.UnixMilli(), st.ProvenFields.UnixMilli()); !changed.IsZero() && changed.Add(time.Second).UnixMilli() < proven {
					t.Fatalf("product %d differs since %v, and the page says it was right at %v", id, changed, time.UnixMilli(proven))
				}
			}
			if age := time.Since(slices.MaxFunc([]time.Time{st.ProvenIDs, st.ProvenFields}, time.Time.Compare)).Seconds(); st.Staleness < age-1 {
				t.Fatalf("staleness %v, the last proof is %v s old", st.Staleness, age)
			}
			if time.Since(began) > 25*time.Minute && st.InStep {
				t.Fatalf("in step %v into an outage: %+v", time.Since(began), st)
			}
		}
		if n := len(r.differences()); n == 0 {
			t.Fatal("nothing was missed, so this shows nothing")
		}
		for range 8 { // Shopify has removed what failed for four hours; and what is left goes too
			for _, sub := range r.shop.Subscriptions() {
				r.shop.Unsubscribe(sub.ID)
			}
		}
		if len(r.shop.Subscriptions()) != 0 {
			t.Fatal("subscriptions are left")
		}

		r.down.Store(false)
		back := time.Now()
		for r.standing(gapShop).InStep == false {
			if time.Since(back) > 2*time.Hour {
				t.Fatalf("not in step two hours after the outage: %+v", r.standing(gapShop))
			}
			time.Sleep(time.Minute)
		}
		t.Logf("in step again %v after the outage's end", time.Since(back))
		runs, err := r.store.Runs(t.Context(), store.RunFilter{Shop: gapShop, Kind: store.RunReconcile, Limit: 5})
		if err != nil || !slices.ContainsFunc(runs, func(run store.SyncRun) bool {
			return run.Proven && run.StartedAt >= store.MillisOf(back) && run.Trigger == "webhook subscriptions were missing or led elsewhere"
		}) {
			t.Errorf("no comparison for the healed subscriptions: %+v, %v", runs, err)
		}
		if n := len(r.shop.Subscriptions()); n == 0 {
			t.Error("the subscriptions were not made again")
		}
		r.exact()
	})
}

func TestAnAbsenceOfSixHoursIsFilledAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := fakeshopify.Options{Seed: 12, Products: 30, MaxVariants: 3}
		r, stop := newGapRig(t, dir, o)
		time.Sleep(20 * time.Minute)
		r.exact()
		stop()
		shop := r.shop
		for range 60 { // nobody is there to be told
			time.Sleep(6 * time.Minute)
			shop.RandomEdit()
		}
		shop.Forget()
		settings := r.opt.Settings
		a, err := Open(t.Context(), Options{Settings: settings, Transport: r.opt.Transport})
		if err != nil {
			t.Fatal(err)
		}
		r.Appliance = a
		if st := r.standing(gapShop); st.Staleness < 6*3600 {
			t.Errorf("staleness %v s after six hours of absence", st.Staleness)
		}
		_, stopWork := a.Work(t.Context())
		defer func() {
			if err := errors.Join(stopWork(), a.Close()); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(15 * time.Minute)
		r.exact()
		if st := r.standing(gapShop); !st.InStep {
			t.Errorf("not in step: %s", st.Why)
		}
	})
}
