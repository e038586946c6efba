package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ways are how a stranger's requests may come to arrive from this machine: each
// makes a base URL that leads to the address. A missing program is told.
var ways = []struct {
	name, program string
	lead          func(t *testing.T, address string) string
}{
	{"loopback itself", "", func(_ *testing.T, address string) string { return "http://" + address }},
	{"a TCP tunnel", "", func(t *testing.T, address string) string { return "http://" + tunnel(t, dials(address)) }},
	{"a reverse tunnel, as ssh -R makes it", "", func(t *testing.T, address string) string { return "http://" + tunnel(t, reversed(t, address)) }},
	{"nginx", "nginx", behindNginx},
	{"Caddy", "caddy", behindCaddy},
}

// tunnel listens and joins each connection with one that far opens.
func tunnel(t *testing.T, far func() (net.Conn, error)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if other, err := far(); err == nil {
					join(near, other)
				}
				_ = near.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// join copies both ways until one side ends.
func join(a, b net.Conn) {
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		go func() { _, _ = io.Copy(pair[0], pair[1]); ended <- struct{}{} }()
	}
	<-ended
	_, _ = a.Close(), b.Close()
	<-ended
}

func dials(address string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.Dial("tcp", address) }
}

// reversed lets an agent beside the address call out to a relay, which hands the
// connections to strangers.
func reversed(t *testing.T, address string) func() (net.Conn, error) {
	t.Helper()
	relay, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() })
	wanted, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(ended) })
	go func() {
		for {
			select {
			case <-wanted:
			case <-ended:
				return
			}
			out, err := net.Dial("tcp", relay.Addr().String())
			if err != nil {
				return
			}
			go func() {
				if here, err := net.Dial("tcp", address); err == nil {
					join(out, here)
				}
			}()
		}
	}()
	return func() (net.Conn, error) {
		select {
		case wanted <- struct{}{}:
			return relay.Accept()
		case <-ended:
			return nil, net.ErrClosed
		}
	}
}

// proxy runs a program until the test ends and waits until it answers on port.
func proxy(t *testing.T, port string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	await(t, name+" listens", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", name, said.String())
		default:
		}
		c, err := net.Dial("tcp", port)
		return err == nil && c.Close() == nil
	})
	return "http://" + port
}

