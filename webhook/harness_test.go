package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/queue"
	"stockroom/store"
)

const (
	testShop   = "linen.myshopify.com"
	testSecret = "shpss_current"
	oldSecret  = "shpss_previous"
	replaced   = "shpss_replaced_long_ago"
	otherShop  = "other.myshopify.com"
	otherKey   = "shpss_other"
)

// catalogue is a Catalogue whose answers a test chooses.
type catalogue struct {
	mu      sync.Mutex
	apply   func(n int) (store.Result, error) // n counts from 1; nil applies
	probe   func() error
	cause   store.Cause // of a write that failed
	applied []store.Delivery
	records []store.Outcome
	wanted  []store.Wanted // asked for by records
	calls   int
}

func (c *catalogue) Apply(ctx context.Context, d store.Delivery, _ catalog.Change) (store.Result, error) {
	c.mu.Lock()
	c.calls++
	n, apply := c.calls, c.apply
	c.mu.Unlock()
	res := store.Result{Outcome: store.Applied}
	if apply != nil {
		var err error
		if res, err = apply(n); err != nil {
			return res, err
		}
	}
	if err := ctx.Err(); err != nil {
		return store.Result{}, &store.UnavailableError{Cause: store.CauseTimeout, Err: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied = append(c.applied, d)
	return res, nil
}

func (c *catalogue) Record(_ context.Context, _ store.Delivery, _ int64, o store.Outcome, _ string, want *store.Wanted) (*store.Wanted, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, o)
	if want != nil {
		c.wanted = append(c.wanted, *want)
	}
	return want, nil
}

func (c *catalogue) Health() store.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return store.Health{Cause: c.cause}
}

func (c *catalogue) Probe(context.Context) error {
	c.mu.Lock()
	probe := c.probe
	c.mu.Unlock()
	if probe == nil {
		return nil
	}
	return probe()
}

// set changes the answers.
func (c *catalogue) set(apply func(int) (store.Result, error), probe func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apply, c.probe = apply, probe
}

func (c *catalogue) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// jobs is a Queue in memory.
type jobs struct {
	mu    sync.Mutex
	fail  func() error
	kept  map[uint64]queue.Job
	next  uint64
	woken int
}

func (q *jobs) put(j queue.NewJob, state queue.State, class queue.Class) (uint64, error) {
	q.mu.Lock()
	fail := q.fail
	q.mu.Unlock()
	if fail != nil {
		if err := fail(); err != nil {
			return 0, err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.kept == nil {
		q.kept = map[uint64]queue.Job{}
	}
	q.next++
	q.kept[q.next] = queue.Job{ID: q.next, Kind: j.Kind, Key: j.Key, Labels: j.Labels, Payload: bytes.Clone(j.Payload), State: state, Class: class}
	return q.next, nil
}

func (q *jobs) Enqueue(_ context.Context, j queue.NewJob) (uint64, bool, error) {
	id, err := q.put(j, queue.Waiting, "")
	return id, false, err
}

func (q *jobs) Bury(_ context.Context, j queue.NewJob, class queue.Class, _ error) (uint64, error) {
	return q.put(j, queue.Dead, class)
}

// Work hands each waiting job to h once, then waits.
func (q *jobs) Work(ctx context.Context, kind string, _ int, _ time.Duration, h queue.Handler) error {
	for _, j := range q.list() {
		if j.State == queue.Waiting && j.Kind == kind && h(ctx, j) == nil {
			q.drop(j.ID)
		}
	}
	<-ctx.Done()
	return nil
}

func (q *jobs) Wake(context.Context, string) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.woken++
	return 0, nil
}

func (q *jobs) Get(_ context.Context, id uint64) (queue.Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j, ok := q.kept[id]
	if !ok {
		return j, queue.ErrNotFound
	}
	return j, nil
}

func (q *jobs) drop(id uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.kept, id)
}

func (q *jobs) list() []queue.Job {
	q.mu.Lock()
	defer q.mu.Unlock()
	var list []queue.Job
	for _, id := range slices.Sorted(maps.Keys(q.kept)) {
		list = append(list, q.kept[id])
	}
	return list
}

// bench is an intake over both.
type bench struct {
	*Intake
	catalogue catalogue
	queue     jobs
	log       bytes.Buffer
}

func newBench(change func(*Options)) *bench {
	b := &bench{}
	o := Options{Catalogue: &b.catalogue, Queue: &b.queue, Logger: slog.New(slog.NewTextHandler(&b.log, nil))}
	if change != nil {
		change(&o)
	}
	b.Intake = New(o)
	b.SetDirectory(testDirectory())
	return b
}

func testDirectory() *Directory {
	return NewDirectory([]Shop{
		{Domain: testShop, Keys: []Key{{Secret: []byte(testSecret)}, {Secret: []byte(oldSecret), Old: true}}},
		{Domain: otherShop, Keys: []Key{{Secret: []byte(otherKey)}}},
	}, [][]byte{[]byte(replaced)})
}

func mac(secret string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// signed is a products/update of testShop.
func signed(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/shopify/products", bytes.NewReader(body))
	r.RemoteAddr = "192.0.2.7:4000"
	r.Header.Set("X-Shopify-Topic", "products/update")
	r.Header.Set("X-Shopify-Shop-Domain", testShop)
	r.Header.Set("X-Shopify-Hmac-Sha256", mac(testSecret, body))
	return r
}

func update(id int64) []byte {
	return fmt.Appendf(nil, `{"id":%d,"title":"Shirt","vendor":"Acme","updated_at":"2026-11-01T10:00:00Z"}`, id)
}

func (b *bench) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func want(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || body != "" && w.Body.String() != body {
		t.Errorf("answer %d %s, want %d %s", w.Code, w.Body, status, body)
	}
}

var errDisk = errors.New("disk")

func locked(int) (store.Result, error) {
	return store.Result{}, &store.UnavailableError{Cause: store.CauseLocked, Transient: true, Err: errDisk}
}

func full(int) (store.Result, error) {
	return store.Result{}, &store.UnavailableError{Cause: store.CauseFull, Err: errDisk}
}

const (
	success = `{"success":true}`
	queued  = `{"success":false,"queued":true}`
	kept    = `{"success":false,"queued":false}`
)

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

func (b *bench) freeBytes() int64 {
	b.bodies.mu.Lock()
	defer b.bodies.mu.Unlock()
	return b.bodies.free
}
