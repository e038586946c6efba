package shopify

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/breaker"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

// TestTheVeryFirstCallSaysWhatFails asks a shop of which nothing is known yet,
// a few times within the first window, when points are only assumed to be spent.
func TestTheVeryFirstCallSaysWhatFails(t *testing.T) {
	renamed := "https://new-name.myshopify.com/admin/api/2026-10/graphql.json"
	for _, tt := range []struct {
		name   string
		fault  fakeshopify.Fault
		static string
		kind   Kind
		words  string
	}{
		{"401 of a token that was given", fakeshopify.Fault{Status: 401, Endpoint: "graphql"}, "token", KindToken, "Shopify does not accept the access token: [API] Invalid API key or access token (unrecognized login or wrong password); copy it again"},
		{"401 of a token that was asked for", fakeshopify.Fault{Status: 401, Endpoint: "graphql"}, "", KindToken, "Shopify does not accept the access that it gave the app itself; release a version"},
		{"a client secret", fakeshopify.Fault{Kind: fakeshopify.FaultHTML, Status: 400, Title: "400 - Oauth error invalid_client", Endpoint: "token"}, "",
			KindToken, "Shopify does not accept the app's client secret"},
		{"a client id", fakeshopify.Fault{Kind: fakeshopify.FaultHTML, Status: 400, Title: "400 - Oauth error application_cannot_be_found", Endpoint: "token"}, "",
			KindToken, "Shopify knows no app with this client id"},
		{"an app that is not there", fakeshopify.Fault{Kind: fakeshopify.FaultHTML, Status: 400, Title: "400 - Oauth error app_not_installed", Endpoint: "token"}, "",
			KindUninstalled, "the app is not installed on the shop"},
		{"another organization", fakeshopify.Fault{Kind: fakeshopify.FaultHTML, Status: 400,
			Title: "400 - Oauth error shop_not_permitted: Client credentials cannot be performed on this shop.", Endpoint: "token"}, "",
			KindToken, "different organizations: Client credentials cannot be performed on this shop; let the shop's owner approve"},
		{"402", fakeshopify.Fault{Status: 402}, "token", KindFrozen, "Shopify has frozen the shop (402)"},
		{"423", fakeshopify.Fault{Status: 423}, "", KindFrozen, "Shopify has frozen the shop (423)"},
		{"404", fakeshopify.Fault{Status: 404}, "token", KindRefused, "there is no such shop at Shopify (404)"},
		{"404 of the token", fakeshopify.Fault{Status: 404}, "", KindRefused, "there is no such shop at Shopify (404)"},
		{"301", fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Status: 301, Location: renamed}, "token", KindMoved, "new-name.myshopify.com"},
		{"308 of the token", fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Status: 308, Location: renamed}, "", KindMoved, "new-name.myshopify.com"},
		{"500", fakeshopify.Fault{Status: 500}, "token", KindServer, "Shopify has a fault (500)"},
		{"503", fakeshopify.Fault{Status: 503}, "", KindServer, "Shopify has a fault (503)"},
		{"a broken connection", fakeshopify.Fault{Kind: fakeshopify.FaultReset}, "token", KindNetwork, "the connection to my-shop.myshopify.com broke off: connection reset by peer"},
		{"a page", fakeshopify.Fault{Kind: fakeshopify.FaultHTML}, "token", KindUnreadable, "it is a web page"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{static: tt.static, shop: fakeshopify.Options{Products: 1}})
				tt.fault.Times = -1
				r.shop.Fail(tt.fault)
				began := time.Now()
				for time.Since(began) < 50*time.Second {
					_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
					e, ok := err.(*Error)
					if !ok || e.Root().Kind != tt.kind || !strings.Contains(e.Words(), tt.words) {
						t.Fatalf("after %v: %v, in words %q", time.Since(began), err, e.Words())
					}
					got := r.Contact(testShop)
					if !got.Failing || got.Failure.Kind != tt.kind || !got.Failed.After(got.Answered) && !got.Failed.Equal(got.Answered) {
						t.Fatalf("contact: %+v", got)
					}
					time.Sleep(5 * time.Second)
				}
				if snap, _ := r.lim.Snapshot(testShop); snap.Used > 81 || snap.InFlight != 0 {
					t.Errorf("points: %+v", snap)
				}
			})
		})
	}
}

