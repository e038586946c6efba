package shopify

import (
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"stockroom/breaker"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

const testShop = "my-shop.myshopify.com"

// rig is a client and the simulated shop it talks to, without sockets.
type rig struct {
	*Client
	shop  *fakeshopify.Shop
	creds *memoryCredentials
	lim   *limiter.Limiter
	brk   *breaker.Breaker
}

// memoryCredentials are credentials of one shop.
type memoryCredentials struct {
	mu      sync.Mutex
	app     App
	token   Token
	stores  int
	fail    error
	unknown bool
}

func (m *memoryCredentials) App(string) (App, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unknown {
		return App{}, ErrNoShop
	}
	return m.app, nil
}

func (m *memoryCredentials) Token(_ string, now time.Time) (Token, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.token, m.token.Value.IsSet() && now.Before(m.token.ExpiresAt)
}

func (m *memoryCredentials) SetToken(_ string, t Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.token, m.stores = t, m.stores+1
	return nil
}

func (m *memoryCredentials) DropToken(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token = Token{}
	return nil
}

func (m *memoryCredentials) setSecret(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.app.Secret, m.token = config.NewSecret(s), Token{}
}

type rigOptions struct {
	shop    fakeshopify.Options
	client  Options
	limiter limiter.Options
	breaker breaker.Options
	static  string // access token
	wrap    func(http.RoundTripper) http.RoundTripper
}

func noUptime() (string, time.Duration, bool) { return "", 0, false }

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	o.shop.Shop = testShop
	if o.static != "" {
		o.shop.API.Tokens = []string{o.static}
	}
	shop := fakeshopify.New(o.shop)
	db, err := bolt.Open(filepath.Join(t.TempDir(), "state.db"), 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if o.limiter.Uptime == nil {
		o.limiter.Uptime = noUptime
	}
	o.breaker.Uptime = noUptime
	lim, err := limiter.Open(db, o.limiter)
	if err != nil {
		t.Fatal(err)
	}
	brk, err := breaker.Open(db, o.breaker)
	if err != nil {
		t.Fatal(err)
	}
	creds := &memoryCredentials{app: App{ClientID: "app", Secret: config.NewSecret(shop.Secret()), AccessToken: config.NewSecret(o.static)}}
	o.client.Limiter, o.client.Breaker, o.client.Credentials = lim, brk, creds
	if o.client.Version == "" {
		o.client.Version = "2026-10"
	}
	if o.client.BaseURL == nil {
		o.client.BaseURL = func(shop string) string { return "https://" + shop }
	}
	if o.client.Transport == nil {
		o.client.Transport = fakeshopify.Transport(shop.Handler())
	}
	if o.wrap != nil {
		o.client.Transport = o.wrap(o.client.Transport)
	}
	c, err := New(o.client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := lim.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{c, shop, creds, lim, brk}
}

// transportFunc is a RoundTripper made of a function.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
