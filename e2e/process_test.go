package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// I10.
func TestSecondServerOnADataDirRefusesAndNamesTheFirst(t *testing.T) {
	t.Parallel()
	first := startServer(t, serveOptions{})
	for _, address := range []string{"127.0.0.1:0", strings.TrimPrefix(first.Public, "http://")} {
		second := launch(t, serveOptions{Dir: first.Dir, Args: []string{"--listen", address}})
		code, took := second.wait()
		if code != 4 || strings.Contains(second.log.String(), "--listen") {
			t.Errorf("exit code %d after %s, want 4: %s", code, took, second.log)
		}
		if want := fmt.Sprint(first.PID); !strings.Contains(second.log.String(), want) {
			t.Errorf("it does not name process %s: %s", want, second.log)
		}
	}
	wantAnswer(t, first.post(delivery{Body: productBody(1, 1, 1)}), answerApplied)
	if out := first.cli("products", "list"); !strings.Contains(out, "Product 1 v1") {
		t.Errorf("a command on the first server's dir: %s", out)
	}
	first.stop()
}

// I11: what was acknowledged before or during the stop is there afterwards.
func TestStopUnderLoadExitsZeroAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	var acknowledged sync.Map // product id -> newest acknowledged version
	var refused, cut atomic.Int64
	var wg sync.WaitGroup
	stopping := make(chan struct{})
	for c := range 16 {
		wg.Go(func() {
			id := int64(c + 1)
			for version := 1; version < 100_000; version++ {
				r, err := s.try(context.WithoutCancel(t.Context()), delivery{Body: productBody(id, version, 3)})
				switch {
				case err != nil:
					cut.Add(1)
					select {
					case <-stopping:
						return
					default:
						t.Errorf("a delivery failed before the stop: %v", err)
						return
					}
				case r.Status == 200:
					acknowledged.Store(id, version)
				default:
					refused.Add(1)
				}
			}
		})
	}
	db := openCatalogue(t, s.Dir)
	await(t, "all products", func() bool { return count(t, db, `SELECT count(*) FROM products`) == 16 })
	close(stopping)
	s.signal(syscall.SIGTERM)
	code, took := s.wait()
	wg.Wait()
	if code != 0 {
		t.Errorf("exit code %d after %s, want 0", code, took)
	}
	t.Logf("stopped after %s; %d answers refused, %d connections ended", took.Round(time.Millisecond), refused.Load(), cut.Load())
	if refused.Load() > 0 {
		t.Errorf("%d deliveries were refused during the stop", refused.Load())
	}
	again := startServer(t, serveOptions{Dir: s.Dir})
	db = openCatalogue(t, s.Dir)
	acknowledged.Range(func(id, version any) bool {
		at := time.Date(2026, 11, 1, 0, 0, version.(int), 0, time.UTC).UnixMilli()
		if n := count(t, db, `SELECT count(*) FROM products WHERE external_id = ? AND shopify_updated_at >= ?`, id, at); n != 1 {
			t.Errorf("product %v is older than its acknowledged version %v", id, version)
		}
		return true
	})
	again.stop()
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	wantAnswer(t, s.post(delivery{Body: productBody(1, 1, 1)}), answerApplied)
	// A request that stays in flight keeps the first stop waiting.
	hold := holdRequest(t, s)
	defer hold.Close()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.log.wait("stopping"):
	case <-time.After(patience):
		t.Fatal("the first signal does nothing")
	}
	select {
	case <-s.done:
		t.Fatal("the first signal did not wait for the request in flight")
	default:
	}
	s.signal(syscall.SIGTERM)
	code, took := s.wait()
	if code == 0 {
		t.Errorf("exit code %d %s after the second signal, want another than 0 at once", code, took)
	}
	again := startServer(t, serveOptions{Dir: s.Dir})
	if n := count(t, openCatalogue(t, s.Dir), `SELECT count(*) FROM products`); n != 1 {
		t.Errorf("%d products after the stop, want 1", n)
	}
	again.stop()
}

// A request in flight whose body never ends does not keep the server from
// stopping in time.
func TestStopWaitsForNoStalledRequestForLong(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	hold := holdRequest(t, s)
	defer hold.Close()
	s.signal(syscall.SIGTERM)
	if code, took := s.wait(); code != 0 {
		t.Errorf("exit code %d after %s, want 0", code, took)
	}
}

// holdRequest starts a delivery whose body does not come, and returns when the
// server has its headers.
func holdRequest(t *testing.T, s *server) net.Conn {
	t.Helper()
	before := s.metrics()["stockroom_webhooks_received_total"]
	c, err := net.Dial("tcp", strings.TrimPrefix(s.Public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(c, "POST /webhooks/shopify/products HTTP/1.1\r\nHost: x\r\nX-Shopify-Topic: products/update\r\nX-Shopify-Shop-Domain: "+e2eShop+
		"\r\nX-Shopify-Hmac-Sha256: "+sign("x", nil)+"\r\nContent-Length: 1000\r\n\r\n{")
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the request in flight", func() bool { return s.metrics()["stockroom_webhooks_received_total"] > before })
	return c
}
