package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

const attackPassword = "seven grey herons by the lake"

// TestStrangersOnTheAdminListenerCostLittle attacks the pages that are open to
// whoever can reach the admin listener.
func TestStrangersOnTheAdminListenerCostLittle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(attackPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--admin-password-file", file, "--trusted-proxies", "127.0.0.0/8"}
	// asks sends one kind of request over and over, each from another network.
	asks := func(method, path string, body []byte) func(ctx context.Context, s *siege, n int) error {
		return func(ctx context.Context, s *siege, n int) error {
			return s.stream(ctx, s.Admin, n, func() []byte {
				r := s.ask(method, path, s.elsewhere())
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				return wire(r, body, 0)
			})
		}
	}
	form := func(size int) []byte {
		return append([]byte("password=wrong&next="), bytes.Repeat([]byte("%41"), size/3)...)
	}
	tests := []attack{
		{name: "wrong passwords", few: 6, many: 64, act: asks(http.MethodPost, "/login", form(30))},
		{name: "large forms", few: 6, many: 64, act: asks(http.MethodPost, "/login", form(12<<10))},
		{name: "forms that are too large", few: 6, many: 64, act: asks(http.MethodPost, "/setup", form(8<<20))},
		{name: "links that are none", few: 16, many: 64, act: asks(http.MethodGet, "/login?link=none", nil)},
		{name: "pages, files and paths that need a login", few: 16, many: 64,
			act: func(ctx context.Context, s *siege, n int) error {
				page := s.as("", http.MethodGet, "/login", "")
				paths := append([]string{"/login", "/", "/api/v1/shops", "/metrics", "/setup?token=none", "/healthz",
					"/no-such-page"}, regexp.MustCompile(`/assets/[^"]+`).FindAllString(page.Body, -1)...)
				i := n
				return s.stream(ctx, s.Admin, n, func() []byte {
					i++
					r := s.ask(http.MethodGet, paths[i%len(paths)], s.elsewhere())
					if i%3 == 0 {
						r.Header.Set("Authorization", "Bearer none")
					}
					return wire(r, nil, 0)
				})
			}},
		{name: "answers that nobody reads", few: 100, many: 256,
			act: neverReads("/login", (*siege).adminSide), shouldShow: cutOff},
		{name: "wrong passwords by one network", few: 1, many: 1, onlyLong: true, shouldShow: ownerComesIn,
			act: func(ctx context.Context, s *siege, n int) error {
				conn, leave, err := s.connect(ctx, s.Admin, n)
				if err != nil {
					return err
				}
				defer leave()
				if _, err = conn.Write(wire(s.ask(http.MethodPost, "/login", s.elsewhere()), form(30), 0)); err != nil {
					return err
				}
				pause(ctx, time.Second/6)
				return nil
			}},
	}
	for _, test := range tests {
		test.args = args
		t.Run(test.name, test.run)
	}
}

// ask is a request to the admin listener.
func (s *siege) ask(method, path string, h map[string][]string) *http.Request {
	r, err := http.NewRequest(method, s.Admin+path, nil)
	if err != nil {
		panic(err) // a test names a path that is none
	}
	maps.Copy(r.Header, h)
	return r
}

// ownerComesIn: whoever knows the password is let in, from another network each
// time, while strangers of one network guess six a second.
func ownerComesIn(t *testing.T, s *siege) {
	for n := range 20 {
		r := s.ask(http.MethodGet, "/api/v1/shops", map[string][]string{"X-Forwarded-For": {fmt.Sprintf("203.0.%d.7", n)}})
		r.SetBasicAuth("owner", attackPassword)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		res, err := s.client.Do(r.WithContext(ctx))
		switch {
		case err != nil:
			t.Errorf("try %d: %v", n, err)
		case res.StatusCode != http.StatusOK:
			t.Errorf("try %d: %s", n, res.Status)
			fallthrough
		default:
			_ = res.Body.Close()
		}
		cancel()
	}
}
