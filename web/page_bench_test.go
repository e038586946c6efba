package web

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"stockroom/internal/status"
	"stockroom/store"
)

// Sizes at which every page is to be answered within 100 ms at p99. A quick look
// at fewer: STOCKROOM_BENCH_SMALL=1.
const (
	benchProducts   = 100_000
	benchDeliveries = 1_000_000
	benchDead       = 2_000
)

// fillMuch writes products with two variants each and a journal straight into
// the rig's file.
func (r *rig) fillMuch(products, deliveries, dead int) {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.opt.DataDir, "products.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().UnixMilli()
	for _, one := range []struct {
		sql  string
		args []any
	}{
		{`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO products (id, shop, external_id, status, shopify_status, selected, shopify_updated_at, content_hash, synced_at, source, delivery_id,
		                      title, vendor, product_type, handle, tags, options, images, body_html)
		SELECT i, ?2, 7000000 + i, CASE WHEN i % 9 THEN 'ACTIVE' ELSE 'INACTIVE' END, 'active', 1, ?3, 'x', ?3 - i, 'webhook', i, 'Washed linen shirt with long sleeves ' || i,
		       'Vendor ' || (i % 50), 'Shirts', 'washed-linen-shirt-' || i, '["linen"]', '[]', '[]', '<p>' || hex(zeroblob(600)) || '</p>' FROM n`, []any{products, testShop, now}},
		{`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2 * ?1 - 1)
		INSERT INTO variants (product_id, external_id, row_hash, position, title, sku, barcode, price, inventory_item_id)
		SELECT 1 + i / 2, 9000000 + i, 1, 1 + i % 2, 'Size ' || (i % 2), 'SKU-' || i, '40' || i, '10.00', 9500000 + i FROM n`, []any{products}},
		{`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO deliveries (shop, topic, webhook_id, external_id, received_at, outcome, duration_us, dedupe)
		SELECT ?2, 'products/update', 'w-' || i, 7000001 + (i * 7919) % ?3, ?4 - (?1 - i) * 600, CASE WHEN i % 1000 THEN 'applied' ELSE 'stale' END, 500, i FROM n`,
			[]any{deliveries, testShop, products, now}},
		{`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO changes (shop, external_id, kind, at, cause) SELECT ?2, 7000001 + (i * 7919) % ?3, 'updated', ?4, 'delivery:' || i FROM n`,
			[]any{deliveries / 2, testShop, products, now}},
	} {
		if _, err := db.Exec(one.sql, one.args...); err != nil {
			r.t.Fatal(err)
		}
	}
	r.reopen() // the writer numbers on from what the file held when it was opened
	for range dead {
		r.deadJob(`{"id":7000001,"title":"Washed linen shirt"}`)
	}
}

// reopen closes the catalogue, opens it again and builds a new server over it.
func (r *rig) reopen() {
	r.t.Helper()
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
	db, err := store.Open(r.t.Context(), store.Options{Path: r.file()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.store, r.shops.store, r.opt.Store = db, db, db
	r.Server = New(r.opt)
}

// BenchmarkPages measures each page at 100,000 products, 1,000,000 deliveries
// and 2,000 dead letters, in ms at p50 and p99.
func BenchmarkPages(b *testing.B) {
	products, deliveries, dead := benchProducts, benchDeliveries, benchDead
	if os.Getenv("STOCKROOM_BENCH_SMALL") != "" {
		products, deliveries, dead = products/50, deliveries/50, dead/50
	}
	r := newRig(b, func(o *Options) {
		o.Outbound = &fakeCalls{calls: status.Calls{Budget: 60, Used: 38, Circuit: "closed"}}
	})
	r.fillMuch(products, deliveries, dead)
	product := productPath(testShop, 7_000_000+int64(products)/2)
	h := r.Admin()
	for _, path := range []string{
		"/", "/products", "/products?q=linen", "/products?q=zebra", "/products?q=SKU-777", "/products?vendor=Vendor+7", "/products?status=INACTIVE", product,
		"/updates", "/updates?outcome=stale", "/updates?outcome=dead", "/updates?product=7000077", "/jobs", "/jobs?shop=" + testShop, "/syncs", "/shops", "/shops/" + testShop + "/selection", "/settings",
	} {
		b.Run(path, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				w := serve(h, request("GET", path, ""))
				took = append(took, time.Since(began))
				if w.Code != http.StatusOK {
					b.Fatal(fmt.Sprint(w.Code, w.Body))
				}
			}
			slices.Sort(took)
			ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
			b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
			b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
