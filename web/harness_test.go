package web

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/folder"
	"stockroom/internal/status"
	"stockroom/internal/telemetry"
	"stockroom/queue"
	"stockroom/store"
)

const (
	testShop  = "linen.myshopify.com"
	testToken = "0123456789abcdef0123456789abcdef"
)

// shops is the wiring's part of the shop connections, in memory.
type shops struct {
	store *store.Store
	mu    sync.Mutex
	list  []status.Connection
	added []AddShop
	fail  error // of the next Add
}

func (s *shops) List(context.Context) ([]status.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list), nil
}

func (s *shops) Add(ctx context.Context, a AddShop) (*Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.APIKey == "refuse" {
		return nil, answer.Refuse(http.StatusBadRequest, "", "Shopify does not know this key.")
	}
	if err := s.fail; err != nil {
		s.fail = nil
		return nil, err
	}
	s.added = append(s.added, a)
	s.list = append(s.list, status.Connection{Shop: a.Shop, MerchantID: a.MerchantID, State: "active", HasSecret: a.Secret.IsSet(), Access: status.ByCredentials})
	var found *Found
	if a.Check {
		found = &Found{Name: "Wool & Sons", Products: 1234, Scopes: []string{"read_products"}, Missing: []MissingScope{{"read_inventory", "stock and weights can't be read"}}}
	}
	return found, s.store.PutShop(ctx, store.Shop{Shop: a.Shop, MerchantID: a.MerchantID})
}

func (s *shops) Remove(ctx context.Context, shop string, purge, dry bool) (Removed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Removed{Shop: shop, Products: 1, SubscriptionsLeft: []string{}, Files: []string{}}
	if !slices.ContainsFunc(s.list, func(v status.Connection) bool { return v.Shop == shop }) {
		return out, answer.Refuse(http.StatusNotFound, "No such shop", shop+" is not connected.")
	}
	if dry {
		out.ProductsDeactivated, out.Files = 1, []string{"/data/state.db.damaged-1"}
		return out, nil
	}
	s.list = slices.DeleteFunc(s.list, func(v status.Connection) bool { return v.Shop == shop })
	done, err := s.store.RemoveShop(ctx, shop, purge, "test")
	out.ProductsDeactivated, out.ProductsDeleted, out.SubscriptionsDeleted = done.Deactivated, done.Deleted, 10
	if !purge {
		out.SubscriptionsLeft = []string{"products/update https://x"}
	}
	return out, err
}

func (s *shops) Select(ctx context.Context, shop string, sel catalog.Selection) (store.SelectionEffect, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i].Shop == shop {
			s.list[i].Selection = sel
		}
	}
	return s.store.SetSelection(ctx, shop, sel)
}

// rig is a server over real stores.
type rig struct {
	t     testing.TB
	store *store.Store
	queue *queue.Queue
	shops *shops
	watch *status.QueueWatch
	// What the account of health is told besides.
	closed  bool // the catalogue is
	notices []status.Notice
	names   []status.Certificate
	tel     *telemetry.Recorder
	opt     Options
	*Server
}

// newRig opens the stores, connects testShop and builds a server; change may
// alter its options.
func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	dir := t.TempDir()
	set := metrics.NewSet()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "products.db"), Metrics: set})
	if err != nil {
		t.Fatal(err)
	}
	watch := new(status.QueueWatch)
	q, err := queue.Open(queue.Options{Path: filepath.Join(dir, "queue.db"), OnCommit: watch.Commit})
	if err != nil {
		t.Fatal(err)
	}
	data, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(q.Close(), db.Close(), data.Close()); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, store: db, queue: q, shops: &shops{store: db}, watch: watch, tel: telemetry.New(metrics.NewSet())}
	r.shops.list = []status.Connection{{Shop: testShop, State: "active", HasSecret: true, Access: status.ByCredentials, AddedAt: time.Unix(1_790_000_000, 0)}}
	if err := db.PutShop(t.Context(), store.Shop{Shop: testShop}); err != nil {
		t.Fatal(err)
	}
	r.tel.Shop(testShop)
	r.opt = Options{
		Store: db, Queue: q, Shops: r.shops, Sets: []*metrics.Set{set}, Telemetry: r.tel,
		Admit:   admit.Options{Token: testToken, Account: newTestAccount(""), Keeper: newMemoryKeeper()},
		Version: "test", DataDir: dir, Folder: data,
	}
	r.opt.Acknowledge = func(_ context.Context, id string) (int, error) {
		before := len(r.notices)
		r.notices = slices.DeleteFunc(r.notices, func(n status.Notice) bool { return n.ID == id })
		return before - len(r.notices), nil
	}
	if change != nil {
		change(&r.opt)
	}
	r.opt.Status = status.New(r.sources())
	r.Server = New(r.opt)
	return r
}

// file is the path of the catalogue.
func (r *rig) file() string { return filepath.Join(r.opt.DataDir, "products.db") }

