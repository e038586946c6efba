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
	go func() { _, _ = pw.Write(bytes.Repeat([]byte(" "), part)) }()
	return begin(b, r, pr)
}

// begin hands the intake a request whose body comes through a pipe.
func begin(b *bench, r *http.Request, pr *io.PipeReader) <-chan *httptest.ResponseRecorder {
	c := &slowConn{ResponseRecorder: httptest.NewRecorder(), pipe: pr}
	done := make(chan *httptest.ResponseRecorder, 1)
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

// A declared length takes no memory.
func TestDeclaredLengthTakesNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil) // 64 MiB in flight
		var stalled []<-chan *httptest.ResponseRecorder
		for range 200 {
			stalled = append(stalled, stall(b, 8<<20, 10))
		}
		synctest.Wait()
		began := time.Now()
		large := append(update(99), bytes.Repeat([]byte(" "), 7<<20)...)
		want(t, b.send(signed(large)), 200, success)
		if took := since(began); took > 0 {
			t.Errorf("it waited %s", took)
		}
		for _, c := range stalled {
			want(t, <-c, 400, "")
		}
	})
}

// When the memory is used up the bodies that have been arriving for longest
// give way.
func TestStalledBodiesKeepNoSignedDeliveryOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const large, small = 12, 60 // bodies that hold 4 MiB and 64 KiB
		b := newBench(nil)
		b.bodies.free = large*4<<20 + small*64<<10
		var stalled []<-chan *httptest.ResponseRecorder
		for range large {
			stalled = append(stalled, stall(b, 8<<20, 3<<20))
		}
		synctest.Wait()
		for range small {
			stalled = append(stalled, stall(b, 8<<20, 60<<10))
		}
		time.Sleep(bodyWait)
		if b.freeBytes() > 0 {
			t.Fatal("there is memory left, so this shows nothing")
		}
		for id := range int64(50) {
			began := time.Now()
			want(t, b.send(signed(update(id+1))), 200, success)
			if took := since(began); took > bodyPatience {
				t.Errorf("delivery %d waited %s", id, took)
			}
		}
		want(t, b.send(signed(append(update(99), bytes.Repeat([]byte(" "), 7<<20)...))), 200, success)
		codes := map[int]int{}
		for _, c := range stalled {
			codes[(<-c).Code]++
		}
		if codes[503] < 1 || codes[503] > 4 || codes[400]+codes[503] != large+small {
			t.Errorf("answers %v, want 503 for the few that gave way and 400 for the rest", codes)
		}
	})
}

func TestMemoryOfEveryBodyIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(func(o *Options) { o.MaxBody = 1 << 20 })
		b.bodies.free = 2 << 20
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
		if b.freeBytes() != 2<<20 {
			t.Error("not all memory was given back")
		}
		if n := len(b.bodies.shares); n != 0 {
			t.Errorf("%d senders still hold something", n)
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
