package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
)

const shopName = "linen-and-sons.myshopify.com"

// app is the appliance on free ports, with a simulated shop.
type app struct {
	t        *testing.T
	shop     *fakeshopify.Shop
	settings config.Settings
	demo     bool
	running  *appliance.Appliance
	token    string
	end      func()
	URL      string // of the status page
}

// appOptions say how an app is started.
type appOptions struct {
	Products int // of the shop at the start; the copy has none of them
	Bulk     fakeshopify.BulkOptions
	Demo     bool // the page says that the shop is simulated, and its name fits
	// Grant is how the shop lets an app in; other than by credentials it is not
	// connected at the start.
	Grant fakeshopify.Grant
}

// newApp starts a shop and an appliance, which end with the test.
func newApp(t *testing.T, o appOptions) *app {
	t.Helper()
	browser(t)                              // no need for it all when the test is skipped
	const outside = "https://stock.example" // what Shopify would be told
	public, name := freeAddress(t), shopName
	if o.Demo {
		name = "demo-shop.myshopify.com"
	}
	shop := fakeshopify.New(fakeshopify.Options{
		Shop: name, Seed: 7, Products: o.Products, Large: -1, Huge: -1, MinVariants: 1, MaxVariants: 6, Target: outside,
		Topics: []string{fakeshopify.TopicCreate, fakeshopify.TopicUpdate, fakeshopify.TopicDelete, fakeshopify.TopicInventoryLevel},
		Route:  func(address string) string { return strings.Replace(address, outside, "http://"+public, 1) },
		API:    fakeshopify.APIOptions{Bulk: o.Bulk, Grant: o.Grant},
	})
	api := httptest.NewServer(shop.Handler())
	t.Cleanup(api.Close)
	s, err := config.Load(config.Sources{Flags: map[string]string{
		"data": t.TempDir(), "listen": public, "admin-listen": freeAddress(t), "api-base": api.URL, "public-url": outside,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if o.Grant == fakeshopify.GrantCredentials {
		s.Shop = config.EnvShop{Domain: name, APIKey: "key", APISecret: config.NewSecret(shop.Secret()), MerchantID: "merchant-7"}
	}
	a := &app{t: t, shop: shop, settings: s, demo: o.Demo, URL: "http://" + s.AdminListen}
	a.start()
	t.Cleanup(func() { a.stop() })
	return a
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the appliance on its data dir and ports.
func (a *app) start() {
	a.t.Helper()
	running, err := appliance.Open(context.Background(), appliance.Options{
		Settings: a.settings, Version: "browser-test", Demo: a.demo,
		Logger: slog.New(slog.NewTextHandler(a.t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		a.t.Fatal(err)
	}
	var listeners appliance.Listeners
	await(a.t, "the ports are free", func() bool {
		listeners, err = appliance.Listen(a.settings)
		return err == nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- running.Serve(ctx, listeners) }()
	a.running, a.token = running, running.Token()
	a.end = func() {
		cancel()
		if err := <-done; err != nil {
			a.t.Error(err)
		}
		if err := running.Close(); err != nil {
			a.t.Error(err)
		}
	}
	await(a.t, "the server answers", func() bool {
		res, err := http.Get(a.URL + "/healthz")
		if err != nil {
			return false
		}
		return res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
}

// link is a new link to the status page.
func (a *app) link() (path string) {
	a.t.Helper()
	var made struct{ Path string }
	if status := a.api(http.MethodPost, "/api/v1/login-link", "", &made); status != http.StatusCreated {
		a.t.Fatalf("a link to the status page: status %d", status)
	}
	return made.Path
}

// visit opens a tab that came in by a link.
func (a *app) visit(t *testing.T) *tab {
	t.Helper()
	p := newTab(t, a.URL)
	p.open(a.link())
	p.at("/")
	return p
}

// stop ends the appliance; start begins it again.
func (a *app) stop() {
	if a.end != nil {
		a.end()
		a.end = nil
	}
}

// await polls until ok holds.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
}

// deliver sends what the shop has to tell and waits for the answers.
func (a *app) deliver() {
	a.t.Helper()
	if err := a.shop.Drain(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

// post sends a body under a topic, signed with secret, and returns the status.
func (a *app) post(topic, shop, secret, body string) int {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, "http://"+a.settings.Listen+"/webhooks/shopify/products", strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("X-Shopify-Topic", topic)
	req.Header.Set("X-Shopify-Shop-Domain", shop)
	req.Header.Set("X-Shopify-Hmac-Sha256", fakeshopify.Sign(secret, []byte(body)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// api asks the API with the token and decodes the answer into v, unless v is
// nil.
func (a *app) api(method, path, body string, v any) int {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.URL+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if v != nil {
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(v); err != nil {
			a.t.Fatalf("%s %s: %d %v: %.300s", method, path, res.StatusCode, err, text)
		}
	}
	return res.StatusCode
}

// dead is how many jobs need a person.
func (a *app) dead() int {
	a.t.Helper()
	var status struct{ Queue struct{ Dead, Waiting int } }
	a.api(http.MethodGet, "/api/v1/status", "", &status)
	return status.Queue.Dead
}

// proven is when a shop's copy was shown to be right, "" for never.
type proven struct {
	Shop string
	AsOf string `json:"as_of"`
}

// unnamed finds the names of a body's ids.
var unnamed = regexp.MustCompile(`"(id|admin_graphql_api_id)":`)

// poison sends n bodies that no one can understand; each becomes a dead letter. They
// name no product, so no read resolves them, and the first full sync, which would, is
// over.
func (a *app) poison(n int) {
	a.t.Helper()
	await(a.t, "the copy is proven", func() bool {
		var status struct{ Shops []proven }
		a.api(http.MethodGet, "/api/v1/status", "", &status)
		return slices.ContainsFunc(status.Shops, func(s proven) bool { return s.Shop == a.shop.Domain() && s.AsOf != "" })
	})
	for i := range n {
		id := a.shop.IDs()[i]
		body := string(a.shop.Body(fakeshopify.TopicUpdate, id))
		if status := a.post(fakeshopify.TopicUpdate, a.shop.Domain(), a.shop.Secret(), strings.Replace(unnamed.ReplaceAllString(body, `"${1}_was":`), `"title":"`, `"title":7,"was":"`, 1)); status != http.StatusOK {
			a.t.Fatalf("a body that makes no sense: status %d", status)
		}
	}
}
