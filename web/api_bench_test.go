package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"stockroom/internal/status"
	"stockroom/store"
)

// BenchmarkAPI measures each list and each single thing of the API at the sizes
// of BenchmarkPages, in ms at p50 and p99. A second shop without products and
// deliveries is the worst case of every filter.
func BenchmarkAPI(b *testing.B) {
	products, deliveries, dead := benchProducts, benchDeliveries, benchDead
	if os.Getenv("STOCKROOM_BENCH_SMALL") != "" {
		products, deliveries, dead = products/50, deliveries/50, dead/50
	}
	r := newRig(b, func(o *Options) { o.Outbound = fakeOutbound{} })
	r.fillMuch(products, deliveries, dead)
	if err := r.store.PutShop(b.Context(), store.Shop{Shop: "wool.myshopify.com"}); err != nil {
		b.Fatal(err)
	}
	r.shops.list = append(r.shops.list, status.Connection{Shop: "wool.myshopify.com"})
	half, err := r.store.Search(b.Context(), store.SearchFilter{Text: fmt.Sprint("sleeves ", products/2), Limit: 1})
	if err != nil || len(half.Products) == 0 {
		b.Fatal(err)
	}
	middle := fmt.Sprint("?after=n", deliveries/2)
	product := fmt.Sprintf("/%s/%d", testShop, half.Products[0].ExternalID)
	h := r.Admin()
	for _, path := range []string{
		"status", "shops", "products", "products?brief=true&limit=100", "products?q=zebra", "products?q=" + url.QueryEscape("футболка"), "products?q=SKU-777",
		"products?shop=wool.myshopify.com", "products?vendor=Nobody", "products?status=INACTIVE", "products" + product, "explain" + product,
		"deliveries", "deliveries" + middle, "deliveries?shop=wool.myshopify.com", "deliveries?topic=products/delete", "deliveries?outcome=stale", "deliveries?outcome=dead", "deliveries?product=7000077",
		"jobs", "jobs?state=dead&order=newest", "jobs?state=dead&shop=wool.myshopify.com", "syncs", "changes?after=1", "changes?shop=wool.myshopify.com", "rejected", "openapi.json",
	} {
		b.Run(path, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, request("GET", "/api/v1/"+path, ""))
				took = append(took, time.Since(began))
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
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
