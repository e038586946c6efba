package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"
)

// What stands before the first request with --https costs little, whoever begins it and
// whatever name is asked for.
func TestStrangersWhoOnlyShakeHandsCostLittle(t *testing.T) {
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
	} {
		test.overTLS = true
		t.Run(test.name, test.run)
	}
}