func behindNginx(t *testing.T, address string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server { listen %[2]s; location / { proxy_pass http://%[3]s; } }
}
`, dir, port, address)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return proxy(t, port, "nginx", "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
}

func behindCaddy(t *testing.T, address string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	at := port[strings.LastIndex(port, ":"):]
	conf := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n}\nhttp://%s {\n\tbind 127.0.0.1\n\treverse_proxy %s\n}\n", at, address)
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return proxy(t, port, "caddy", "run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "Caddyfile"))
}

// freePort is a loopback address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// paths are those of the API's own description and of the pages.
func (s *server) paths() []string {
	s.tb.Helper()
	var doc struct {
		Paths map[string]any `json:"paths"`
	}
	if r := s.admin(http.MethodGet, "/api/v1/openapi.json", ""); json.Unmarshal([]byte(r.Body), &doc) != nil || len(doc.Paths) < 30 {
		s.tb.Fatalf("the description: %s", r)
	}
	filled := strings.NewReplacer("{shop}", e2eShop, "{id}", "8001", "{name}", "prometheus")
	list := []string{
		"/", "/products", "/products/" + e2eShop + "/8001", "/products/" + e2eShop + "/8001/read", "/updates", "/jobs", "/jobs/1", "/jobs/1/discard", "/syncs", "/syncs/1", "/syncs/1/cancel",
		"/shops", "/shops/" + e2eShop + "/selection", "/shops/" + e2eShop + "/circuit", "/shops/" + e2eShop + "/subscriptions", "/settings", "/settings/check",
		"/account", "/account/password", "/account/sessions/x/end", "/account/sessions-end", "/account/tokens/prometheus/remove", "/logout", "/events", "/metrics", "/metrics/shopify",
		"/login", "/login?link=x", "/setup", "/setup?token=x", "/healthz", "/readyz", "/assets/stockroom.js", "/nowhere", "//metrics", "/debug/pprof/", "/login/../metrics", "/assets/../metrics", "/assets/%2e%2e/metrics",
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		list = append(list, filled.Replace(path))
	}
	return list
}

// keptState is what a stranger would change.
func (s *server) keptState() string {
	s.tb.Helper()
	var all strings.Builder
	for _, path := range []string{
		"/api/v1/shops", "/api/v1/shops/" + e2eShop + "/selection", "/api/v1/jobs", "/api/v1/tokens", "/api/v1/sessions", "/api/v1/password",
		"/api/v1/products/" + e2eShop + "/8001", "/api/v1/changes?after=0",
	} {
		all.WriteString(s.admin(http.MethodGet, path, "").String() + "\n")
	}
	return all.String()
}

// Without a password a stranger gets nothing and changes nothing by any way that
// makes a request arrive from this machine, whatever path, method and Host; who has
// a token gets in by the same way.
func TestAStrangerGetsNothingByAnyWayThatLeadsFromThisMachine(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		var more []string
		if shared {
			port := freePort(t)
			more = []string{"--listen", port, "--admin-listen", port}
		}
		s := startServer(t, serveOptions{Args: more})
		if at := strings.TrimPrefix(s.Public, "http://") == strings.TrimPrefix(s.Admin, "http://"); at != shared {
			t.Fatalf("%s and %s", s.Public, s.Admin)
		}
		if r := s.post(delivery{Body: bytes.ReplaceAll(productBody(8001, 1, 2), []byte(`"title":"`), []byte(`"title":"Heron `))}); r.Status != http.StatusOK {
			t.Fatal(r)
		}
		var reading struct{ Token string }
		if r := s.admin(http.MethodPost, "/api/v1/tokens", `{"name":"prometheus"}`); json.Unmarshal([]byte(r.Body), &reading) != nil || reading.Token == "" {
			t.Fatal(r)
		}
		paths := s.paths()
		for _, way := range ways {
			t.Run(fmt.Sprintf("%s, shared listener %v", way.name, shared), func(t *testing.T) {
				if _, err := exec.LookPath(way.program); way.program != "" && err != nil {
					t.Skip("needs " + way.program)
				}
				before := s.keptState()
				base := way.lead(t, strings.TrimPrefix(s.Admin, "http://"))
				ask := func(method, path string, header map[string]string) reply {
					t.Helper()
					r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(`{"secret":"evil","mode":"include","include":[1],"name":"evil","password":"evil password 7"}`))
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Content-Type", "application/json")
					for name, value := range header {
						r.Header.Set(name, value)
					}
					r.Host = header["Host"]
					res, err := s.client.Do(r)
					if err != nil {
						t.Fatalf("%s %s: %v", method, path, err)
					}
					defer res.Body.Close()
					text, err := io.ReadAll(res.Body)
					if err != nil {
						t.Fatal(err)
					}
					return reply{res.StatusCode, res.Header, string(text)}
				}
				asked := 0
				for _, path := range paths {
					for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"} {
						for _, header := range []map[string]string{
							nil, {"Host": "127.0.0.1:8081", "Origin": "http://127.0.0.1:8081", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"},
							{"Host": "localhost", "Authorization": "Bearer " + strings.Repeat("0", 64)}, {"Host": "stock.example"},
						} {
							r := ask(method, path, header)
							asked++
							open := slices.Contains([]string{"/login", "/setup", "/healthz", "/readyz", "/assets/stockroom.js"}, strings.SplitN(path, "?", 2)[0])
							refused := slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMisdirectedRequest}, r.Status) ||
								r.Status == http.StatusSeeOther && strings.HasPrefix(r.Header.Get("Location"), "/login") ||
								r.Status == http.StatusMethodNotAllowed && method == "TRACE" || r.Status == http.StatusMovedPermanently && strings.Contains(path, "..")
							if !open && !refused || r.Header.Get("Set-Cookie") != "" {
								t.Errorf("%s %s with %v: %s", method, path, header, r)
							}
							for _, told := range []string{e2eShop, "Heron", s.Dir, s.Token, reading.Token, "prometheus", e2eSecret} {
								if strings.Contains(r.Body, told) {
									t.Errorf("%s %s with %v tells a stranger of %s: %s", method, path, header, told, r)
								}
							}
						}
					}
				}
				if asked < 2000 {
					t.Errorf("only %d requests were tried", asked)
				}
				if after := s.keptState(); after != before {
					t.Errorf("a stranger changed something:\n%s\n%s", before, after)
				}
				if r := ask("GET", "/api/v1/products", map[string]string{"Authorization": "Bearer " + reading.Token}); r.Status != http.StatusOK || !strings.Contains(r.Body, "Heron") {
					t.Errorf("with a token: %s", r)
				}
			})
		}
		s.stop()
	}
}