// drift writes a run's report as if the run had found these differences.
func (r *rig) drift(run int64, list ...store.Drift) {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.file()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	for _, d := range list {
		fields, err := json.Marshal(append([]catalog.FieldDiff{}, d.Fields...))
		if err == nil {
			_, err = db.Exec(`INSERT INTO drift (run, shop, external_id, kind, at, title, fields) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				run, testShop, d.ExternalID, string(d.Kind), time.Now().UnixMilli(), d.Title, string(fields))
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// sources are where the rig's account of health comes from.
func (r *rig) sources() status.Options {
	o := status.Options{
		Store: r.store, Queue: r.queue, QueueWatch: r.watch, Shops: r.opt.Shops.List, Demo: r.opt.Admit.Demo,
		Notices:         func() []status.Notice { return r.notices },
		Certificates:    func() []status.Certificate { return r.names },
		CatalogueClosed: func() (time.Time, bool) { return time.Now(), r.closed },
	}
	if syncs, ok := r.opt.Syncs.(interface {
		Status(shop string, now time.Time) status.Sync
	}); ok {
		o.Sync = func(shop string, now time.Time) status.Sync {
			st := syncs.Status(shop, now)
			st.AsOf, st.Raw.StalenessKnown = st.ProvenIDs, st.Staleness >= 0
			if st.ProvenFields.After(st.AsOf) {
				st.AsOf = st.ProvenFields
			}
			return st
		}
	}
	if out, ok := r.opt.Outbound.(interface {
		Calls(shop string, now time.Time) status.Calls
	}); ok {
		o.Calls = out.Calls
	}
	return o
}

// Admin is the admin side for who has its token: a request that brings no
// credential of its own gets it. Server.Admin is what a stranger meets.
func (r *rig) Admin() http.Handler { return withToken(r.Server.Admin()) }

// withToken gives requests the token that bring no credential.
func withToken(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" && r.Header.Get("Cookie") == "" {
			r.Header.Set("Authorization", "Bearer "+testToken)
		}
		h.ServeHTTP(w, r)
	})
}

// request builds a request as it comes from this machine.
func request(method, target, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = "127.0.0.1:8081", "127.0.0.1:50000"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// admin sends a request with the token and returns the body; the status has to
// be want.
func (r *rig) admin(want int, method, target, body string) string {
	r.t.Helper()
	w := serve(r.Admin(), request(method, target, body, "Authorization", "Bearer "+testToken))
	if w.Code != want {
		r.t.Fatalf("%s %s: status %d, want %d: %s", method, target, w.Code, want, w.Body)
	}
	if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
		r.t.Errorf("%s %s: an error of type %q", method, target, w.Header().Get("Content-Type"))
	}
	return w.Body.String()
}

// productSeen is what the tests look at of a product.
type productSeen struct {
	ExternalID int64 `json:"external_id"`
	Variants   []struct{}
}

// decode reads a JSON document.
func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// product applies a products/update of n variants.
func (r *rig) product(id int64, title string, more string) {
	r.t.Helper()
	quoted, err := json.Marshal(title)
	if err != nil {
		r.t.Fatal(err)
	}
	r.deliver(catalog.ProductsUpdate, fmt.Sprintf(`{"id":%d,"title":%s,"body_html":"<p>x</p>","vendor":"Acme","product_type":"Shirts",
		"handle":"product-%d","tags":"linen, summer","status":"active","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-11-01T10:00:00Z",
		"published_at":"2026-01-01T00:00:00Z","options":[{"id":1,"name":"Size","position":1,"values":["S","M"]}],"images":[],
		"variants":[{"id":%d1,"title":"S","sku":"SKU-%d-S","price":"19.90","position":1,"option1":"S","inventory_item_id":%d1,"inventory_quantity":-5,"inventory_policy":"deny","taxable":true},
		            {"id":%d2,"title":"M","sku":"SKU-%d-M","price":"1299.000","position":2,"option1":"M","inventory_item_id":%d2,"inventory_quantity":7,"inventory_policy":"deny","taxable":true}]%s}`,
		id, quoted, id, id, id, id, id, id, id, more))
}

func (r *rig) deliver(topic catalog.Topic, body string) store.Result {
	r.t.Helper()
	c, err := catalog.Decode(topic, []byte(body))
	if err != nil {
		r.t.Fatal(err)
	}
	id := fmt.Sprintf("hook-%d", time.Now().UnixNano())
	res, err := r.store.Apply(r.t.Context(), store.Delivery{
		Shop: testShop, Topic: string(topic), WebhookID: id, ReceivedAt: time.Now(),
		Dedupe: store.DedupeKey(testShop, string(topic), id, []byte(body)), Body: []byte(body),
	}, c)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

// payload is a queued delivery as the webhook package writes it.
func payload(body string) []byte {
	return []byte(`{"shop":"` + testShop + `","topic":"products/update","webhook_id":"w-1","received_at":"2026-11-23T10:00:00.5Z"}` + "\n" + body)
}

func labels() map[string]string {
	return map[string]string{"shop": testShop, "topic": "products/update", "webhook_id": "w-1"}
}

// waitingJob enqueues a delivery that is due in an hour, deadJob buries one.
func (r *rig) waitingJob(body string) uint64 {
	r.t.Helper()
	id, _, err := r.queue.Enqueue(r.t.Context(), queue.NewJob{Kind: "webhook", Labels: labels(), Payload: payload(body), NotBefore: time.Now().Add(time.Hour)})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) deadJob(body string) uint64 {
	r.t.Helper()
	id, err := r.queue.Bury(r.t.Context(), queue.NewJob{Kind: "webhook", Labels: labels(), Payload: payload(body)}, queue.ClassPoison, errors.New("title: a number where text belongs"))
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// hooks stands for the intake.
func hooks() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "hook %s %s", r.Method, bytes.TrimSpace(body))
	})
}
