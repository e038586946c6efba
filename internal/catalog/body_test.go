package catalog

import (
	"fmt"
	"strconv"
	"strings"
)

// bodySpec describes a product body as Shopify writes one: slashes and angle
// brackets escaped, times in the shop's offset, prices as text.
type bodySpec struct {
	id       int64
	variants int
	images   int
	named    int    // entries in variant_gids; 0 means one per variant
	words    int    // length of body_html in words
	tags     string // as in the body
	updated  string // RFC 3339
}

// typicalBody is 7.5 KB with five variants, what the benchmarks measure.
func typicalBody() []byte {
	return bodySpec{id: 788032119674292922, variants: 5, images: 3, words: 120}.bytes()
}

func (s bodySpec) bytes() []byte {
	if s.named == 0 {
		s.named = s.variants
	}
	if s.tags == "" {
		s.tags = "cotton, mens, summer, t-shirt"
	}
	if s.updated == "" {
		s.updated = "2026-11-20T10:00:00-05:00"
	}
	var b strings.Builder
	text := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	list := func(name string, n int, each func(i int)) {
		text(`,"%s":[`, name)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			each(i)
		}
		b.WriteByte(']')
	}
	variant := func(i int) int64 { return s.id/10*10_000 + int64(i) + 1 }
	if s.id > 1<<50 {
		variant = func(i int) int64 { return 642667041472713922 + int64(i) }
	}
	text(`{"admin_graphql_api_id":"gid:\/\/shopify\/Product\/%d","body_html":"`, s.id)
	for i := range s.words {
		if i%12 == 0 {
			text(`\u003cp\u003e`)
		}
		text(`Cotton%d `, i)
		if i%12 == 11 {
			text(`caf\u00e9.\u003c\/p\u003e\n`)
		}
	}
	text(`","created_at":"2026-01-05T09:00:00-05:00","handle":"summer-shirt","id":%d`, s.id)
	text(`,"product_type":"Shirts","published_at":"2026-01-06T09:00:00-05:00","template_suffix":null`)
	text(`,"title":"Summer Shirt \u0026 Caf\u00e9","updated_at":"%s","vendor":"Acme","status":"active"`, s.updated)
	text(`,"published_scope":"global","tags":%s`, strconv.Quote(s.tags))
	list("variants", s.variants, func(i int) {
		text(`{"admin_graphql_api_id":"gid:\/\/shopify\/ProductVariant\/%d","barcode":"40%011d"`, variant(i), i)
		text(`,"compare_at_price":null,"created_at":"2026-01-05T09:00:00-05:00","id":%d`, variant(i))
		text(`,"inventory_policy":"deny","position":%d,"price":"%d.90","product_id":%d`, i+1, 19+i, s.id)
		text(`,"sku":"SHIRT-%03d","taxable":true,"title":"Size %d \/ Red"`, i, i)
		text(`,"updated_at":"%s","option1":"Size %d","option2":"Red","option3":null`, s.updated, i)
		text(`,"image_id":null,"inventory_item_id":%d,"inventory_quantity":%d,"old_inventory_quantity":0}`, 44_100_000+i, i-2)
	})
	list("options", 2, func(i int) {
		text(`{"name":"%s","id":%d,"product_id":%d,"position":%d,"values":[`, []string{"Size", "Color"}[i], 900+i, s.id, i+1)
		if i == 1 {
			text(`"Red"`)
		} else {
			for v := range min(s.variants, 200) {
				if v > 0 {
					b.WriteByte(',')
				}
				text(`"Size %d"`, v)
			}
		}
		text(`]}`)
	})
	list("images", s.images, func(i int) {
		text(`{"id":%d,"product_id":%d,"position":%d`, 85_000+i, s.id, i+1)
		text(`,"created_at":"2026-01-05T09:00:00-05:00","updated_at":"2026-01-05T09:00:00-05:00","alt":null`)
		text(`,"width":1200,"height":800,"src":"https:\/\/cdn.shopify.com\/s\/files\/1\/0001\/files\/shirt-%d.jpg?v=1699999999"`, i)
		text(`,"variant_ids":[],"admin_graphql_api_id":"gid:\/\/shopify\/ProductImage\/%d"}`, 85_000+i)
	})
	text(`,"image":null`)
	list("media", s.images, func(i int) {
		text(`{"id":%d,"product_id":%d,"position":%d`, 95_000+i, s.id, i+1)
		text(`,"alt":null,"status":"READY","media_content_type":"IMAGE","preview_image":{"width":1200,"height":800`)
		text(`,"src":"https:\/\/cdn.shopify.com\/s\/files\/1\/0001\/files\/shirt-%d.jpg?v=1699999999","status":"READY"}`, i)
		text(`,"variant_ids":[],"admin_graphql_api_id":"gid:\/\/shopify\/MediaImage\/%d"}`, 95_000+i)
	})
	list("variant_gids", s.named, func(i int) {
		text(`{"admin_graphql_api_id":"gid:\/\/shopify\/ProductVariant\/%d","updated_at":"2026-11-20T15:00:00.000Z"}`, variant(i))
	})
	text(`,"has_variants_that_requires_components":false,"category":null}`)
	return []byte(b.String())
}
