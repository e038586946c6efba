package shopify

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

// TestNobodyNoticesTokensThatExpireAndSecretsThatRotate reads products for a
// minute while tokens live five seconds, the shop ends all of them now and then,
// and the client secret is rotated.
func TestNobodyNoticesTokensThatExpireAndSecretsThatRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{shop: fakeshopify.Options{
			Products: 5, RotationWindow: 10 * time.Second,
			API: fakeshopify.APIOptions{TokenLife: 5 * time.Second, Plan: fakeshopify.Plus, Latency: 20 * time.Millisecond},
		}})
		end := time.Now().Add(time.Minute)
		ids := r.shop.IDs()
		var calls atomic.Int64
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := 0; time.Now().Before(end); i++ {
					if _, err := r.Product(t.Context(), testShop, limiter.WebhookRefetch, ids[(w+i)%len(ids)]); err != nil {
						t.Errorf("a call failed: %v", err)
					}
					calls.Add(1)
					time.Sleep(90 * time.Millisecond)
				}
			})
		}
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				time.Sleep(7 * time.Second)
				switch i % 3 {
				case 0:
					r.shop.ExpireTokens()
				default:
					// The person gives the new secret a while after the rotation.
					secret := fmt.Sprintf("secret-%d", i)
					r.shop.RotateSecret(secret)
					time.Sleep(3 * time.Second)
					r.creds.setSecret(secret)
				}
			}
		})
		wg.Wait()
		s := r.shop.APIStats()
		if calls.Load() < 2000 || s.TokenGrants < 10 || s.BadToken == 0 {
			t.Errorf("%d reads, %d tokens, %d refused ones: this proves little", calls.Load(), s.TokenGrants, s.BadToken)
		}
		if s.TokenGrants > 40 {
			t.Errorf("%d tokens were asked for in a minute", s.TokenGrants)
		}
	})
}

func TestOneCallAsksForATokenAndTheOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{shop: fakeshopify.Options{Products: 1, API: fakeshopify.APIOptions{Latency: time.Second}}})
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := r.shop.APIStats().TokenGrants; n != 1 || r.creds.stores != 1 {
			t.Errorf("%d tokens asked for, %d stored", n, r.creds.stores)
		}
	})
}

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{shop: fakeshopify.Options{Products: 1}})
		ask := func() {
			t.Helper()
			if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
				t.Fatal(err)
			}
		}
		ask()
		time.Sleep(24*time.Hour - 6*time.Minute)
		ask()
		if s := r.shop.APIStats(); s.TokenGrants != 1 { // a tenth of a day would be too early
			t.Errorf("%d tokens six minutes before the first one ends", s.TokenGrants)
		}
		time.Sleep(2 * time.Minute)
		ask()
		if s := r.shop.APIStats(); s.TokenGrants != 2 || s.BadToken != 0 {
			t.Errorf("%d tokens, %d refused", s.TokenGrants, s.BadToken)
		}
		// While the endpoint is ill, the old one does as long as it lives.
		time.Sleep(24*time.Hour - 4*time.Minute)
		r.shop.Fail(fakeshopify.Fault{Status: 503, Endpoint: "token", Times: -1})
		ask()
		if s := r.shop.APIStats(); s.TokenGrants != 2 || s.BadToken != 0 {
			t.Errorf("%d tokens, %d refused", s.TokenGrants, s.BadToken)
		}
	})
}

func TestATokenThatCannotBeStoredIsUsedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{shop: fakeshopify.Options{Products: 1}})
		r.creds.fail = errors.New("disk full")
		for range 3 {
			if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.shop.APIStats().TokenGrants; n != 1 {
			t.Errorf("%d tokens were asked for", n)
		}
	})
}

