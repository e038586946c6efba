package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStrangersOverTLSCostLittle attacks what stands before the first request with
// --https, and the requests of one connection by HTTP/2.
func TestStrangersOverTLSCostLittle(t *testing.T) {
	// as connects as stranger n, who does something with the connection.
	as := func(do func(ctx context.Context, s *siege, conn net.Conn) error) func(context.Context, *siege, int) error {
		return func(ctx context.Context, s *siege, n int) error {
			conn, leave, err := s.connect(ctx, s.Public, n)
			if err != nil {
				return err
			}
			defer leave()
			return do(ctx, s, conn)
		}
	}
	shake := func(ctx context.Context, name string, conn net.Conn) (*tls.Conn, error) {
		c := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		return c, c.HandshakeContext(ctx)
	}
	for _, test := range []attack{
		{name: "handshakes, again and again", few: 16, many: 64,
			act: as(func(ctx context.Context, s *siege, conn net.Conn) error {
				_, err := shake(ctx, httpsName, conn)
				return err
			})},
		{name: "handshakes that stop half way", few: 1_000, many: 4_000,
			act: as(func(_ context.Context, s *siege, conn net.Conn) error {
				if _, err := conn.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")); err != nil {
					return s.ended(err)
				}
				return s.hold(conn)
			})},
		{name: "handshakes and nothing after", few: 300, many: 1_000,
			act: as(func(ctx context.Context, s *siege, conn net.Conn) error {
				if _, err := shake(ctx, httpsName, conn); err != nil {
					return s.ended(err)
				}
				return s.hold(conn)
			})},
		{name: "names that are not ours", few: 16, many: 64,
			act: as(func(ctx context.Context, s *siege, conn net.Conn) error {
				name := fmt.Sprintf("n%d.example.com", s.serial.Add(1))
				if _, err := shake(ctx, name, conn); err == nil {
					return fmt.Errorf("%s has a certificate", name)
				}
				pause(ctx, 10*time.Millisecond)
				return nil
			}),
			shouldShow: func(t *testing.T, s *siege) {
				if c := s.health().Certificates; len(c) != 1 || c[0].FailedAt != nil {
					t.Errorf("something was asked of the authority: %+v", c)
				}
			}},
		{name: "many requests by one connection, their bodies never whole", few: 8, many: 64, act: streams},
	} {
		test.overTLS = true
		t.Run(test.name, test.run)
	}
}

// streams has a stranger send the first part of 50 bodies at one time by one connection.
func streams(ctx context.Context, s *siege, n int) error {
	conn, leave, err := s.connect(ctx, s.Public, n)
	if err != nil {
		return err
	}
	defer leave()
	transport := s.client.Transport.(*http.Transport).Clone()
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	transport.MaxConnsPerHost = 1
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	ctx, end := context.WithTimeout(ctx, time.Second)
	defer end()
	ended := make(chan error)
	const many = 50
	for range many {
		go func() {
			r := s.request(ctx, delivery{Header: signed(badSignature)})
			r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("<", 64<<10)), &silent{ctx})), 8<<20
			res, err := client.Do(r)
			if err == nil {
				_ = res.Body.Close()
			}
			ended <- err
		}()
	}
	for range many {
		err = <-ended
	}
	return s.ended(err)
}

// silent gives nothing until its end.
type silent struct{ ctx context.Context }

func (r *silent) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}
