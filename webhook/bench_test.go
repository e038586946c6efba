package webhook

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// What a delivery costs here must not grow with the number of shops, each with a
// secret of its own.
func BenchmarkDelivery(b *testing.B) {
	body := append(update(1), bytes.Repeat([]byte(" "), 3<<10)...)
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("shops=%d", size), func(b *testing.B) {
			in := New(Options{Catalogue: &discarding{}, Queue: &jobs{}, Logger: slog.New(slog.DiscardHandler)})
			var shops []Shop
			var headers []http.Header
			for i := range size {
				shop, secret := fmt.Sprintf("shop-%d.myshopify.com", i), fmt.Sprintf("shpss_%d", i)
				shops = append(shops, Shop{Domain: shop, Keys: []Key{{Secret: []byte(secret)}}})
				r := signed(body)
				r.Header.Set("X-Shopify-Shop-Domain", shop)
				r.Header.Set("X-Shopify-Hmac-Sha256", mac(secret, body))
				headers = append(headers, r.Header)
			}
			in.SetDirectory(NewDirectory(shops, nil))
			n := 0
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/webhooks/shopify/products", bytes.NewReader(body))
				r.Header = headers[n%size]
				n++
				w := httptest.NewRecorder()
				if in.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}

// discarding takes every change and keeps nothing of it.
type discarding struct{ catalogue }

func (*discarding) Apply(context.Context, store.Delivery, catalog.Change) (store.Result, error) {
	return store.Result{Outcome: store.Applied}, nil
}
