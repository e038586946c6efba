package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

// BenchmarkApply measures durable applies a second at fixed numbers of callers,
// which is what sets the group size: 90 % updates and 10 % creates over 10,000
// products of five variants, real fsync.
func BenchmarkApply(b *testing.B) {
	for _, callers := range []int{1, 8, 32, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := benchStore(b)
			for id := int64(1); id <= 9000; id++ {
				applyOne(b, s, id, -id)
			}
			var next atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(c), 1))
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						id := rng.Int64N(9000) + 1
						if n%10 == 0 {
							id = 10000 + n
						}
						applyOne(b, s, id, n)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applies/s")
		})
	}
}

// BenchmarkApplyAgain measures a delivery that changes nothing.
func BenchmarkApplyAgain(b *testing.B) {
	s := benchStore(b)
	applyOne(b, s, 1, 1)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				applyOne(b, s, 1, 1)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "applies/s")
}

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(context.Background(), Options{Path: filepath.Join(b.TempDir(), "products.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

func applyOne(b *testing.B, s *Store, id, n int64) {
	p := benchProduct(id, n)
	d := Delivery{Shop: "bench.myshopify.com", Topic: "products/update", WebhookID: fmt.Sprint(n), ReceivedAt: time.Now(), TriggeredAt: time.Now(), Dedupe: n, Body: strconv.AppendInt(nil, n, 10)}
	if _, err := s.Apply(context.Background(), d, catalog.Change{Topic: catalog.ProductsUpdate, Kind: catalog.Upsert, ID: id, Product: p}); err != nil {
		b.Error(err)
	}
}

func benchProduct(id, n int64) *catalog.Product {
	p := &catalog.Product{
		TemplateSuffix: catalog.Null[string](), Category: catalog.Null[string](), // as every webhook body has them
		ID: id, Title: catalog.Of(fmt.Sprintf("Product %d", id)), BodyHTML: catalog.Of(strings.Repeat("Soft cotton. ", 60)),
		Vendor: catalog.Of("Acme"), ProductType: catalog.Of("Shirts"), Handle: catalog.Of(fmt.Sprintf("product-%d", id)),
		Tags: catalog.Of([]string{"summer", "cotton"}), Status: catalog.Of("active"),
		Options:     catalog.Of([]catalog.Option{{ID: id, Name: "Size", Position: 1, Values: []string{"S", "M", "L", "XL", "XXL"}}}),
		Images:      catalog.Of([]catalog.Image{{ID: id, Position: 1, Src: "https://cdn.example.com/a.jpg", Width: 800, Height: 800}}),
		PublishedAt: catalog.Of[int64](1), CreatedAt: catalog.Of[int64](1), UpdatedAt: catalog.Of(1_700_000_000_000 + n*1000),
		Coverage: catalog.Complete, VariantsComplete: true,
	}
	var variants []catalog.Variant
	for i := range int64(5) {
		price := "19.99"
		if i == n%5 {
			price = fmt.Sprintf("%d.50", n%100)
		}
		variants = append(variants, catalog.Variant{
			ID: id*10 + i, Title: catalog.Of("Size"), SKU: catalog.Of(fmt.Sprintf("SKU-%d-%d", id, i)), Barcode: catalog.Null[string](),
			Price: catalog.Of(price), CompareAtPrice: catalog.Null[string](), Position: catalog.Of(i + 1), Option1: catalog.Of("M"),
			Option2: catalog.Null[string](), Option3: catalog.Null[string](), InventoryItemID: catalog.Of(id*10 + i),
			InventoryQuantity: catalog.Of[int64](5), InventoryPolicy: catalog.Of("deny"), Taxable: catalog.Of(true),
			ImageID: catalog.Null[int64](), CreatedAt: catalog.Of[int64](1), UpdatedAt: catalog.Of[int64](1),
		})
	}
	p.Variants = catalog.Of(variants)
	return p
}
