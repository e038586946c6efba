package appliance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"stockroom/internal/certs/certstest"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
)

const (
	hooksName = "hooks.example.com"
	pageName  = "page.example.com"
	// nobody listens on this port of loopback
	nobody = "http://127.0.0.1:1/directory"
)

// secureRig is a whole appliance that serves HTTPS with certificates that are kept.
type secureRig struct {
	*Appliance
	l     Listeners
	roots *x509.CertPool
}

func newSecureRig(t *testing.T) *secureRig {
	t.Helper()
	dir := t.TempDir()
	s, err := config.Load(config.Sources{
		Flags: map[string]string{"data": dir, "https": hooksName, "https-admin": pageName, "acme-directory": nobody},
		Environ: []string{"SHOPIFY_SHOP=" + testShop, "SHOPIFY_API_SECRET=" + appSecret, "SHOPIFY_API_KEY=k",
			"STOCKROOM_ADMIN_PASSWORD=correct horse"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &secureRig{roots: x509.NewCertPool()}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(89*24*time.Hour)
	for _, name := range []string{hooksName, pageName} {
		r.roots.AddCert(certstest.Keep(t, dir, nobody, name, from, until))
	}
	r.l.Secure = &Secure{Name: hooksName, Admin: pageName}
	for _, of := range []*net.Listener{&r.l.Public, &r.l.Plain, &r.l.Admin} {
		if *of, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	if r.Appliance, err = Open(t.Context(), Options{Settings: s, Manual: true}); err != nil {
		t.Fatal(err)
	}
	ready, served := make(chan struct{}), make(chan error, 1)
	r.l.Ready = func() { close(ready) }
	ctx, stop := context.WithCancel(t.Context())
	go func() { served <- r.Serve(ctx, r.l) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-served, r.Close()); err != nil {
			t.Error(err)
		}
	})
	<-ready
	return r
}

// client is one that makes each connection to the listener, for a server name, or for
// that of the address where server is "".
func (r *secureRig) client(t *testing.T, server string, version int) *http.Client {
	way := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.roots, ServerName: server}, Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, r.l.Public.Addr().String())
		},
	}
	way.Protocols.SetHTTP1(version == 1)
	way.Protocols.SetHTTP2(version == 2)
	t.Cleanup(way.CloseIdleConnections)
	return &http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// answered is the status and body of an answer.
