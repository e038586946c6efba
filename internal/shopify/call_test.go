package shopify

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

func TestReadsAreRepeatedWhenAMomentMayMendThem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeshopify.Fault
		tries int
		// least and most are the whole wait.
		least, most time.Duration
	}{
		{"a bad gateway", fakeshopify.Fault{Status: 502}, 2, 200 * time.Millisecond, 300 * time.Millisecond},
		{"two unavailable answers", fakeshopify.Fault{Status: 503, Times: 2}, 3, 600 * time.Millisecond, 900 * time.Millisecond},
		{"a gateway that waited", fakeshopify.Fault{Status: 504}, 2, 200 * time.Millisecond, 300 * time.Millisecond},
		{"a reset", fakeshopify.Fault{Kind: fakeshopify.FaultReset}, 2, 200 * time.Millisecond, 300 * time.Millisecond},
		{"an answer that broke off", fakeshopify.Fault{Kind: fakeshopify.FaultTruncate, Bytes: 9}, 2, 200 * time.Millisecond, 300 * time.Millisecond},
		{"silence", fakeshopify.Fault{Kind: fakeshopify.FaultSilence}, 2, 30200 * time.Millisecond, 30300 * time.Millisecond},
		{"one byte a second", fakeshopify.Fault{Kind: fakeshopify.FaultSlow}, 2, 30200 * time.Millisecond, 30300 * time.Millisecond},
		{"too many requests, with a decimal wait", fakeshopify.Fault{Status: 429, RetryAfter: "1.5"}, 2, 1500 * time.Millisecond, 1600 * time.Millisecond},
		{"an unavailable answer with a wait", fakeshopify.Fault{Status: 503, RetryAfter: "2"}, 2, 2 * time.Second, 2 * time.Second},
		{"an unavailable answer with a long wait", fakeshopify.Fault{Status: 503, RetryAfter: "60"}, 1, 0, 0},
		{"a server error", fakeshopify.Fault{Status: 500}, 1, 0, 0},
		{"an answer that makes no sense", fakeshopify.Fault{Kind: fakeshopify.FaultWrongTypes}, 1, 0, 0},
		{"a refusal", fakeshopify.Fault{Status: 404}, 1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{static: "token"})
				if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil { // teaches the budget
					t.Fatal(err)
				}
				before := r.shop.APIStats().Calls
				r.shop.Fail(tt.fault)
				start := time.Now()
				_, err := r.Shop(t.Context(), testShop, limiter.Reconcile)
				if (err == nil) != (tt.tries > 1) {
					t.Errorf("got %v", err)
				}
				if n := r.shop.APIStats().Calls - before; n != tt.tries {
					t.Errorf("%d tries, not %d", n, tt.tries)
				}
				if took := time.Since(start); took < tt.least || took > tt.most {
					t.Errorf("took %v, not %v to %v", took, tt.least, tt.most)
				}
			})
		})
	}
}

// TestRetriesFollowTheOracle compares withRetry with ten lines.
func TestRetriesFollowTheOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom([]*Error{
			nil, {Kind: KindTimeout}, {Kind: KindNetwork}, {Kind: KindServer, Status: 500}, {Kind: KindServer, Status: 503},
			{Kind: KindThrottled, Status: 429, RetryAfter: 3 * time.Second}, {Kind: KindThrottled, Status: 429, RetryAfter: time.Minute},
			{Kind: KindToken, Status: 401}, {Kind: KindOpen}, {Kind: KindUnreadable, Status: 200},
		}), 5, 5).Draw(rt, "answers")
		tries := rapid.IntRange(1, 5).Draw(rt, "tries")

		calls, least := 0, time.Duration(0)
		for i := range tries {
			calls++
			e := kinds[i]
			if e == nil || !(e.Kind == KindTimeout || e.Kind == KindNetwork || e.Status == 503 || e.Status == 429) || e.RetryAfter > 5*time.Second || i == tries-1 {
				break
			}
			least += max(100*time.Millisecond<<(i+1), e.RetryAfter)
		}

		synctest.Test(t, func(t *testing.T) {
			n, start := 0, time.Now()
			err := withRetry(t.Context(), tries, 100*time.Millisecond, func() error {
				n++
				if e := kinds[n-1]; e != nil {
					return e
				}
				return nil
			})
			if took := time.Since(start); n != calls || took < least || took > least*3/2 {
				t.Errorf("%d calls in %v; the oracle says %d in %v at least", n, took, calls, least)
			}
			if want := kinds[calls-1]; (want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	})
}

func TestARetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := withRetry(ctx, 3, 10*time.Second, func() error { return &Error{Kind: KindTimeout} })
		if KindOf(err) != KindTimeout || time.Since(start) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// TestRealSocketsFailInTheirOwnWays makes each fault on a real connection.
func TestRealSocketsFailInTheirOwnWays(t *testing.T) {
	answer := []byte(`{"data":{"shop":{"id":"1"}},"extensions":{"cost":{"requestedQueryCost":1,"actualQueryCost":1,"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":1999,"restoreRate":100}}}}`)
	hijack := func(w http.ResponseWriter, do func(c *net.TCPConn)) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		do(c.(*net.TCPConn))
		_ = c.Close()
	}
	reset := func(c *net.TCPConn) { _ = c.SetLinger(0) }
	for _, tt := range []struct {
		name string
		bad  func(w http.ResponseWriter, r *http.Request)
		kind Kind
	}{
		{"reset before the answer", func(w http.ResponseWriter, _ *http.Request) { hijack(w, reset) }, KindNetwork},
		{"reset within the answer", func(w http.ResponseWriter, _ *http.Request) {
			hijack(w, func(c *net.TCPConn) {
				_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"data\""))
				reset(c)
			})
		}, KindNetwork},
		{"closed within the answer", func(w http.ResponseWriter, _ *http.Request) {
			hijack(w, func(c *net.TCPConn) {
				_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"data\""))
			})
		}, KindNetwork},
		{"silence", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that we left
			<-r.Context().Done()
		}, KindTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if k := n.Add(1); k == 2 || k == 4 {
					tt.bad(w, r)
					return
				}
				_, _ = w.Write(answer)
			}))
			defer srv.Close()
			r := newRig(t, rigOptions{static: "token", client: Options{
				BaseURL: func(string) string { return srv.URL }, Transport: &http.Transport{}, Timeout: 300 * time.Millisecond, RetryBase: time.Millisecond,
			}})
			if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil || n.Load() != 1 {
				t.Errorf("the call that teaches the budget: %v after %d calls", err, n.Load())
			}
			if _, err := r.Shop(t.Context(), testShop, limiter.Reconcile); err != nil || n.Load() != 3 {
				t.Errorf("not repeated: %v after %d calls", err, n.Load())
			}
			err := r.call(t.Context(), testShop, limiter.Reconcile, r.queries["Shop"].call(nil), &struct{}{})
			if KindOf(err) != tt.kind {
				t.Errorf("one try alone: got %v", err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		var dials atomic.Int64
		r := newRig(t, rigOptions{static: "token", client: Options{
			BaseURL: func(string) string { return "http://" + address }, RetryBase: time.Millisecond,
			Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			}},
		}, limiter: limiter.Options{Fixed: true}})
		_, err = r.Shop(t.Context(), testShop, limiter.Reconcile)
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindBudget { // a fresh window is a spent one
			t.Errorf("got %v", err)
		}
		err = r.readUnlimited(t, r.queries["Shop"].call(nil))
		if KindOf(err) != KindNetwork || dials.Load() != 3 {
			t.Errorf("got %v after %d dials", err, dials.Load())
		}
	})
}

// readUnlimited is read without the limiter's say.
func (r *rig) readUnlimited(t *testing.T, op operation) error {
	return withRetry(t.Context(), 3, time.Millisecond, func() error {
		_, _, err := r.post(t.Context(), testShop, op, &struct{}{}, r.creds.app.AccessToken)
		return err
	})
}
