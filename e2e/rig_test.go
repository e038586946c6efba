package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
)

// rig is the appliance and a simulated shop in this process, joined by real
// sockets.
type rig struct {
	shop *fakeshopify.Shop
	dir  string
	now  atomic.Int64 // the shop's clock, Unix nanoseconds
}

// newRig starts an appliance and a shop that delivers to it with the given
// chaos.
func newRig(t *testing.T, seed uint64, products int, chaos fakeshopify.Chaos) *rig {
	t.Helper()
	r := &rig{dir: filepath.Join(t.TempDir(), "data")}
	r.now.Store(time.Now().Add(-24 * time.Hour).UnixNano())
	s, err := config.Load(config.Sources{Flags: map[string]string{"data": r.dir, "listen": "127.0.0.1:0", "admin-listen": "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Shop = config.EnvShop{Domain: e2eShop, APIKey: "k", APISecret: config.NewSecret("rotated"), APISecretPrevious: config.NewSecret(e2eSecret), MerchantID: "m"}
	a, err := appliance.Open(t.Context(), appliance.Options{Settings: s, Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := appliance.Listen(s)
	if err != nil {
		t.Fatal(errors.Join(err, a.Close()))
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			t.Error(err)
		}
	})
	r.shop = fakeshopify.New(fakeshopify.Options{
		Shop: e2eShop, Seed: seed, Target: "http://" + l.Public.Addr().String(), Secret: e2eSecret, Chaos: chaos,
		MaxVariants: 12, Large: -1, Huge: -1, Now: func() time.Time { return time.Unix(0, r.now.Load()) },
		Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}},
	})
	for range products {
		r.shop.CreateProduct(nil)
	}
	return r
}

// live makes edits with 400 ms between them and delivers what falls due
// meanwhile.
func (r *rig) live(t *testing.T, edits int) {
	t.Helper()
	for i := range edits {
		r.now.Add(int64(400 * time.Millisecond))
		r.shop.RandomEdit()
		if i == edits/2 {
			r.shop.RotateSecret("rotated")
		}
		if _, err := r.shop.DeliverDue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.shop.DrainAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Duplicates, delays, reordering, bursts, a rotated secret and several versions
// in one second: the copy ends equal to the shop, to the last field.
func TestCopyEqualsTheShopAfterChaosWithoutLoss(t *testing.T) {
	t.Parallel()
	wild, err := fakeshopify.ChaosLevel("wild")
	if err != nil {
		t.Fatal(err)
	}
	wild.Loss = 0
	seeds, edits := 4, 250
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		seeds, edits = 100, 2000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed+7), func(t *testing.T) {
			r := newRig(t, uint64(seed+7), 30, wild)
			r.live(t, edits)
			stats := r.shop.Stats()
			if stats.Acknowledged < edits || stats.Failed > 0 || stats.Dropped > 0 {
				t.Errorf("deliveries: %+v", stats)
			}
			checkMirror(t, openCatalogue(t, r.dir), r.shop)
		})
	}
}

// With loss too, only what never arrived may differ: a product whose present
// version was acknowledged is equal.
func TestCopyEqualsTheShopExceptForWhatWasLost(t *testing.T) {
	t.Parallel()
	wild, err := fakeshopify.ChaosLevel("wild")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, 7, 30, wild)
	r.live(t, 300)
	arrived := map[int64]map[string]bool{} // product to hashes of acknowledged bodies
	for _, d := range r.shop.Deliveries() {
		if d.Acknowledged() {
			if arrived[d.ProductID] == nil {
				arrived[d.ProductID] = map[string]bool{}
			}
			arrived[d.ProductID][d.BodyHash] = true
		}
	}
	lost := 0
	for id, list := range mirrorDifferences(t, openCatalogue(t, r.dir), r.shop) {
		body := r.shop.Body(fakeshopify.TopicDelete, id)
		if _, there := r.shop.Product(id); there {
			body = r.shop.Body(fakeshopify.TopicUpdate, id)
		}
		sum := sha256.Sum256(body)
		if arrived[id][hex.EncodeToString(sum[:])] {
			t.Errorf("product %d arrived in its present version and differs: %s", id, strings.Join(list, "; "))
		}
		lost++
	}
	if stats := r.shop.Stats(); stats.Lost == 0 || lost == 0 {
		t.Errorf("nothing was lost (%+v), so this shows nothing", stats)
	}
}

// `stockroom demo` says where its page is, fills its catalogue, stops at SIGTERM
// and leaves nothing behind.
func TestDemoFillsItsCatalogueAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	s := launch(t, serveOptions{Demo: []string{"--products", "30", "--rate", "20", "--chaos", "off", "--seed", "7"}, Env: append(shopEnv(), "TMPDIR="+tmp)})
	var page string
	select {
	case line := <-s.log.wait("Status page"):
		page = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "Status page"))
	case <-s.done:
		t.Fatalf("the demo ended: %s", s.log)
	case <-time.After(patience):
		t.Fatalf("no address: %s", s.log)
	}
	get := func(path string) string {
		res, err := http.Get(page + path)
		if err != nil {
			return ""
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	await(t, "a full sync of 25 products or more, and updates", func() bool {
		m := parseMetrics(t, get("/metrics"))
		return sum(m, "stockroom_products", `where="local"`) >= 25 && sum(m, "shopify_webhooks_total", `type="update"`) >= 5 &&
			m[`shopify_sync_duration_seconds_count{shop="demo-shop.myshopify.com",operation_type="bulk_sync"}`] >= 1
	})
	m := parseMetrics(t, get("/metrics"))
	if got, want := m["stockroom_webhooks_received_total"], sum(m, "stockroom_deliveries_total", "")+sum(m, "stockroom_webhooks_rejected_total", ""); got < want-20 || got > want+20 {
		t.Errorf("received %v, accepted and rejected %v", got, want) // deliveries go on between the lines
	}
	if n := sum(m, "stockroom_webhooks_rejected_total", ""); n != 0 {
		t.Errorf("the demo's own shop was refused %v times", n)
	}
	if text := get("/"); !strings.Contains(text, "<html") || !strings.Contains(text, "demo-shop") {
		t.Errorf("the status page: %.300s", text)
	}
	dirs, err := os.ReadDir(tmp)
	if err != nil || len(dirs) != 1 {
		t.Errorf("the demo's folder: %v, %v", dirs, err)
	}
	s.signal(syscall.SIGTERM)
	if code, took := s.wait(); code != 0 {
		t.Errorf("exit code %d after %s: %s", code, took, tail(s.log.String(), 10))
	}
	if dirs, err = os.ReadDir(tmp); err != nil || len(dirs) != 0 {
		t.Errorf("left behind: %v, %v", dirs, err)
	}
}
