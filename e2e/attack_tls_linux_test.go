package e2e_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"stockroom/internal/certs/certstest"
)

// Strangers by TLS that hold what they can, more of them than there are connections:
// heads of many short lines by HTTP/1.1, and by HTTP/2 all the requests that a connection
// may have, each with a head as long as may be and a body that does not end. The shop's
// own deliveries are answered meanwhile.
func TestStrangersByTLSCostLittle(t *testing.T) {
	const nobody = "http://127.0.0.1:1/directory"
	dir, sock, roots := filepath.Join(t.TempDir(), "data"), newSockets(t), x509.NewCertPool()
	from, until := time.Now().Add(-time.Hour), time.Now().Add(89*24*time.Hour)
	roots.AddCert(certstest.Keep(t, dir, nobody, httpsName, from, until))
	s := startServer(t, serveOptions{
		Dir: dir, Sockets: sock, Args: []string{"--https", httpsName, "--acme-directory", nobody},
	})
	honest := func(n int, two bool) {
		t.Helper()
		s.client = clientOf(sock, roots, two)
		began := time.Now()
		d := delivery{Body: productBody(int64(n), 1, 3), WebhookID: fmt.Sprint("honest-", n)}
		wantAnswer(t, s.post(d), answerApplied)
		if took := time.Since(began); took > attackAnswer {
			t.Errorf("delivery %d was answered after %s", n, took)
		}
		s.client.CloseIdleConnections()
	}
	honest(1, false)
	for kind, hold := range map[string]func(*tls.Conn) error{"http/1.1": shortLines, "h2": fullStreams} {
		const strangers = 250
		var held atomic.Int32
		var all sync.WaitGroup
		conns := make([]*tls.Conn, strangers)
		for n := range strangers {
			all.Go(func() {
				way := net.Dialer{Timeout: patience}
				c, err := tls.DialWithDialer(&way, "tcp", sock.TLS.Addr().String(), &tls.Config{
					ServerName: httpsName, RootCAs: roots, NextProtos: []string{kind}, SessionTicketsDisabled: true,
				})
				if err != nil {
					return // closed to make room
				}
				if conns[n] = c; hold(c) == nil {
					held.Add(1)
				}
			})
		}
		all.Wait()
		honest(2+len(kind), false)
		honest(3+len(kind), true)
		now, peak := memory(t, s.PID)
		t.Logf("%s: %d held what they could; %d MiB now, %d at most", kind, held.Load(), now>>20, peak>>20)
		if peak > attackMemory || held.Load() < 150 {
			t.Errorf("%s: the process took %d MiB while %d held what they could, want at most %d",
				kind, peak>>20, held.Load(), attackMemory>>20)
		}
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}
	s.stop()
}

// shortLines sends a head that does not end.
func shortLines(c *tls.Conn) error {
	var head bytes.Buffer
	head.WriteString("POST /webhooks/shopify/products HTTP/1.1\r\nHost: " + httpsName + "\r\n")
	for n := 0; head.Len() < 8000; n++ {
		fmt.Fprintf(&head, "%x:\r\n", n)
	}
	_, err := c.Write(head.Bytes())
	return err
}

// fullStreams begins requests whose bodies do not end.
func fullStreams(c *tls.Conn) error {
	var to, coded bytes.Buffer
	f, head := http2.NewFramer(&to, nil), hpack.NewEncoder(&coded)
	to.WriteString(http2.ClientPreface)
	_ = f.WriteSettings()
	_ = f.WriteSettingsAck()
	for id := uint32(1); id < 2*24; id += 2 {
		coded.Reset()
		fields := []hpack.HeaderField{
			{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: httpsName},
			{Name: ":path", Value: "/webhooks/shopify/products"}, {Name: "x-shopify-topic", Value: "products/update"},
			{Name: "x-shopify-shop-domain", Value: e2eShop}, {Name: "x-shopify-hmac-sha256", Value: badSignature},
		}
		for n := range 100 {
			fields = append(fields, hpack.HeaderField{Name: fmt.Sprintf("%x", n)})
		}
		for _, field := range fields {
			_ = head.WriteField(field)
		}
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: coded.Bytes(), EndHeaders: true})
		if id < 2*6 {
			_ = f.WriteData(id, false, make([]byte, 10_000))
		}
	}
	_, err := c.Write(to.Bytes())
	return err
}
