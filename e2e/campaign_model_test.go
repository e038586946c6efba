package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A campaign drives the binary with the histories of many products while
// something goes wrong, keeps a ledger of what was sent and how it was answered,
// and compares the catalogue with the ledger after each fault.

// campaignSeed returns the seed of a random campaign: STOCKROOM_SEED, or a new
// one. It is printed, so that a failure can be replayed. What runs at the same
// time is not replayed, only what was drawn.
func campaignSeed(tb testing.TB) uint64 {
	tb.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("STOCKROOM_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			tb.Fatalf("STOCKROOM_SEED: %v", err)
		}
		seed = n
	}
	tb.Logf("replay with STOCKROOM_SEED=%d", seed)
	return seed
}

func torture() bool { return os.Getenv("STOCKROOM_TORTURE") != "" }

// campaignTrials is how many trials a campaign has, and until when it may start
// new ones. The short version has no end in time.
func campaignTrials(tb testing.TB, short, long int) (int, time.Time) {
	tb.Helper()
	if !torture() {
		return short, time.Time{}
	}
	text := os.Getenv("STOCKROOM_TORTURE_MINUTES")
	if text == "" {
		return long, time.Time{}
	}
	minutes, err := strconv.ParseFloat(text, 64)
	if err != nil {
		tb.Fatalf("STOCKROOM_TORTURE_MINUTES: %v", err)
	}
	return long, time.Now().Add(time.Duration(minutes * float64(time.Minute)))
}

func over(end time.Time) bool { return !end.IsZero() && time.Now().After(end) }

// progress prints a line of a long campaign at once; the short version is quiet.
func progress(format string, args ...any) {
	if torture() {
		fmt.Fprintf(os.Stderr, "  "+format+"\n", args...)
	}
}

// event is one delivery and how it was answered.
type event struct {
	id      string
	topic   string
	product int64
	version int // 0 for a delete
	body    []byte
	poison  bool // signed, but makes no sense

	sent   bool
	acked  bool      // 2xx
	queued bool      // and the answer said so
	at     time.Time // of the first 2xx
}

func (e *event) delivery() delivery {
	return delivery{Topic: e.topic, WebhookID: e.id, Body: e.body}
}

// history is one product's life so far.
type history struct {
	id      int64
	version int // newest made
	deleted bool
}

// ledger makes deliveries and remembers them. It is safe for concurrent use.
type ledger struct {
	mu       sync.Mutex
	rng      *rand.Rand
	products []*history
	base     int64
	open     []*event // since the last settled check
	held     []*event // made, and sent after newer ones
	number   int
	padding  int         // bytes of description in each body
	rate     int         // deliveries a second that are due in a load; 0: as many as are answered
	refused  map[int]int // answers that were neither 2xx nor none, by status
	// answered: with 2xx, the same delivery again too
	counts struct{ acked, queued, redelivered, answered int }
}

const ledgerProducts = 24

func newLedger(rng *rand.Rand) *ledger {
	// Its own, as connections draw from it.
	own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
	l := &ledger{rng: own, base: 7_000_000_000_000 + rng.Int64N(1<<30)*1000, refused: map[int]int{}}
	for range ledgerProducts {
		l.addProduct()
	}
	return l
}

func (l *ledger) addProduct() *history {
	h := &history{id: l.base + int64(len(l.products))}
	l.products = append(l.products, h)
	return h
}

// variantsOf is how many variants a version has: it changes from version to
// version, so that a mixture of two is seen.
func variantsOf(id int64, version int) int { return 1 + (version*7+int(id%13))%6 }

// campaignBody carries every field, so that it asks for no fetch.
func campaignBody(id int64, version int) []byte {
	return bytes.ReplaceAll(productBody(id, version, variantsOf(id, version)), []byte(`"sku":`), []byte(`"barcode":null,"sku":`))
}

func (l *ledger) event(topic string, id int64, version int, body []byte) *event {
	l.number++
	e := &event{id: fmt.Sprintf("wh-%d-%d", l.base, l.number), topic: topic, product: id, version: version, body: body}
	l.open = append(l.open, e)
	return e
}

