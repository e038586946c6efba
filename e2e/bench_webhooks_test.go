package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/appliance"
	"stockroom/internal/config"
)

const (
	benchShop   = "bench-shop.myshopify.com"
	benchSecret = "bench-secret"

	benchProducts = 10_000
)

// BenchmarkWebhooks measures durable deliveries a second over real sockets with
// real fsync, beside a bare net/http server that reads the same bodies and
// answers. The ratio of the two is what travels between machines. Bodies have
// 7.5 KB and five variants; 90 % update one of 10,000 products, 10 % create.
func BenchmarkWebhooks(b *testing.B) {
	for _, connections := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("bare/connections=%d", connections), func(b *testing.B) {
			address := serveBare(b)
			report(b, drive(b, address, connections))
		})
		b.Run(fmt.Sprintf("stockroom/connections=%d", connections), func(b *testing.B) {
			address := serveAppliance(b)
			report(b, drive(b, address, connections))
		})
	}
}

func serveBare(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"success":true}`))
	})}
	go srv.Serve(l)
	b.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

func serveAppliance(b *testing.B) string {
	b.Helper()
	s, err := config.Load(config.Sources{Flags: map[string]string{
		"data": b.TempDir() + "/data", "listen": "127.0.0.1:0", "admin-listen": "127.0.0.1:0",
	}})
	if err != nil {
		b.Fatal(err)
	}
	s.Shop = config.EnvShop{Domain: benchShop, APIKey: "k", APISecret: config.NewSecret(benchSecret)}
	a, err := appliance.Open(context.Background(), appliance.Options{Settings: s})
	if err != nil {
		b.Fatal(err)
	}
	l, err := appliance.Listen(s)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	})
	return l.Public.Addr().String()
}

// drive posts b.N deliveries over a number of connections and returns how long
// each took.
func drive(b *testing.B, address string, connections int) []time.Duration {
	b.Helper()
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	preload(b, address)
	b.ResetTimer()
	for c := range connections {
		wg.Go(func() {
			client := newBenchClient(b, address, uint64(c))
			var took []time.Duration
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					break
				}
				id := client.rng.Int64N(benchProducts) + 1
				if n%10 == 0 {
					id = 1_000_000 + n
				}
				started := time.Now()
				if !client.post(id) {
					return
				}
				took = append(took, time.Since(started))
			}
			mu.Lock()
			all = append(all, took...)
			mu.Unlock()
		})
	}
	wg.Wait()
	b.StopTimer()
	return all
}

// preload posts each of the 10,000 products once, so that what is measured is a
// catalogue that is kept current.
func preload(b *testing.B, address string) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			client := newBenchClient(b, address, uint64(1000+c))
			for id := next.Add(1); id <= benchProducts; id = next.Add(1) {
				if !client.post(id) {
					return
				}
			}
		})
	}
	wg.Wait()
}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "webhooks/s")
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(0.999), "p999-ms")
	b.ReportMetric(at(1), "p100-ms")
}

// benchClient writes requests by hand over one kept connection, so that the
// load costs as little as it can on the shared cores.
type benchClient struct {
	b    *testing.B
	conn net.Conn
	in   *bufio.Reader
	rng  *rand.Rand
	body []byte
	out  []byte
	n    int64
	seed uint64
}

func newBenchClient(b *testing.B, address string, seed uint64) *benchClient {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Error(err)
		return nil
	}
	b.Cleanup(func() { conn.Close() })
	return &benchClient{b: b, conn: conn, in: bufio.NewReader(conn), rng: rand.New(rand.NewPCG(seed, 7)), seed: seed}
}

var benchClock atomic.Int64

func (c *benchClient) post(id int64) bool {
	c.n++
	c.body = appendBenchBody(c.body[:0], id, benchClock.Add(1), c.rng)
	mac := hmac.New(sha256.New, []byte(benchSecret))
	mac.Write(c.body)
	c.out = append(c.out[:0], "POST /webhooks/shopify/products HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Shopify-Topic: products/update\r\nX-Shopify-Shop-Domain: "+benchShop+"\r\nX-Shopify-API-Version: 2026-10\r\nX-Shopify-Triggered-At: 2026-11-23T10:00:00.123456789Z\r\nX-Shopify-Webhook-Id: "...)
	c.out = fmt.Appendf(c.out, "%08x-%012x", c.seed, c.n)
	c.out = append(c.out, "\r\nX-Shopify-Hmac-Sha256: "...)
	c.out = base64.StdEncoding.AppendEncode(c.out, mac.Sum(nil))
	c.out = append(c.out, "\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(c.body)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, c.body...)
	if _, err := c.conn.Write(c.out); err != nil {
		c.b.Error(err)
		return false
	}
	return c.answer()
}

func (c *benchClient) answer() bool {
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.b.Error(err)
		return false
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !bytes.Equal(body, []byte(`{"success":true}`)) {
		c.b.Errorf("%d %s %v", res.StatusCode, body, err)
		return false
	}
	return true
}

// appendBenchBody writes a body in Shopify's shape: five variants, of which one
// changed, images and media.
func appendBenchBody(b []byte, id, n int64, rng *rand.Rand) []byte {
	at := time.Unix(1_760_000_000+n, 0).UTC().Format("2006-01-02T15:04:05") + "-05:00"
	b = fmt.Appendf(b, `{"admin_graphql_api_id":"gid:\/\/shopify\/Product\/%d","body_html":"\u003cp\u003e%s\u003c\/p\u003e","created_at":"2026-01-05T09:00:00-05:00","handle":"product-%d","id":%d,"product_type":"Shirts","published_at":"2026-01-05T09:00:00-05:00","template_suffix":null,"title":"Product %d","updated_at":"%s","vendor":"Acme","status":"active","published_scope":"web","tags":"cotton, summer, new","variants":[`, id, benchText, id, id, id, at)
	changed := rng.IntN(5)
	for i := range 5 {
		if i > 0 {
			b = append(b, ',')
		}
		price, touched := int64(19), "2026-01-05T09:00:00-05:00"
		if i == changed {
			price, touched = n%500, at
		}
		v := id*10 + int64(i)
		b = fmt.Appendf(b, `{"admin_graphql_api_id":"gid:\/\/shopify\/ProductVariant\/%d","barcode":"40%011d","compare_at_price":null,"created_at":"2026-01-05T09:00:00-05:00","id":%d,"inventory_policy":"deny","position":%d,"price":"%d.99","product_id":%d,"sku":"SKU-%d","taxable":true,"title":"Size %d","updated_at":"%s","option1":"Size %d","option2":null,"option3":null,"image_id":null,"inventory_item_id":%d,"inventory_quantity":%d,"old_inventory_quantity":%d}`,
			v, v, v, i+1, price, id, v, i, touched, i, v+5_000_000_000, i*3, i*3)
	}
	b = fmt.Appendf(b, `],"options":[{"name":"Size","id":%d,"product_id":%d,"position":1,"values":["Size 0","Size 1","Size 2","Size 3","Size 4"]}],"images":[`, id, id)
	for i := range 3 {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":%d,"alt":"A shirt","position":%d,"product_id":%d,"created_at":"2026-01-05T09:00:00-05:00","updated_at":"2026-01-05T09:00:00-05:00","admin_graphql_api_id":"gid:\/\/shopify\/ProductImage\/%d","width":1200,"height":1200,"src":"https:\/\/cdn.example.com\/s\/files\/1\/0001\/product-%d-%d.jpg?v=1760000000","variant_ids":[]}`, id*10+int64(i), i+1, id, id*10+int64(i), id, i)
	}
	b = append(b, `],"image":null,"media":[`...)
	for i := range 3 {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":%d,"product_id":%d,"position":%d,"created_at":"2026-01-05T09:00:00-05:00","updated_at":"2026-01-05T09:00:00-05:00","alt":"A shirt","status":"READY","media_content_type":"IMAGE","preview_image":{"width":1200,"height":1200,"src":"https:\/\/cdn.example.com\/s\/files\/1\/0001\/product-%d-%d.jpg?v=1760000000","status":"READY"},"variant_ids":[],"admin_graphql_api_id":"gid:\/\/shopify\/MediaImage\/%d"}`, id*10+int64(i), id, i+1, id, i, id*10+int64(i))
	}
	b = append(b, `],"variant_gids":[`...)
	for i := range 5 {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"admin_graphql_api_id":"gid:\/\/shopify\/ProductVariant\/%d","updated_at":"2026-01-05T14:00:00.000Z"}`, id*10+int64(i))
	}
	return append(b, `],"has_variants_that_requires_components":false,"category":null}`...)
}

const benchText = `Soft, heavy cotton that keeps its shape. Cut and sewn by hand, washed once so that it fits from the first day, and made to be mended rather than thrown away. Wash cold, dry in the shade, iron if you must. The buttons are cut from shell and no two of them are quite alike; two spare ones are sewn inside the hem.`
