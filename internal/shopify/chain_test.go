package shopify

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/breaker"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

func TestFailuresOpenTheCircuitAndAProbeClosesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token"})
		ask := func() error {
			_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
			return err
		}
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		r.shop.Fail(fakeshopify.Fault{Status: 500, Times: -1})
		for range 5 {
			if err := ask(); KindOf(err) != KindServer {
				t.Fatalf("got %v", err)
			}
		}
		calls := r.shop.APIStats().Calls
		err := ask()
		if e := err.(*Error); e.Kind != KindOpen || time.Until(e.RetryAt) != 30*time.Second || r.shop.APIStats().Calls != calls {
			t.Errorf("open: %+v after %d calls", e, r.shop.APIStats().Calls-calls)
		}
		time.Sleep(30 * time.Second)
		if err := ask(); KindOf(err) != KindServer { // the probe
			t.Errorf("probe: %v", err)
		}
		if e := ask().(*Error); time.Until(e.RetryAt) != time.Minute {
			t.Errorf("the second wait is not doubled: %v", time.Until(e.RetryAt))
		}
		r.shop.Heal()
		time.Sleep(time.Minute)
		if err := ask(); err != nil {
			t.Errorf("healed: %v", err)
		}
		for _, s := range r.brk.ShopAt(time.Now(), testShop) {
			if s.State != breaker.StateClosed {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestWhatSaysNothingAboutTheServiceNeverOpensTheCircuit repeats each answer
// that is our own doing, or about the shop alone, far beyond the threshold.
func TestWhatSaysNothingAboutTheServiceNeverOpensTheCircuit(t *testing.T) {
	for name, f := range map[string]fakeshopify.Fault{
		"throttled": {Kind: fakeshopify.FaultThrottled}, "429": {Status: 429, RetryAfter: "0.1"}, "430": {Status: 430}, "401": {Status: 401},
		"403": {Status: 403}, "402": {Status: 402}, "404": {Status: 404}, "423": {Status: 423}, "denied": {Kind: fakeshopify.FaultDenied, Scope: "read_products"},
		"inactive": {Kind: fakeshopify.FaultInactive},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Products: 1}})
				if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
					t.Fatal(err)
				}
				f.Times = -1
				r.shop.Fail(f)
				for range 40 {
					if _, err := r.Product(t.Context(), testShop, limiter.Reconcile, r.shop.IDs()[0]); err == nil || KindOf(err) == KindOpen {
						t.Fatalf("got %v", err)
					}
					time.Sleep(2 * time.Minute)
				}
			})
		})
	}
}

func TestACallThatWeCutShortSaysNothingAndIsCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token"})
		if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		before, _ := r.lim.Snapshot(testShop)
		r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultSilence, Times: -1})
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := r.Shop(ctx, testShop, limiter.Reconcile); KindOf(err) != KindCancelled {
				t.Errorf("got %v", err)
			}
			cancel()
		}
		for _, s := range r.brk.ShopAt(time.Now(), testShop) {
			if s.State != breaker.StateClosed {
				t.Errorf("%+v", s)
			}
		}
		after, _ := r.lim.Snapshot(testShop)
		if got := after.Used - before.Used; got != 10 || after.InFlight != 0 {
			t.Errorf("charged %d points for ten calls of one; in flight %d", got, after.InFlight)
		}
	})
}

func TestAWaitThatShopifyAskedForIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token"})
		if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
			t.Fatal(err)
		}
		r.shop.Fail(fakeshopify.Fault{Status: 430})
		for _, kind := range []Kind{KindThrottled, KindBudget} {
			_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
			e := err.(*Error)
			if e.Kind != kind || time.Until(e.RetryAt) != time.Minute || kind == KindBudget && e.Words() != "Shopify asked us to wait" {
				t.Errorf("%v: %v until %v", e.Kind, e, time.Until(e.RetryAt))
			}
		}
	})
}

// TestWeNeverThrottleOurselves saturates a shop for ten minutes with calls of
// all sizes and counts at the shop.
func TestWeNeverThrottleOurselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{
			Products: 30, MaxVariants: 40, API: fakeshopify.APIOptions{Plan: fakeshopify.Plan{Maximum: 400, Restore: 20}, Latency: 150 * time.Millisecond},
		}})
		end := time.Now().Add(10 * time.Minute)
		ids := r.shop.IDs()
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := w; time.Now().Before(end); i++ {
					var err error
					switch class := limiter.Class(i % 3); i % 4 {
					case 0:
						_, err = r.Shop(t.Context(), testShop, class)
					case 1:
						_, err = r.IDs(t.Context(), testShop, class, 0, 0, &Walk{})
					default:
						_, err = r.Product(t.Context(), testShop, class, ids[i%len(ids)])
					}
					if KindOf(err) == KindBudget {
						time.Sleep(time.Until(err.(*Error).RetryAt))
					} else if err != nil {
						t.Errorf("got %v", err)
					}
				}
			})
		}
		wg.Wait()
		s := r.shop.APIStats()
		used := float64(s.Actual) / (400 + 20*600)
		if s.Throttled != 0 || r.SelfThrottled() != 0 {
			t.Errorf("%d calls were throttled, %d by our own count", s.Throttled, r.SelfThrottled())
		}
		if used < 0.95 {
			t.Errorf("%.1f %% of the points were used", 100*used)
		}
	})
}

func TestAnotherVersionThanAskedForIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", client: Options{Version: "2024-01"}, wrap: func(next http.RoundTripper) http.RoundTripper {
			return transportFunc(func(req *http.Request) (*http.Response, error) {
				res, err := next.RoundTrip(req)
				if err == nil {
					res.Header.Set("Date", time.Now().Add(-42*time.Second).UTC().Format(http.TimeFormat))
				}
				return res, err
			})
		}})
		if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
			t.Fatal(err)
		}
		seen := r.Seen(testShop)
		if seen.Version == "" || seen.Version == "2024-01" || !strings.HasPrefix(seen.Version, "20") {
			t.Errorf("served: %q", seen.Version)
		}
		if seen.DatedAt.IsZero() || (seen.Skew-42*time.Second).Abs() > time.Second {
			t.Errorf("skew: %v", seen.Skew)
		}
		for _, date := range []string{"Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"} {
			r.notice(testShop, http.Header{"Date": {date}}, time.Now(), time.Now())
			if got := r.Seen(testShop); got.Skew != seen.Skew {
				t.Errorf("%s is believed: %v", date, got.Skew)
			}
		}
	})
}

// TestTheShopsClockIsCountedFromItsLastDate holds what time it is for a shop:
// whatever our own clock says, for an hour after its last date, then ours.
func TestTheShopsClockIsCountedFromItsLastDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := "on"
		r := newRig(t, rigOptions{static: "token", wrap: func(next http.RoundTripper) http.RoundTripper {
			return transportFunc(func(req *http.Request) (*http.Response, error) {
				res, err := next.RoundTrip(req)
				if err == nil {
					res.Header.Del("Date")
					if date != "" {
						res.Header.Set("Date", time.Now().Add(-2*time.Hour).UTC().Format(http.TimeFormat))
					}
				}
				return res, err
			})
		}})
		ask := func() {
			if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
				t.Fatal(err)
			}
		}
		behind := func(when string, want time.Duration) {
			t.Helper()
			if got := time.Since(r.Now(testShop)); (got - want).Abs() > time.Second {
				t.Errorf("%s: the shop's clock is %s behind ours, want %s", when, got, want)
			}
		}
		behind("before any answer", 0)
		ask()
		behind("after an answer", 2*time.Hour)
		time.Sleep(50 * time.Minute)
		behind("50 minutes later", 2*time.Hour)
		date = ""
		ask()
		behind("after an answer without a date", 2*time.Hour)
		time.Sleep(11 * time.Minute)
		behind("more than an hour after the last date", 0)
	})
}

func TestSupportEndsAYearAfterTheRelease(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for version, want := range map[string]int{"2026-10": 327, "2026-01": 54, "2025-10": 0, "2027-01": 419} {
		if days, ok := DaysLeft(version, now); days != want || !ok {
			t.Errorf("%s: %d days, %v", version, days, ok)
		}
	}
	for _, version := range []string{"unstable", "2026-11", "2026-1", "", "2026-00"} {
		if _, ok := DaysLeft(version, now); ok {
			t.Errorf("%q was taken for a version", version)
		}
	}
}

// A shop that answers the query which teaches the budget and tells no numbers is not
// asked over and over: a window has one such query, also one that cost nothing.
func TestAProbeThatTeachesNothingIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		answer := `{"data":{},"extensions":{"cost":{"requestedQueryCost":0,"actualQueryCost":0}}}`
		r := newRig(t, rigOptions{static: "token", wrap: func(http.RoundTripper) http.RoundTripper {
			return transportFunc(func(req *http.Request) (*http.Response, error) {
				sent.Add(1)
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
					Body: io.NopCloser(strings.NewReader(answer)), Request: req}, nil
			})
		}})
		teach := r.queries["Shop"].call(nil)
		if teach.bound > limiter.ProbePoints {
			t.Errorf("the query that teaches the budget costs up to %d points, more than %d", teach.bound, limiter.ProbePoints)
		}
		op := r.queries["ProductsCount"].call(nil)
		for range 3 {
			if err := r.call(t.Context(), testShop, limiter.Bulk, op, &struct{}{}); KindOf(err) != KindBudget {
				t.Errorf("got %v", err)
			}
		}
		if sent.Load() != 1 {
			t.Errorf("%d requests were sent, want 1", sent.Load())
		}
	})
}

func TestTheFirstCallIsItsOwnProbeWhenItIsTheCheapQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token"})
		if s, err := r.Shop(t.Context(), testShop, limiter.Bulk); err != nil || s.Name == "" {
			t.Errorf("got %+v, %v", s, err)
		}
		if snap, _ := r.lim.Snapshot(testShop); snap.Mode != "adaptive" || len(r.shop.APICalls()) != 1 {
			t.Errorf("%d requests, the budget is %s", len(r.shop.APICalls()), snap.Mode)
		}
	})
}
