package webhook

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowConn is a connection whose body stalls: it has a read deadline as a real
// one has.
type slowConn struct {
	*httptest.ResponseRecorder
	mu    sync.Mutex
	pipe  *io.PipeReader
	timer *time.Timer
}

func (c *slowConn) SetReadDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(time.Until(at), func() { c.pipe.CloseWithError(os.ErrDeadlineExceeded) })
	return nil
}

// stall sends part of a body and then nothing; the result comes from the
// channel.
func stall(b *bench, declared int64, part int) <-chan *httptest.ResponseRecorder {
	pr, pw := io.Pipe()
	r := httptest.NewRequest(http.MethodPost, "/webhooks/shopify/products", pr)
	r.ContentLength = declared
	r.Header = signed(nil).Header
	c := &slowConn{ResponseRecorder: httptest.NewRecorder(), pipe: pr}
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() { _, _ = pw.Write(bytes.Repeat([]byte(" "), part)) }()
	go func() {
		b.ServeHTTP(c, r)
		c.mu.Lock()
		c.timer.Stop()
		c.mu.Unlock()
		_ = pr.Close()
		done <- c.ResponseRecorder
	}()
	return done
}

func TestBodyThatStallsIsGivenUpWhenShopifyWouldBeGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		began := time.Now()
		w := <-stall(b, 1000, 10)
		if took := since(began); took != bodyTime || w.Code != 400 || w.Header().Get("Connection") != "close" {
			t.Errorf("%d after %s, Connection %q", w.Code, took, w.Header().Get("Connection"))
		}
	})
}

// A declared length takes no memory, and when the memory is used up the bodies
// that have been arriving for longest give way.
func TestStalledBodiesKeepNoSignedDeliveryOut(t *testing.T) {
	for name, part := range map[string]int{"nothing of the body came": 0, "half of it came": 4 << 20} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(nil) // 64 MiB in flight
				var stalled []<-chan *httptest.ResponseRecorder
				for range 20 {
					stalled = append(stalled, stall(b, 8<<20, part))
				}
				synctest.Wait()
				time.Sleep(bodyPatience)
				for id := range int64(50) {
					began := time.Now()
					want(t, b.send(signed(update(id+1))), 200, success)
					if took := since(began); took > bodyWait {
						t.Errorf("delivery %d waited %s", id, took)
					}
				}
				large := append(update(99), bytes.Repeat([]byte(" "), 7<<20)...)
				want(t, b.send(signed(large)), 200, success)
				for _, c := range stalled {
					if w := <-c; w.Code != 400 && w.Code != 503 {
						t.Errorf("a stalled body got %d", w.Code)
					}
				}
			})
		})
	}
}

func TestMemoryOfEveryBodyIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(func(o *Options) { o.MaxBody = 1 << 20; o.BytesInFlight = 2 << 20 })
		chunked := func(size int) *http.Request {
			body := append(update(1), bytes.Repeat([]byte(" "), size)...)
			r := signed(body)
			r.ContentLength = -1
			return r
		}
		for range 20 {
			want(t, b.send(signed(update(1))), 200, success)
			want(t, b.send(chunked(300<<10)), 200, success)
			want(t, b.send(chunked(2<<20)), 413, "")
			cut := signed(update(1))
			cut.ContentLength = 500
			cut.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), failing{}))
			want(t, b.send(cut), 400, "")
		}
		if !b.bodies.free.TryAcquire(2 << 20) {
			t.Error("not all memory was given back")
		}
		if n := b.bodies.reading.Len(); n != 0 {
			t.Errorf("%d bodies are still being read", n)
		}
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBodyOfExactlyTheLimitIsRead(t *testing.T) {
	for _, declared := range []bool{true, false} {
		b := newBench(func(o *Options) { o.MaxBody = 100_000 })
		body := append(update(1), bytes.Repeat([]byte(" "), 100_000-len(update(1)))...)
		r := signed(body)
		if !declared {
			r.ContentLength = -1
		}
		want(t, b.send(r), 200, success)
		r = signed(append(body, ' '))
		if !declared {
			r.ContentLength = -1
		}
		want(t, b.send(r), 413, "")
	}
}