// failingConn is what a connection that fails in one step looks like.
func failingConn(step string) *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		switch step {
		case "dial":
			return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 443}, Err: syscall.ECONNREFUSED}
		case "name":
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: testShop, IsNotFound: true}}
		}
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if step == "tls" {
				go func() { _, _ = io.Copy(io.Discard, theirs) }()
				_, _ = theirs.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				return
			}
			_, _ = io.ReadFull(theirs, make([]byte, 300)) // of the request
		}()
		return ours, nil
	}, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
}

// TestACallThatNeverReachedTheShopCostsNothing: without a connection there is
// nothing that the shop could count. One that broke after it was written may have
// been counted.
func TestACallThatNeverReachedTheShopCostsNothing(t *testing.T) {
	for _, tt := range []struct {
		step, scheme, words string
		charged             int
	}{
		{"dial", "https", "no connection to my-shop.myshopify.com: 192.0.2.7:443 refused the connection", 0},
		{"name", "https", "no connection to my-shop.myshopify.com: the name my-shop.myshopify.com is not known (DNS)", 0},
		{"tls", "https", "no connection to my-shop.myshopify.com: http: server gave HTTP response to HTTPS client", 0},
		{"answer", "http", "the connection to my-shop.myshopify.com broke off: ", 1},
	} {
		for _, known := range []bool{false, true} {
			t.Run(tt.step, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var broken atomic.Bool
					conn := failingConn(tt.step)
					r := newRig(t, rigOptions{static: "token", breaker: breaker.Options{Failures: 1000},
						client: Options{Tries: 1, BaseURL: func(shop string) string { return tt.scheme + "://" + shop }},
						wrap: func(next http.RoundTripper) http.RoundTripper {
							return transportFunc(func(req *http.Request) (*http.Response, error) {
								if broken.Load() {
									return conn.RoundTrip(req)
								}
								return next.RoundTrip(req)
							})
						}})
					ask := func(ctx context.Context) error {
						_, err := r.Shop(ctx, testShop, limiter.Reconcile)
						return err
					}
					if known {
						if err := ask(t.Context()); err != nil {
							t.Fatal(err)
						}
						time.Sleep(2 * time.Minute)
					}
					before, _ := r.lim.Snapshot(testShop)
					broken.Store(true)
					const calls = 4
					m := &Meter{}
					for range calls {
						e := ask(WithMeter(t.Context(), m)).(*Error)
						if e.Root().Kind != KindNetwork || !strings.HasPrefix(e.Words(), tt.words) {
							t.Errorf("got %v, in words %q", e, e.Words())
						}
					}
					after, _ := r.lim.Snapshot(testShop)
					want := tt.charged * calls
					if !known {
						want = tt.charged * limiter.ProbePoints // the others wait, with the same reason
					}
					if got := after.Used - before.Used; got != want || m.Points() != int64(want) || after.InFlight != 0 {
						t.Errorf("%d points were charged, %d metered, want %d; in flight %d", got, m.Points(), want, after.InFlight)
					}
					broken.Store(false)
					if tt.charged == 0 {
						if err := ask(t.Context()); err != nil {
							t.Errorf("the first call with a connection: %v", err)
						}
						if got := r.Contact(testShop); got.Failing || got.Answered.IsZero() || got.Failure == nil {
							t.Errorf("contact: %+v", got)
						}
					}
				})
			})
		}
	}
}