func TestCredentialsThatShopifyRefusesSayWhich(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shop  fakeshopify.APIOptions
		do    func(r *rig)
		kind  Kind
		words string
		asked int // calls of the API
	}{
		{"a wrong secret", fakeshopify.APIOptions{}, func(r *rig) { r.creds.setSecret("wrong") }, KindToken, "does not accept the app's client secret", 0},
		{"another organisation's app", fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent}, func(*rig) {}, KindToken, "cannot be performed", 0},
		{"another organisation's app, in JSON", fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent, RefuseInJSON: true}, func(*rig) {},
			KindToken, "cannot be performed", 0},
		{"an app that was removed", fakeshopify.APIOptions{}, func(r *rig) { r.shop.Uninstall() }, KindUninstalled, "not installed", 0},
		{"no credentials", fakeshopify.APIOptions{}, func(r *rig) { r.creds.app = App{} }, KindToken, "client id and client secret are missing", 0},
		{"a static token that was revoked", fakeshopify.APIOptions{Tokens: []string{"a"}}, func(r *rig) { r.creds.app = App{AccessToken: config.NewSecret("b")} }, KindToken, "Invalid API key", 1},
		{"a shop that was removed meanwhile", fakeshopify.APIOptions{}, func(r *rig) { r.creds.unknown = true }, KindLocal, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{shop: fakeshopify.Options{API: tt.shop}})
				tt.do(r)
				time.Sleep(2 * time.Minute)
				_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
				if KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.words) {
					t.Errorf("got %v", err)
				}
				if s := r.shop.APIStats(); s.Calls != tt.asked {
					t.Errorf("%d calls", s.Calls)
				}
			})
		})
	}
}

func TestNoTokenOrSecretIsEverWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const secret, token = "hush-secret-0001", "hush-token-0002"
		var log strings.Builder
		var texts []string
		for i, f := range []fakeshopify.Fault{
			{Status: 401}, {Status: 403}, {Status: 500}, {Kind: fakeshopify.FaultHTML}, {Kind: fakeshopify.FaultReset}, {Kind: fakeshopify.FaultRedirect},
			{Kind: fakeshopify.FaultWrongTypes}, {Kind: fakeshopify.FaultInactive}, {Kind: fakeshopify.FaultTruncate, Bytes: 5},
		} {
			for _, endpoint := range []string{"graphql", "token"} {
				f.Times, f.Endpoint = -1, endpoint
				o := rigOptions{shop: fakeshopify.Options{Secret: secret}, client: Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}}
				if i%2 == 0 && endpoint == "graphql" {
					o.static = token
				}
				r := newRig(t, o)
				r.shop.Fail(f)
				_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
				texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, r.creds.app))
			}
		}
		all := log.String() + strings.Join(texts, "\n")
		if strings.Contains(all, secret) || strings.Contains(all, token) || strings.Contains(all, "shpat_") {
			t.Errorf("a secret was written:\n%s", all)
		}
	})
}

func TestARedirectIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hosts []string
		r := newRig(t, rigOptions{static: "token", wrap: func(next http.RoundTripper) http.RoundTripper {
			return transportFunc(func(req *http.Request) (*http.Response, error) {
				hosts = append(hosts, req.URL.Host)
				return next.RoundTrip(req)
			})
		}})
		r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Times: -1})
		_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
		if KindOf(err) != KindRefused || !strings.Contains(err.Error(), "elsewhere.example") || len(hosts) == 0 {
			t.Errorf("got %v of %d calls", err, len(hosts))
		}
		for _, h := range hosts {
			if h != testShop {
				t.Errorf("the token went to %s", h)
			}
		}
	})
}

func TestATokenIsGoodForADayAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, says := range []string{"99999999999", "9223372036854775807", "90000"} {
			asked := 0
			r := newRig(t, rigOptions{client: Options{Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
				body := `{"data":{"shop":{"id":"1"}},"extensions":{"cost":{"requestedQueryCost":1,"actualQueryCost":1,` +
					`"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":1999,"restoreRate":100}}}}`
				if strings.HasSuffix(req.URL.Path, "/access_token") {
					asked++
					body = `{"access_token":"t","expires_in":` + says + `}`
				}
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
			})}})
			for _, want := range []int{1, 1, 2} {
				if _, err := r.Shop(t.Context(), testShop, limiter.Bulk); err != nil || asked != want {
					t.Errorf("%s seconds: %d tokens, not %d, %v", says, asked, want, err)
				}
				time.Sleep(13 * time.Hour)
			}
			r.creds.token.ObtainedAt, r.creds.token.ExpiresAt = time.Now().Add(-26*time.Hour), time.Now().Add(9999*time.Hour) // of an earlier version
			if _, err := r.Shop(t.Context(), testShop, limiter.Bulk); err != nil || asked != 3 {
				t.Errorf("%s seconds: %d tokens, not 3, %v", says, asked, err)
			}
		}
	})
}