func answered(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func requested(t *testing.T, method, address, body string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestASignedDeliveryIsTakenOverTLSByBothVersionsOfHTTP(t *testing.T) {
	r := newSecureRig(t)
	for version, proto := range map[int]string{1: "HTTP/1.1", 2: "HTTP/2.0"} {
		body := fmt.Sprintf(`{"id":%d,"title":"x","updated_at":"2026-01-01T00:00:00Z",`+
			`"variants":[],"options":[],"images":[]}`, version)
		res, said := answered(t, r.client(t, "", version), requested(t, "POST", "https://"+hooksName+
			"/webhooks/shopify/products", body, "X-Shopify-Topic", "products/update",
			"X-Shopify-Shop-Domain", testShop, "X-Shopify-Webhook-Id", proto,
			"X-Shopify-Hmac-Sha256", fakeshopify.Sign(appSecret, []byte(body))))
		if res.StatusCode != 200 || res.Proto != proto || !strings.Contains(said, `"success":true`) {
			t.Errorf("%s: %s %s %s", proto, res.Proto, res.Status, said)
		}
		if got := res.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
			t.Errorf("%s: HSTS %q", proto, got)
		}
		if version == 2 && res.TLS.Version != tls.VersionTLS13 {
			t.Errorf("TLS %x", res.TLS.Version)
		}
	}
	var shown strings.Builder
	r.set.WritePrometheus(&shown)
	if !strings.Contains(shown.String(), "\nstockroom_connections_open 2\n") {
		t.Errorf("other than 2 connections are counted:\n%s", shown.String())
	}
}

// The side is told apart by the name of the handshake, which the Host has to repeat.
func TestTheNameOfTheHandshakeDecidesWhichSideAnswers(t *testing.T) {
	r := newSecureRig(t)
	for _, version := range []int{1, 2} {
		for _, tt := range []struct {
			server, host, path string
			code               int
			says               string
		}{
			{hooksName, hooksName, "/", 200, "It takes webhooks from Shopify and nothing else."},
			{hooksName, hooksName, "/api/v1/status", 404, ""},
			{hooksName, hooksName, "/login", 404, ""},
			{pageName, pageName, "/api/v1/status", 401, ""},
			{pageName, pageName, "/login", 200, "password"},
			{pageName, hooksName, "/", 421, "The connection was made for page.example.com."},
			{hooksName, pageName, "/login", 421, "The connection was made for hooks.example.com."},
			{hooksName, "127.0.0.1", "/", 421, ""},
			{pageName, "localhost", "/login", 421, ""},
		} {
			q := requested(t, "GET", "https://"+tt.server+tt.path, "")
			q.Host = tt.host
			res, said := answered(t, r.client(t, tt.server, version), q)
			if res.StatusCode != tt.code || !strings.Contains(said, tt.says) {
				t.Errorf("HTTP/%d %+v: %s %s", version, tt, res.Status, said)
			}
		}
	}
	for _, server := range []string{"other.example.com", "127.0.0.1"} {
		if res, err := r.client(t, server, 1).Do(requested(t, "GET", "https://"+hooksName+"/", "")); err == nil {
			t.Errorf("%s: %s", server, res.Status)
		}
	}
}

// A session begun under the public name is for TLS only, and for our own pages only.
func TestThePageUnderAPublicNameKeepsItsRules(t *testing.T) {
	r := newSecureRig(t)
	c := r.client(t, "", 2)
	form := func(origin string) *http.Request {
		return requested(t, "POST", "https://"+pageName+"/login", "password=correct+horse", "Origin", origin,
			"Content-Type", "application/x-www-form-urlencoded")
	}
	if res, _ := answered(t, c, form("https://"+hooksName)); res.StatusCode != 403 {
		t.Errorf("from the other name: %s", res.Status)
	}
	res, _ := answered(t, c, form("https://"+pageName))
	cookies := res.Cookies()
	if res.StatusCode != 303 || len(cookies) == 0 || !cookies[0].Secure || !strings.HasPrefix(cookies[0].Name, "__Host-") {
		t.Fatalf("%s %v", res.Status, cookies)
	}
	page := requested(t, "GET", "https://"+pageName+"/", "", "Cookie", cookies[0].Name+"="+cookies[0].Value)
	if res, _ := answered(t, c, page); res.StatusCode != 200 {
		t.Errorf("the page: %s", res.Status)
	}
}

// A connection of HTTP/2 is read while net/http tells that it is idle; only the race
// detector sees what both of them touch.
func TestRequestsThatShareAConnectionTouchNothingTogether(t *testing.T) {
	r := newSecureRig(t)
	var wg sync.WaitGroup
	for range 40 {
		c := r.client(t, "", 2)
		wg.Go(func() {
			for range 5 {
				if res, _ := answered(t, c, requested(t, "GET", "https://"+hooksName+"/healthz", "")); res.ProtoMajor != 2 {
					t.Error(res.Proto)
				}
			}
		})
	}
	wg.Wait()
}

func TestPort80SendsReadersToHTTPSAndTakesNothing(t *testing.T) {
	r := newSecureRig(t)
	at := r.l.Plain.Addr().String()
	for _, tt := range []struct {
		method, host, path string
		code               int
		location           string
	}{
		{"GET", hooksName, "/", 308, "https://hooks.example.com/"},
		{"GET", pageName + ":80", "/products?q=a%20b", 308, "https://page.example.com/products?q=a%20b"},
		{"HEAD", hooksName, "/x", 308, "https://hooks.example.com/x"},
		{"GET", hooksName, "//evil.example/x", 308, "https://hooks.example.com//evil.example/x"},
		{"GET", hooksName, "/.well-known/acme-challenge/x", 308, "https://hooks.example.com/.well-known/acme-challenge/x"},
		{"POST", hooksName, "/webhooks/shopify/products", 405, ""},
		{"PUT", hooksName, "/", 405, ""},
		{"GET", "evil.example", "/", 421, ""},
		{"GET", "127.0.0.1", "/", 421, ""},
	} {
		q := requested(t, tt.method, "http://"+at+tt.path, "")
		q.Host = tt.host
		c := &http.Client{Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
		res, _ := answered(t, c, q)
		c.CloseIdleConnections()
		if res.StatusCode != tt.code || res.Header.Get("Location") != tt.location {
			t.Errorf("%+v: %s to %q", tt, res.Status, res.Header.Get("Location"))
		}
	}
}

func TestOldVersionsOfTLSAreNotSpoken(t *testing.T) {
	r := newSecureRig(t)
	for version, taken := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		c, err := tls.Dial("tcp", r.l.Public.Addr().String(), &tls.Config{
			RootCAs: r.roots, ServerName: hooksName, MinVersion: version, MaxVersion: version,
		})
		if (err == nil) != taken {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

// Deliveries go on with the certificate there is, and what is wrong is known. Here the
// authority can't be reached.
func TestTheStateOfEachCertificateIsKnown(t *testing.T) {
	r := newSecureRig(t)
	states := r.certs.Load().States(time.Now())
	if len(states) != 2 || states[0].Name != hooksName || states[1].Name != pageName {
		t.Fatalf("%+v", states)
	}
	for _, s := range states {
		if !s.Have(time.Now()) || s.Words != "" {
			t.Errorf("%+v", s)
		}
	}
}
