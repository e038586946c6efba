package webhook

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// The places of bodies, against their rules in plain words.
func TestBodiesGiveWayByTheShareOfTheirSender(t *testing.T) {
	const budget = 100
	rapid.Check(t, func(t *rapid.T) {
		b := newBodies(budget)
		var flight []*arrival
		type look struct {
			trust   int
			reading bool
			share   int64
		}
		step := func(ask *arrival, more int64, act func()) {
			t.Helper()
			before := map[*arrival]look{}
			for _, a := range flight {
				before[a] = look{a.of.known, a.place != nil, a.of.held}
			}
			act()
			share := before[ask].share // less what gave way to its own
			for _, v := range flight {
				if ask != nil && v.of == ask.of && v.evicted && before[v].reading {
					share -= v.held
				}
			}
			// What gave way had to.
			for _, v := range flight {
				was := before[v]
				if !v.evicted || !was.reading || ask == nil {
					continue
				}
				switch {
				case was.trust > ask.of.known:
					t.Fatalf("a body gave way to one that is trusted less")
				case v.of == ask.of && time.Since(v.began) < bodyPatience:
					t.Fatalf("a young body gave way to one of its own sender")
				case v.of != ask.of && was.trust == ask.of.known && was.share < share+more:
					t.Fatalf("a body of a sender with %d gave way to one with %d that asks for %d", was.share, share, more)
				}
				for _, other := range flight {
					if o := before[other]; was.trust > o.trust && o.reading && !other.evicted {
						t.Fatalf("a body gave way before one that is trusted less")
					}
				}
			}
		}
		check := func() {
			t.Helper()
			held, leaving := int64(0), int64(0)
			shares := map[*share]int64{}
			for _, a := range flight {
				if a.evicted {
					leaving += a.held
					continue
				}
				held += a.held
				shares[a.of] += a.held
			}
			if b.free < 0 || b.free+held+leaving != budget || leaving != b.leaving {
				t.Fatalf("free %d, held %d, leaving %d of %d", b.free, held, leaving, budget)
			}
			for s, sum := range shares {
				if s.held != sum {
					t.Fatalf("a share is %d, counted %d", s.held, sum)
				}
			}
			for _, w := range b.waiting {
				if w.asks <= b.free && len(b.waiting) == 1 {
					t.Fatalf("%d are free, and %d are waited for", b.free, w.asks)
				}
				for _, v := range flight {
					if v.of.known < w.of.known && b.free+b.leaving < w.asks && v.place != nil && len(b.waiting) == 1 {
						t.Fatalf("a body waits while one that is trusted less is read")
					}
				}
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			i := rapid.IntRange(0, len(flight)).Draw(t, "which")
			switch act := rapid.SampledFrom([]string{"begin", "begin", "ask", "ask", "ask", "ask", "ask", "stay", "end", "give up"}).Draw(t, "act"); {
			case act == "begin":
				n := rapid.IntRange(0, 7).Draw(t, "sender")
				aborted, began := false, time.Now()
				if rapid.Bool().Draw(t, "old") {
					began = began.Add(-time.Minute)
				}
				a := b.begin(from{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n / 2)}), 32), n & 1, n > 5}, began, func() {
					if aborted {
						t.Fatal("aborted twice")
					}
					aborted = true
				})
				flight = append(flight, a)
			case i >= len(flight):
			case act == "ask":
				a := flight[i]
				if a.asks > 0 || a.held > 0 && a.place == nil {
					continue // waits, gave way or was read
				}
				more := int64(rapid.IntRange(1, 40).Draw(t, "more"))
				ahead := len(b.waiting) // then another may be served first
				ask := a
				if ahead > 0 {
					ask = nil
				}
				step(ask, more, func() { b.ask(a, more) })
			case act == "give up": // its time to wait is over
				b.giveUp(flight[i])
			case act == "stay":
				if flight[i].asks == 0 {
					b.stay(flight[i])
				}
			case act == "end":
				a := flight[i]
				b.giveUp(a)
				b.stay(a)
				flight = slices.Delete(flight, i, i+1)
				b.end(a)
			}
			check()
		}
		for _, a := range flight {
			b.giveUp(a)
			b.stay(a)
			b.end(a)
		}
		if b.free != budget || b.leaving != 0 || len(b.shares) != 0 || len(b.waiting) != 0 {
			t.Fatalf("free %d, leaving %d, %d senders and %d that wait at the end", b.free, b.leaving, len(b.shares), len(b.waiting))
		}
	})
}