// next returns the next delivery to send: mostly a newer version of a product,
// at times a delete, an old version that was held back, one sent before, or a
// body that makes no sense.
func (l *ledger) next() *event {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n := l.rng.IntN(100); {
	case n < 8 && len(l.open) > 0:
		e := l.open[l.rng.IntN(len(l.open))]
		if e.sent {
			return e
		}
	case n < 14 && len(l.held) > 0:
		i := l.rng.IntN(len(l.held))
		e := l.held[i]
		l.held = append(l.held[:i], l.held[i+1:]...)
		e.sent = true
		return e
	case n < 15:
		e := l.event("products/update", 0, 0, nil)
		e.body = fmt.Appendf(nil, `{"id":"none","of":%q`, e.id)
		e.poison, e.sent = true, true
		return e
	case n < 18:
		h := l.products[l.rng.IntN(len(l.products))]
		if h.version > 0 && !h.deleted {
			h.deleted = true
			l.addProduct()
			e := l.event("products/delete", h.id, 0, fmt.Appendf(nil, `{"id":%d}`, h.id))
			e.sent = true
			return e
		}
	}
	h := l.products[max(0, len(l.products)-ledgerProducts)+l.rng.IntN(ledgerProducts)]
	for range 2 {
		h.version++
		topic := "products/update"
		if h.version == 1 {
			topic = "products/create"
		}
		body := campaignBody(h.id, h.version)
		if l.padding > 0 {
			body = bytes.Replace(body, []byte(`"body_html":"`), []byte(`"body_html":"`+strings.Repeat("x", l.padding)), 1)
		}
		e := l.event(topic, h.id, h.version, body)
		if l.rng.IntN(12) == 0 {
			l.held = append(l.held, e) // the next version overtakes it
			continue
		}
		e.sent = true
		return e
	}
	e := l.held[len(l.held)-1]
	l.held = l.held[:len(l.held)-1]
	e.sent = true
	return e
}

// answered notes an answer; a zero status means that none came.
func (l *ledger) answered(e *event, r reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.Status/100 == 2:
		l.counts.answered++
		if !e.acked {
			l.counts.acked++
			e.at = time.Now()
		}
		e.acked = true
		if strings.Contains(r.Body, `"queued":true`) {
			if !e.queued {
				l.counts.queued++
			}
			e.queued = true
		}
	case r.Status != 0:
		l.refused[r.Status]++
	}
}

// load sends deliveries on many connections until ctx ends.
func (l *ledger) load(ctx context.Context, s *server, connections int) {
	var g sync.WaitGroup
	var made atomic.Int64
	began := time.Now()
	for range connections {
		g.Go(func() {
			for ctx.Err() == nil {
				if l.rate > 0 { // whether the ones before were answered or not
					due := began.Add(time.Duration(made.Add(1)) * time.Second / time.Duration(l.rate))
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Until(due)):
					}
				}
				e := l.next()
				r, err := s.try(ctx, e.delivery())
				if err != nil {
					r = reply{}
				}
				l.answered(e, r)
				if err != nil && ctx.Err() == nil {
					return // the server is gone
				}
			}
		})
	}
	g.Wait()
}

func (l *ledger) queuedCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts.queued
}

func (l *ledger) ackedCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts.acked
}

func (l *ledger) ackedOpen() (list []*event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.open {
		if e.acked {
			list = append(list, e)
		}
	}
	return list
}

// loadUntil sends until do has returned and the connections have ended.
func (l *ledger) loadUntil(tb testing.TB, s *server, connections int, do func()) {
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.load(ctx, s, connections)
	}()
	do()
	cancel()
	<-ended
}

// doubt takes back answers that came at or after an instant, and returns how
// many.
func (l *ledger) doubt(since time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.open {
		if e.acked && !e.at.Before(since) {
			if e.queued {
				l.counts.queued--
			}
			e.acked, e.queued = false, false
			l.counts.acked--
			n++
		}
	}
	return n
}

// unacked returns what Shopify would send again.
func (l *ledger) unacked() []*event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = nil
	var list []*event
	for _, e := range l.open {
		if !e.acked {
			list = append(list, e)
		}
	}
	l.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// redeliver sends everything again that was not answered 2xx. Each has to be
// accepted now (I2).
func (l *ledger) redeliver(tb testing.TB, s *server) {
	tb.Helper()
	list := l.unacked()
	var g sync.WaitGroup
	work := make(chan *event)
	for range 16 {
		g.Go(func() {
			for e := range work {
				e.sent = true
				r, err := s.try(tb.Context(), e.delivery())
				l.answered(e, r)
				if err != nil || r.Status != http.StatusOK {
					tb.Errorf("I2: redelivery of %s (%s, product %d v%d) was answered %s, %v", e.id, e.topic, e.product, e.version, r, err)
				}
			}
		})
	}
	for _, e := range list {
		work <- e
	}
	close(work)
	g.Wait()
	l.counts.redelivered += len(list)
}
