package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"
)

// badSignature is one that no secret makes.
const badSignature = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// signed is a signature header, none without a value.
func signed(value ...string) map[string][]string {
	return map[string][]string{"X-Shopify-Hmac-Sha256": value}
}

// hostileBodies are bodies that are dear to look at, as large as may be.
func hostileBodies() map[string][]byte {
	const size = 8 << 20
	random := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	object := slices.Concat([]byte(`{"id":1,"body_html":"`), bytes.Repeat([]byte("<"), size-24), []byte(`"}`))
	return map[string][]byte{
		"less-than signs": bytes.Repeat([]byte("<"), size), "JSON of them": object,
		"deep JSON": bytes.Repeat([]byte("["), size), "random bytes": random,
	}
}

// TestStrangersOnThePublicListenerCostLittle attacks the webhook listener in every
// way we know, with what is not authentic and with one delivery that was seen.
func TestStrangersOnThePublicListenerCostLittle(t *testing.T) {
	proxied := []string{"--trusted-proxies", "127.66.0.0/16"}
	bodies := slices.Collect(maps.Values(hostileBodies()))
	signatures := []map[string][]string{signed(badSignature), signed(), signed("not a signature")}
	connections := []struct {
		name string
		act  func(ctx context.Context, s *siege, conn net.Conn) error
	}{
		{"kept silent", func(_ context.Context, s *siege, conn net.Conn) error { return s.hold(conn) }},
		{"half a header", func(_ context.Context, s *siege, conn net.Conn) error {
			_, _ = conn.Write([]byte("POST /webhooks/shopify/products HTTP/1.1\r\nHost: x\r\nX-A: "))
			return s.hold(conn)
		}},
		{"a byte of header a second", func(ctx context.Context, s *siege, conn net.Conn) error {
			for _, c := range []byte("POST /webhooks/shopify/products HTTP/1.1\r\nHost: x\r\n") {
				if _, err := conn.Write([]byte{c}); err != nil {
					return s.ended(err)
				}
				pause(ctx, time.Second)
			}
			return nil
		}},
		{"closed at once", func(ctx context.Context, _ *siege, _ net.Conn) error {
			pause(ctx, 250*time.Millisecond)
			return nil
		}},
	}
	open := func(kinds ...int) func(ctx context.Context, s *siege, n int) error {
		return func(ctx context.Context, s *siege, n int) error {
			conn, leave, err := s.connect(ctx, s.Public, n)
			if err != nil {
				return err
			}
			defer leave()
			return connections[kinds[n%len(kinds)]].act(ctx, s, conn)
		}
	}
	// part sends 64 KiB of a body of 8 MiB. A sender that had a right signature is
	// known, and whoever has seen a delivery can be.
	part := func(known bool) func(ctx context.Context, s *siege, n int) error {
		return func(ctx context.Context, s *siege, n int) error {
			conn, leave, err := s.connect(ctx, s.Public, n)
			if err != nil {
				return err
			}
			defer leave()
			if known {
				if _, _, err := exchange(conn, bufio.NewReader(conn), s.seen()); err != nil {
					return s.ended(err)
				}
			}
			raw := s.made(n%len(bodies), func() []byte {
				return s.raw(delivery{Body: bodies[n%len(bodies)][:64<<10], Header: signatures[0]}, 8<<20)
			})
			if _, err := conn.Write(raw); err != nil {
				return s.ended(err)
			}
			pause(ctx, 250*time.Millisecond)
			return nil
		}
	}
	tests := []attack{
		{name: "connections that send nothing whole", few: 2_600, many: 4_000, act: open(0, 1, 2, 3, 0),
			shouldShow: func(t *testing.T, s *siege) {
				if torture() && s.acts.Load() < 10_000 {
					t.Errorf("only %d attempts", s.acts.Load())
				}
			}},
		{name: "a first part of a body, again and again", few: 500, many: 3_000, act: part(false)},
		{name: "the same by those who sent what was seen", few: 500, many: 3_000, rows: 5, act: part(true)},
		{name: "large bodies that nobody signed", few: 7, many: 32, args: proxied,
			act: func(ctx context.Context, s *siege, n int) error {
				return s.stream(ctx, s.Public, n, func() []byte {
					h, i := s.elsewhere(), rand.Int()
					maps.Copy(h, signatures[i/4%3])
					return s.raw(delivery{Body: bodies[i%4], Header: h}, 0)
				})
			}},
		{name: "wrong signatures from one address", few: 16, many: 64,
			act: func(ctx context.Context, s *siege, _ int) error {
				raw := s.raw(delivery{Body: s.captured.Body, Header: signatures[0]}, 0)
				return s.stream(ctx, s.Public, 0, func() []byte { return raw })
			}},
		{name: "wrong signatures from anywhere", few: 16, many: 64, args: proxied,
			act: func(ctx context.Context, s *siege, n int) error {
				return s.stream(ctx, s.Public, n, func() []byte {
					h := s.elsewhere()
					maps.Copy(h, signatures[0])
					return s.raw(delivery{Body: s.captured.Body, Header: h}, 0)
				})
			}},
		{name: "answers that nobody reads", few: 32, many: 32, // more would take minutes to fill what the system buffers
			act: neverReads("/webhooks/shopify/products", (*siege).public), shouldShow: cutOff},
		{name: "a delivery that was seen, as it was", few: 16, many: 64, rows: 5,
			act: func(ctx context.Context, s *siege, n int) error {
				return s.stream(ctx, s.Public, n, s.seen)
			}},
		{name: "a delivery that was seen, under other names", few: 16, many: 64, rows: 100,
			act: func(ctx context.Context, s *siege, n int) error {
				return s.stream(ctx, s.Public, n, func() []byte { return s.raw(s.retold(), 0) })
			}},
	}
	for kind, c := range connections {
		tests = append(tests, attack{name: "connections: " + c.name, many: 4_000, onlyLong: true, act: open(kind)})
	}
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

func (s *siege) public() string { return s.Public }

func (s *siege) adminSide() string { return s.Admin }

// seen is the delivery that strangers have seen, as it went over the wire.
func (s *siege) seen() []byte { return s.made("seen", func() []byte { return s.raw(s.captured, 0) }) }

// retold is the delivery that was seen, under another id, topic and shop: those
// are not signed.
func (s *siege) retold() delivery {
	topics := []string{
		"products/update", "products/create", "products/delete", "inventory_levels/update", "inventory_items/update",
		"app/uninstalled", "app/scopes_update", "bulk_operations/finish", "customers/data_request", "customers/redact",
		"shop/redact", "orders/create",
	}
	n := int(s.serial.Add(1))
	return delivery{
		Body: s.captured.Body, Topic: topics[n%len(topics)], WebhookID: "retold-" + strconv.Itoa(n),
		Shop: []string{e2eShop, otherShop}[n/len(topics)%2],
	}
}

// neverReads sends requests without ever reading an answer.
func neverReads(path string, to func(*siege) string) func(ctx context.Context, s *siege, n int) error {
	return func(ctx context.Context, s *siege, n int) error {
		conn, leave, err := s.connect(ctx, to(s), n)
		if err != nil {
			return err
		}
		defer leave()
		_ = conn.SetReadBuffer(4 << 10)
		many := bytes.Repeat(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path), 200)
		for {
			if _, err := conn.Write(many); err != nil {
				return s.ended(err)
			}
		}
	}
}

// cutOff requires that those who read nothing were sent away, which takes as long
// as the server waits for them: 30 s.
func cutOff(t *testing.T, s *siege) {
	if torture() && s.cut.Load() == 0 {
		t.Error("no connection was closed by the server")
	}
}
