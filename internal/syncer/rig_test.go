package syncer

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/breaker"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/folder"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/telemetry"
	"stockroom/limiter"
	"stockroom/queue"
	"stockroom/store"
)

const testShop = "my-shop.myshopify.com"

// rig is a syncer with real stores and a simulated shop, all on the bubble's
// clock.
type rig struct {
	*Syncer
	t     *testing.T
	shop  *fakeshopify.Shop
	state *state.Store
	store *store.Store
	queue *queue.Queue
	api   *shopify.Client
	brk   *breaker.Breaker
}

type credentials struct{ *state.Store }

func (c credentials) App(shop string) (shopify.App, error) {
	have, ok := c.Credentials(shop)
	if !ok {
		return shopify.App{}, shopify.ErrNoShop
	}
	return shopify.App{ClientID: have.APIKey, Secret: have.APISecret, AccessToken: have.AccessToken}, nil
}

func (c credentials) Token(shop string, now time.Time) (shopify.Token, bool) {
	t, ok := c.Store.Token(shop, now)
	return shopify.Token(t), ok
}

func (c credentials) SetToken(shop string, t shopify.Token) error {
	return c.Store.SetToken(shop, state.Token(t))
}

// newRig is a rig whose syncer runs.
func newRig(t *testing.T, o fakeshopify.Options) *rig {
	t.Helper()
	r := openRig(t, o)
	r.runs()
	return r
}

// runs lets the syncer run until the test ends. The feeder's first look is over
// when it returns: it would pass on a second time what a test wants meanwhile.
func (r *rig) runs() {
	t := r.t
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() { // before the stores are closed
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
}

// openRig is a rig whose syncer does nothing by itself.
func openRig(t *testing.T, o fakeshopify.Options) *rig {
	t.Helper()
	o.Shop = testShop
	r := &rig{t: t, shop: fakeshopify.New(o)}
	dir := t.TempDir()
	noUptime := func() (string, time.Duration, bool) { return "", 0, false }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	r.state, err = state.Open(filepath.Join(dir, "state.db"), time.Now(), state.Options{})
	check(err)
	check(r.state.AddShop(testShop, "", time.Now()))
	check(r.state.SetCredentials(testShop, state.Credentials{APIKey: "app", APISecret: config.NewSecret(r.shop.Secret())}))
	check(r.state.Seed(limiter.Buckets))
	check(r.state.Seed(breaker.Buckets))
	r.store, err = store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "products.db"), LookEvery: time.Minute})
	check(err)
	r.queue, err = queue.Open(queue.Options{Path: filepath.Join(dir, "queue.db")})
	check(err)
	lim, err := limiter.Open(r.state, limiter.Options{Uptime: noUptime})
	check(err)
	r.brk, err = breaker.Open(r.state, breaker.Options{Uptime: noUptime})
	check(err)
	tel := telemetry.New(metrics.NewSet())
	r.api, err = shopify.New(shopify.Options{
		BaseURL: func(shop string) string { return "https://" + shop }, Version: "2026-10", Credentials: credentials{r.state},
		Limiter: lim, Breaker: r.brk, Transport: fakeshopify.Transport(r.shop.Handler()),
	})
	check(err)
	r.Syncer = New(Options{API: r.api, Store: r.store, State: r.state, Queue: r.queue, Telemetry: tel, Folder: folderAt(t, dir), Manual: true})
	t.Cleanup(func() {
		check(r.queue.Close())
		check(lim.Close())
		check(r.store.Close())
		check(r.state.Close())
	})
	return r
}

// want asks for work as a commit does.
func (r *rig) want(kind store.WantedKind, id int64) {
	r.t.Helper()
	w := store.Wanted{Shop: testShop, Kind: kind, ID: id, Reason: "test"}
	if err := r.store.Want(r.t.Context(), w); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond) // what is wanted while a fetch runs stays wanted
	if _, _, err := r.queue.Enqueue(r.t.Context(), jobOf(w)); err != nil {
		r.t.Fatal(err)
	}
}

// jobs are all jobs there are.
func (r *rig) jobs() []queue.Job {
	r.t.Helper()
	list, _, err := r.queue.List(r.t.Context(), queue.Filter{})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func (r *rig) stored(id int64) bool {
	_, err := r.store.Product(r.t.Context(), testShop, id)
	return err == nil
}

func (r *rig) pauseNow() state.Pause {
	s, _ := r.state.Shop(testShop)
	return s.Pause
}

func folderAt(t testing.TB, dir string) *folder.Folder {
	t.Helper()
	f, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// fullWanted is the wish for a full sync; false for none.
func (s *Syncer) fullWanted() (w store.Wanted, ok bool) {
	k := s.keeperOf(testShop)
	if p := get(k, &k.fullWanted); p != nil {
		return *p, true
	}
	return w, false
}