// Strangers that renew bodies before any patience ends hold a known sender up in
// nothing, however slowly its large body comes.
func TestStrangersThatRenewTheirBodiesKeepNoKnownSenderOut(t *testing.T) {
	const connections, budget = 400, 4 << 20
	for name, address := range map[string]func(int) string{
		"from one address":       func(int) string { return "10.0.0.1:1" },
		"from as many addresses": func(i int) string { return fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255) },
		"from its own address":   func(int) string { return "192.0.2.7:1" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(func(o *Options) {
					o.Proved = func(r *http.Request) bool { return name == "from its own address" && r.RemoteAddr != address(0) }
				})
				b.bodies.free = budget
				want(t, b.send(signed(update(1))), 200, success)
				stop := make(chan struct{})
				codes := make(chan int, connections*100)
				for i := range connections {
					go func() {
						time.Sleep(time.Duration(i) * 250 * time.Millisecond / connections)
						for {
							select {
							case <-stop:
								return
							default:
							}
							r, body := arriving(address(i), 64<<10)
							w := begin(b, r, body.pipe)
							go body.send(63<<10, 1, 0)
							time.Sleep(250 * time.Millisecond)
							body.cut()
							codes <- (<-w).Code
						}
					}()
				}
				time.Sleep(time.Second)
				for id := range int64(3) {
					large := append(update(id+2), bytes.Repeat([]byte(" "), 1_400_000)...)
					r, body := arriving("192.0.2.7:2", int64(len(large)))
					r.Header = signed(large).Header
					w, began := begin(b, r, body.pipe), time.Now()
					go body.write(large, 20, 100*time.Millisecond)
					want(t, <-w, 200, success)
					if took := since(began); took > 2*time.Second+bodyPatience {
						t.Errorf("delivery %d took %s", id, took)
					}
					began = time.Now()
					want(t, b.send(signed(update(id+20))), 200, success)
					if took := since(began); took > 0 {
						t.Errorf("a small delivery waited %s", took)
					}
				}
				close(stop)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				seen := map[int]int{}
				for len(codes) > 0 {
					seen[<-codes]++
				}
				b.bodies.mu.Lock()
				defer b.bodies.mu.Unlock()
				if seen[503] == 0 || len(slices.Collect(maps.Keys(seen))) > 2 {
					t.Errorf("answers %v, want 503 and 400", seen)
				}
				if b.bodies.free != budget || len(b.bodies.shares) != 0 || len(b.bodies.waiting) != 0 {
					t.Errorf("free %d, %d senders, %d that wait", b.bodies.free, len(b.bodies.shares), len(b.bodies.waiting))
				}
			})
		})
	}
}

func TestNoBodyWaitsLongerThanItsTimeForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(func(o *Options) { o.MaxBody = 1 << 20 })
		b.bodies.free = 1 << 20
		first, body := arriving("192.0.2.7:1", 1<<20)
		w := begin(b, first, body.pipe)
		go body.send(1<<20-1, 1, 0)
		synctest.Wait()
		began := time.Now()
		r := signed(update(1))
		r.RemoteAddr = "198.51.100.1:1"
		large := signed(append(update(2), bytes.Repeat([]byte(" "), 1<<19)...))
		large.RemoteAddr = "198.51.100.1:1"
		want(t, b.send(r), 200, success) // takes the place: the other sender holds more
		want(t, <-w, 503, "")
		if took := since(began); took != 0 {
			t.Errorf("it waited %s", took)
		}
		young, body := arriving("198.51.100.1:2", 1<<20)
		began = time.Now()
		w = begin(b, young, body.pipe)
		go body.send(1<<20-1, 1, 0)
		synctest.Wait()
		want(t, b.send(large), 503, "") // its own sender's body is young
		if took := since(began); took != bodyWait {
			t.Errorf("it waited %s, want %s", took, bodyWait)
		}
		want(t, b.send(signedAgain(large)), 200, success) // it is old by now
		want(t, <-w, 503, "")
	})
}

// signedAgain is the same request again.
func signedAgain(r *http.Request) *http.Request {
	n := signed(append(update(2), bytes.Repeat([]byte(" "), 1<<19)...))
	n.RemoteAddr = r.RemoteAddr
	return n
}

// body is one that a test sends as slowly as it wants.
type body struct {
	pipe *io.PipeReader
	to   *io.PipeWriter
}

func arriving(remote string, declared int64) (*http.Request, body) {
	pr, pw := io.Pipe()
	r := httptest.NewRequest(http.MethodPost, "/webhooks/shopify/products", pr)
	r.ContentLength = declared
	r.Header = signed(nil).Header
	r.RemoteAddr = remote
	return r, body{pr, pw}
}

func (b body) send(n, pieces int, pause time.Duration) { b.write(make([]byte, n), pieces, pause) }

func (b body) write(text []byte, pieces int, pause time.Duration) {
	for part := range slices.Chunk(text, (len(text)+pieces-1)/pieces) {
		if _, err := b.to.Write(part); err != nil {
			return
		}
		time.Sleep(pause)
	}
	if pieces > 1 {
		_ = b.to.Close()
	}
}

func (b body) cut() { _ = b.to.CloseWithError(io.ErrUnexpectedEOF) }