// TestAnOpenCircuitNamesTheFailureBehindIt: the reason of a call that is not sent
// is the call that failed, not the guard that holds it back.
func TestAnOpenCircuitNamesTheFailureBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", breaker: breaker.Options{Failures: 1}})
		if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil {
			t.Fatal(err)
		}
		r.shop.Fail(fakeshopify.Fault{Status: 500, Times: -1})
		for range 2 {
			_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
			if e := err.(*Error); e.Root().Kind != KindServer || !strings.HasPrefix(e.Words(), "Shopify has a fault (500)") {
				t.Errorf("got %v, in words %q", err, e.Words())
			}
		}
		if got := r.Contact(testShop); time.Until(got.RetryAt) != 30*time.Second {
			t.Errorf("tried again in %v: %+v", time.Until(got.RetryAt), got)
		}
		if err := r.brk.Force(time.Now(), breaker.Key{Shop: testShop, Class: EndpointGraphQL}, breaker.HeldOpen); err != nil {
			t.Fatal(err)
		}
		_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
		if e := err.(*Error); e.Words() != "calls to Shopify are held back by hand" {
			t.Errorf("held by hand: %q", e.Words())
		}
	})
}

// TestPointsThatAreOnlyAssumedToBeSpentAreNoReason: without a failure it is said
// that the budget is not known, which is true.
func TestPointsThatAreOnlyAssumedToBeSpentAreNoReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", limiter: limiter.Options{Fixed: true}})
		ask := func() *Error {
			_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
			var e *Error
			errors.As(err, &e)
			return e
		}
		if e := ask(); e == nil || e.Words() != "how many calls the shop allows now is not known yet" || time.Until(e.RetryAt) != time.Minute {
			t.Fatalf("at the start: %v", e)
		}
		if got := r.Contact(testShop); got != (Contact{}) {
			t.Errorf("a call that was never sent counts: %+v", got)
		}
		time.Sleep(time.Minute)
		for range 80 {
			if e := ask(); e != nil {
				t.Fatal(e)
			}
		}
		if e := ask(); e == nil || e.Words() != "the shop's budget of points is used up" {
			t.Errorf("when they are spent: %v", e)
		}
	})
}

// TestWhatIsAboutOneThingIsNoFailureOfTheShop keeps the record of the contact
// free of answers that only refuse one question.
func TestWhatIsAboutOneThingIsNoFailureOfTheShop(t *testing.T) {
	for kind, want := range map[Kind]bool{
		KindServer: true, KindTimeout: true, KindNetwork: true, KindUnreadable: true, KindToken: true, KindScope: true, KindFrozen: true,
		KindUninstalled: true, KindMoved: true, KindThrottled: false, KindBusy: false, KindPartial: false, KindTooDear: false, KindChanging: false,
	} {
		if got := (&Error{Kind: kind, Status: 200}).ofTheShop(); got != want {
			t.Errorf("%v: %v", kind, got)
		}
	}
	if (&Error{Kind: KindRefused, Status: 200}).ofTheShop() || !(&Error{Kind: KindRefused, Status: 404}).ofTheShop() {
		t.Error("a refused question is about itself, 404 about the shop")
	}
}

// TestARenamedShopIsNeverFollowedWithASecret counts what reaches the other name.
func TestARenamedShopIsNeverFollowedWithASecret(t *testing.T) {
	for _, endpoint := range []string{"graphql", "token"} {
		synctest.Test(t, func(t *testing.T) {
			var elsewhere atomic.Int64
			r := newRig(t, rigOptions{wrap: func(next http.RoundTripper) http.RoundTripper {
				return transportFunc(func(req *http.Request) (*http.Response, error) {
					if req.URL.Host != testShop {
						elsewhere.Add(1)
					}
					return next.RoundTrip(req)
				})
			}})
			r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Status: 301, Endpoint: endpoint, Times: -1,
				Location: "https://New-Name.myshopify.com/admin/x?token=1"})
			_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
			e := err.(*Error)
			want := "the shop has another name now, new-name.myshopify.com; follow it with " +
				"stockroom shop add new-name.myshopify.com, then stockroom shop remove my-shop.myshopify.com"
			if e.Kind != KindMoved || e.Moved != "new-name.myshopify.com" || e.Words() != want || elsewhere.Load() != 0 {
				t.Errorf("%s: %v, %q, %d calls elsewhere", endpoint, err, e.Words(), elsewhere.Load())
			}
			r.shop.Heal()
			r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Endpoint: endpoint}) // to no shop
			if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); KindOf(err) != KindRefused || !strings.Contains(err.Error(), "elsewhere.example") {
				t.Errorf("%s: %v", endpoint, err)
			}
		})
	}
}
