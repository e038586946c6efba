package syncer

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/breaker"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/telemetry"
	"stockroom/limiter"
	"stockroom/queue"
	"stockroom/store"
)

// runRig is a syncer whose runs a test makes itself, and that can be stopped and
// opened again. The shop outlives it.
type runRig struct {
	*Syncer
	t     testing.TB
	shop  *fakeshopify.Shop
	dir   string
	fault func(point string) error // of the store, nil for none
	via   http.RoundTripper        // stands before the shop, nil for nothing

	state *state.Store
	store *store.Store
	queue *queue.Queue
	lim   *limiter.Limiter
	api   *shopify.Client
}

// singly is a shop whose products do not fit into one call, so that each is read
// alone.
type singly struct{ API }

func (singly) Products(context.Context, string, limiter.Class, []int64) (map[int64]*catalog.Product, error) {
	return nil, nil
}

// roundTrip is a RoundTripper made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newRunRig(t testing.TB, o fakeshopify.Options) *runRig {
	t.Helper()
	o.Shop = testShop
	if o.API.Plan == (fakeshopify.Plan{}) {
		o.API.Plan = fakeshopify.Plus
	}
	r := &runRig{t: t, shop: fakeshopify.New(o), dir: t.TempDir()}
	r.open()
	t.Cleanup(r.close)
	time.Sleep(3 * time.Second) // what the shop begins with is no edit of this second
	return r
}

func (r *runRig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *runRig) open() {
	r.t.Helper()
	noUptime := func() (string, time.Duration, bool) { return "", 0, false }
	var err error
	r.state, err = state.Open(filepath.Join(r.dir, "state.db"), time.Now(), state.Options{})
	r.check(err)
	if _, ok := r.state.Shop(testShop); !ok {
		r.check(r.state.AddShop(testShop, "", time.Now()))
		r.check(r.state.SetCredentials(testShop, state.Credentials{APIKey: "app", APISecret: config.NewSecret(r.shop.Secret())}))
		r.check(r.state.Seed(limiter.Buckets))
		r.check(r.state.Seed(breaker.Buckets))
	}
	r.store, err = store.Open(r.t.Context(), store.Options{Path: filepath.Join(r.dir, "products.db"), LookEvery: time.Minute, Fault: func(point string) error {
		if r.fault == nil {
			return nil
		}
		return r.fault(point)
	}})
	r.check(err)
	r.queue, err = queue.Open(queue.Options{Path: filepath.Join(r.dir, "queue.db")})
	r.check(err)
	r.lim, err = limiter.Open(r.state, limiter.Options{Uptime: noUptime})
	r.check(err)
	brk, err := breaker.Open(r.state, breaker.Options{Uptime: noUptime})
	r.check(err)
	tel := telemetry.New(metrics.NewSet())
	r.api, err = shopify.New(shopify.Options{
		BaseURL: func(shop string) string { return "https://" + shop }, Version: "2026-10", Credentials: credentials{r.state},
		Limiter: r.lim, Breaker: brk, Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			if r.via != nil {
				return r.via.RoundTrip(req)
			}
			return fakeshopify.Transport(r.shop.Handler()).RoundTrip(req)
		}),
	})
	r.check(err)
	r.Syncer = New(Options{API: r.api, Store: r.store, State: r.state, Queue: r.queue, Telemetry: tel, Folder: folderAt(r.t, r.dir)})
}

func (r *runRig) close() {
	r.check(r.queue.Close())
	r.check(r.lim.Close())
	r.check(r.store.Close())
	r.check(r.state.Close())
}

// restart closes everything and opens it again, as another process would.
func (r *runRig) restart() {
	r.t.Helper()
	r.close()
	r.fault = nil
	r.open()
}

func (r *runRig) full() (store.SyncRun, error) {
	return r.makeFull(r.t.Context(), nil)
}

// makeFull makes a full sync, or takes up one that was left.
func (r *runRig) makeFull(ctx context.Context, left *store.SyncRun) (store.SyncRun, error) {
	p := plan(scheduleFull, "test", false)
	p.resume = left
	return r.makeRun(ctx, testShop, p)
}

func (r *runRig) reconcile(dry bool) (store.SyncRun, error) {
	return r.makeRun(r.t.Context(), testShop, plan(scheduleReconcile, "test", dry))
}

func (r *runRig) incremental() (store.SyncRun, error) {
	return r.makeRun(r.t.Context(), testShop, plan(scheduleIncremental, "test", false))
}

