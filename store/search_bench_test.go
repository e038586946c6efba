package store

import (
	"context"
	"testing"
)

// BenchmarkSearch measures one page of a list at 100,000 products of one shop;
// "nothing" is the worst case, a walk over all of them.
func BenchmarkSearch(b *testing.B) {
	s := open(b)
	fill(b, s, 100_000)
	for name, f := range map[string]SearchFilter{
		"first":   {Shop: testShop, Brief: true},
		"title":   {Shop: testShop, Text: "linen", Brief: true},
		"nothing": {Shop: testShop, Text: "zebra", Brief: true},
		"нет":     {Text: "футболка", Brief: true},
		"sku":     {Text: "SKU-77777", Brief: true},
		"vendor":  {Shop: testShop, Vendor: "Nobody", Brief: true},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.s.Search(context.Background(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fill writes n products with one variant each straight into the file.
func fill(b testing.TB, s *bench, n int) {
	b.Helper()
	db := s.other()
	for _, query := range []string{
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO products (id, shop, external_id, status, selected, shopify_updated_at, content_hash, synced_at, source,
		                      title, vendor, product_type, handle, tags, options, images, body_html)
		SELECT i, ?2, 7000000 + i, 'ACTIVE', 1, 1000, 'x', 1000, 'bulk', 'Washed linen shirt with long sleeves ' || i, 'Vendor ' || (i % 50),
		       'Shirts', 'washed-linen-shirt-' || i, '["linen"]', '[]', '[]', '<p>' || hex(zeroblob(300)) || '</p>' FROM n`,
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO variants (product_id, external_id, row_hash, position, title, sku, barcode, price)
		SELECT i, 9000000 + i, 1, 1, ?2, 'SKU-' || i, '40' || i, '10.00' FROM n`,
	} {
		if _, err := db.Exec(query, n, testShop); err != nil {
			b.Fatal(err)
		}
	}
}