// synced makes a full sync that has to go well.
func (r *runRig) synced() store.SyncRun {
	r.t.Helper()
	run, err := r.full()
	if err != nil || run.State != store.RunDone || !run.Proven {
		r.t.Fatalf("full sync: %+v, %v", run, err)
	}
	time.Sleep(3 * time.Second)
	return run
}

// left is the run that a stopped process left, nil for none.
func (r *runRig) left() *store.SyncRun {
	r.t.Helper()
	list, err := r.store.RunningRuns(r.t.Context())
	r.check(err)
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

// rows are the stored products with their content hash and status, by id.
func (r *runRig) rows() map[int64]string {
	r.t.Helper()
	list := map[int64]string{}
	for after := int64(0); ; {
		page, err := r.store.Listing(r.t.Context(), testShop, after, 1000)
		r.check(err)
		if len(page) == 0 {
			return list
		}
		for _, p := range page {
			after = p.ID
			row, err := r.store.Product(r.t.Context(), testShop, p.ID)
			r.check(err)
			list[p.ID] = row.Status + " " + row.ContentHash
		}
	}
}

// wants are the rows as they have to be for what the shop has now.
func (r *runRig) wants(sel catalog.Selection) map[int64]string {
	r.t.Helper()
	list := map[int64]string{}
	for _, id := range r.shop.IDs() {
		p, err := r.api.Product(r.t.Context(), testShop, limiter.WebhookRefetch, id)
		r.check(err)
		if !sel.Selects(p) {
			continue
		}
		status := "INACTIVE"
		if p.Status.Value() == "active" {
			status = "ACTIVE"
		}
		list[id] = status + " " + p.ContentHash().String()
	}
	return list
}

// differences are those between the copy and the shop.
func (r *runRig) differences() (list []string) {
	r.t.Helper()
	have, want := r.rows(), r.wants(catalog.Selection{})
	for id, w := range want {
		if h, ok := have[id]; !ok {
			list = append(list, fmt.Sprintf("product %d is missing", id))
		} else if h != w {
			list = append(list, fmt.Sprintf("product %d is %s, in the shop %s", id, h, w))
		}
	}
	for id := range have {
		if _, ok := want[id]; !ok {
			list = append(list, fmt.Sprintf("product %d is not in the shop", id))
		}
	}
	slices.Sort(list)
	return list
}

func (r *runRig) same() {
	r.t.Helper()
	if d := r.differences(); len(d) > 0 {
		r.t.Errorf("%d differences: %s", len(d), strings.Join(d[:min(len(d), 5)], "; "))
	}
}

// dump is everything that a comparison must not touch.
func (r *runRig) dump() string {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "products.db")+"?mode=ro")
	r.check(err)
	defer db.Close()
	var b strings.Builder
	for _, table := range []string{"products", "variants", "changes", "tombstones", "wanted", "passed_over", "deliveries"} {
		rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1, 2, 3")
		r.check(err)
		columns, err := rows.Columns()
		r.check(err)
		for rows.Next() {
			row := make([]any, len(columns))
			to := make([]any, len(columns))
			for i := range row {
				to[i] = &row[i]
			}
			r.check(rows.Scan(to...))
			fmt.Fprintln(&b, table, row)
		}
		r.check(rows.Err())
		r.check(rows.Close())
	}
	return b.String()
}

// apply brings one webhook as the intake does.
func (r *runRig) apply(topic string, id int64) {
	r.t.Helper()
	kind := map[string]catalog.Topic{fakeshopify.TopicUpdate: catalog.ProductsUpdate, fakeshopify.TopicDelete: catalog.ProductsDelete}[topic]
	c, err := catalog.Decode(kind, r.shop.Body(topic, id))
	r.check(err)
	_, err = r.store.Apply(r.t.Context(), store.Delivery{Shop: testShop, Topic: topic, ReceivedAt: time.Now(), TriggeredAt: time.Now(), Dedupe: time.Now().UnixNano()}, c)
	r.check(err)
}

// stopAt ends a context when the store comes to a point for the nth time.
func (r *runRig) stopAt(ctx context.Context, point string, nth int) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	r.fault = func(at string) error {
		if at == point {
			if nth--; nth == 0 {
				cancel()
			}
		}
		return nil
	}
	return ctx
}

// fewer is n, or few under the race detector, which is ten times slower.
func fewer(n, few int) int {
	if raceEnabled {
		return few
	}
	return n
}

// long reports whether the long versions of campaigns are asked for.
func long() bool { return os.Getenv("STOCKROOM_TORTURE") != "" }

func writeFile(dir, name string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600)
}

func filesLike(t *testing.T, dir, prefix string) (names []string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if strings.HasPrefix(f.Name(), prefix) {
			names = append(names, f.Name())
		}
	}
	return names
}
