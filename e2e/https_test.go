package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stockroom/internal/certs/certstest"
)

const httpsName = "shop.example.com"

// serveHTTPS starts a server on the sockets that asks the authority.
func serveHTTPS(t *testing.T, dir string, s *sockets, a *authority, more ...string) *server {
	t.Helper()
	return startServer(t, serveOptions{
		Dir: dir, Sockets: s, Env: append(shopEnv(), "SSL_CERT_FILE="+a.Roots),
		Args: append([]string{"--https", httpsName, "--acme-directory", a.Directory}, more...),
	})
}

// serveKept starts a server with a certificate that is kept and an authority that is
// not there. Its client finds the name.
func serveKept(t *testing.T, s *sockets) *server {
	t.Helper()
	const nobody = "https://127.0.0.1:1/dir"
	dir, roots := filepath.Join(t.TempDir(), "data"), x509.NewCertPool()
	roots.AddCert(certstest.Keep(t, dir, nobody, httpsName, time.Now().Add(-time.Hour), time.Now().Add(80*24*time.Hour)))
	args := []string{"--https", httpsName, "--acme-directory", nobody}
	srv := startServer(t, serveOptions{Dir: dir, Sockets: s, Args: args})
	srv.client = clientOf(s, roots, true)
	return srv
}

// certified is what /api/v1/status says of a name.
type certified struct {
	Name, Error string
	Deliveries  bool
	Trying      bool
	NotBefore   *time.Time `json:"not_before"`
	NotAfter    *time.Time `json:"not_after"`
	FailedAt    *time.Time `json:"failed_at"`
	NextTryAt   *time.Time `json:"next_try_at"`
}

// healthDoc is what these tests read of /api/v1/status.
type healthDoc struct {
	Code, Mood, Sentence, Next string
	Lines                      []struct{ Code, Mood, Sentence, Next string }
	Certificates               []certified
}

func (s *server) health() (doc healthDoc) {
	s.tb.Helper()
	r := s.admin(http.MethodGet, "/api/v1/status", "")
	if err := json.Unmarshal([]byte(r.Body), &doc); err != nil || len(doc.Certificates) == 0 {
		s.tb.Fatalf("status: %v: %s", err, r)
	}
	return doc
}

// awaitCertificate waits until there is one.
func (s *server) awaitCertificate() certified {
	s.tb.Helper()
	var c certified
	await(s.tb, "a certificate", func() bool {
		c = s.health().Certificates[0]
		return c.NotAfter != nil
	})
	return c
}

// clientOf is a client that finds the name at the socket.
func clientOf(s *sockets, roots *x509.CertPool, two bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!two)
	protocols.SetHTTP2(two)
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			if strings.HasPrefix(to, httpsName+":") {
				to = s.TLS.Addr().String()
			}
			return new(net.Dialer).DialContext(ctx, network, to)
		},
	}}
}

// serial is the number of the certificate that is served to a new connection.
func serial(t *testing.T, s *sockets, roots *x509.CertPool) string {
	t.Helper()
	c, err := tls.Dial("tcp", s.TLS.Addr().String(), &tls.Config{ServerName: httpsName, RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// Without a certificate the page says that one is being asked for; then deliveries come
// by both protocols. The authority refuses a fifth of all that is signed rightly, as
// authorities do.
func TestTheFirstCertificateComesByItselfAndDeliveriesWithIt(t *testing.T) {
	t.Parallel()
	sock := newSockets(t)
	a := newAuthority(t, sock, authorityOptions{NonceFails: "20", Gate: "held"})
	s := serveHTTPS(t, "", sock, a)
	if doc := s.health(); doc.Code != "certificate" || doc.Mood != "wait" || doc.Certificates[0].NotAfter != nil {
		t.Errorf("before there is one: %+v", doc)
	}
	anybody := &tls.Config{ServerName: httpsName, InsecureSkipVerify: true}
	if c, err := tls.Dial("tcp", sock.TLS.Addr().String(), anybody); err == nil {
		_ = c.Close()
		t.Error("a handshake went well without a certificate")
	}
	a.gate.set("open")
	c := s.awaitCertificate()
	if c.Name != httpsName || !c.Deliveries || c.Error != "" || time.Until(*c.NotAfter) < 89*24*time.Hour {
		t.Errorf("%+v", c)
	}
	for i, two := range []bool{false, true} {
		s.client = clientOf(sock, a.issued(), two)
		d := delivery{WebhookID: fmt.Sprint("w", i), Body: productBody(int64(i+1), 1, 1)}
		res, err := s.client.Do(s.request(t.Context(), d))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || res.ProtoMajor != i+1 {
			t.Errorf("%s %s: %s", res.Proto, res.Status, text)
		}
	}
	s.client = &http.Client{Timeout: 30 * time.Second}
	if n := count(t, openCatalogue(t, s.Dir), `SELECT count(*) FROM products`); n != 2 {
		t.Errorf("%d products", n)
	}
	r := runCLI(t, nil, "", "doctor", "--data", s.Dir)
	const want = "ok    certificate: shop.example.com has a certificate of Pebble Intermediate CA "
	until := c.NotAfter.UTC().Format("until 2 Jan 2006; it is renewed from ")
	if !strings.Contains(r.Stdout, want) || !strings.Contains(r.Stdout, until) {
		t.Errorf("doctor: %s", r.Stdout)
	}
	series := fmt.Sprintf("stockroom_certificate_expires_timestamp_seconds{name=%q}", httpsName)
	if end := s.metrics()[series]; int64(end) != c.NotAfter.Unix() {
		t.Errorf("the metrics say that it ends at %v", end)
	}
	err := filepath.WalkDir(filepath.Join(s.Dir, "certificates"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A start with a kept certificate waits for nobody. It is in its last minutes and is
// renewed as soon as the authority answers; what is under way goes on.
func TestDeliveriesUnderWayGoOnOverARenewal(t *testing.T) {
	t.Parallel()
	sock := newSockets(t)
	a := newAuthority(t, sock, authorityOptions{Validity: 4 * time.Minute})
	first := serveHTTPS(t, "", sock, a)
	first.awaitCertificate()
	a.gate.set("held")
	first.stop()
	s := serveHTTPS(t, first.Dir, sock, a)
	roots := a.issued()
	kept := serial(t, sock, roots)
	if doc := s.health(); doc.Code == "certificate" || doc.Certificates[0].NotAfter == nil {
		t.Errorf("with a kept certificate and a silent authority: %+v", doc)
	}
	body := productBody(1, 1, 1)
	in, out := io.Pipe()
	r := s.request(t.Context(), delivery{Body: body})
	r.Body, r.ContentLength = in, int64(len(body))
	type ended struct {
		res *http.Response
		err error
	}
	answered, client := make(chan ended, 1), clientOf(sock, roots, false)
	go func() {
		res, err := client.Do(r)
		answered <- ended{res, err}
	}()
	if _, err := out.Write(body[:10]); err != nil { // the connection is there
		t.Fatal(err)
	}
	a.gate.set("open")
	go func() {
		_, _ = io.Copy(out, bytes.NewReader(body[10:]))
		_ = out.Close()
	}()
	took := func(what string, e ended) {
		t.Helper()
		if e.err != nil || e.res.StatusCode != http.StatusOK || e.res.TLS.PeerCertificates[0].SerialNumber.String() != kept {
			t.Fatalf("%s: %+v, %v", what, e.res, e.err)
		}
		_, _ = io.Copy(io.Discard, e.res.Body)
		_ = e.res.Body.Close()
	}
	took("the delivery under way", <-answered)
	await(t, "another certificate", func() bool { return serial(t, sock, roots) != kept })
	res, err := client.Do(s.request(t.Context(), delivery{Body: productBody(2, 1, 1)}))
	took("the next one on the connection of before", ended{res, err})
	if doc := s.health(); doc.Code == "certificate" || doc.Certificates[0].FailedAt != nil {
		t.Errorf("after the renewal: %+v", doc)
	}
}

// another is a web server that answers in our place.
func another(t *testing.T, host string, s *sockets) {
	t.Helper()
	for _, ours := range []net.Listener{s.Plain, s.TLS} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port(ours))))
		if err != nil {
			t.Skipf("another address of this machine is needed: %v", err)
		}
		srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.NotFoundHandler()}}
		if ours == s.TLS {
			srv.StartTLS()
		} else {
			srv.Start()
		}
		t.Cleanup(srv.Close)
	}
}

// What the authority refuses is told with what to do: on the page, by the API and by
// doctor.
func TestANameThatLeadsElsewhereIsSaid(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ leads, want string }{
		"to nobody":     {"127.0.0.2", "the A and AAAA records of shop.example.com lead"},
		"to another":    {"127.0.0.3", "Not this program answers when "},
		"to no machine": {"", "resolve URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sock := newSockets(t)
			a := newAuthority(t, sock, authorityOptions{})
			a.resolver.lead(tt.leads)
			if name == "to another" {
				another(t, tt.leads, sock)
			}
			s := serveHTTPS(t, "", sock, a)
			var doc healthDoc
			await(t, "a refusal", func() bool { doc = s.health(); return doc.Certificates[0].FailedAt != nil })
			if doc.Code != "certificate" || doc.Mood != "bad" || !strings.Contains(doc.Next, tt.want) ||
				doc.Certificates[0].NextTryAt.Sub(*doc.Certificates[0].FailedAt) > time.Hour ||
				!strings.Contains(doc.Next, "The next try begins by ") ||
				doc.Sentence != "Shopify can't deliver: there is no certificate for shop.example.com yet." {
				t.Errorf("%+v", doc)
			}
			r := runCLI(t, nil, "", "doctor", "--data", s.Dir)
			if r.Code == 0 || !strings.Contains(r.Stdout, doc.Sentence) || !strings.Contains(r.Stdout, tt.want) {
				t.Errorf("doctor: exit %d\n%s", r.Code, r.Stdout)
			}
		})
	}
}

// An authority that is down at the first start is named as such. A restart asks at once;
// later on nobody is asked for what is kept, whatever the authority does.
func TestAnAuthorityThatIsDownDelaysOnlyTheFirstCertificate(t *testing.T) {
	t.Parallel()
	sock := newSockets(t)
	a := newAuthority(t, sock, authorityOptions{Gate: "shut"})
	s := serveHTTPS(t, "", sock, a)
	var doc healthDoc
	await(t, "a try that failed", func() bool { doc = s.health(); return doc.Certificates[0].FailedAt != nil })
	const want = "This machine can't reach 127.0.0.1:"
	if doc.Code != "certificate" || doc.Mood != "bad" || !strings.HasPrefix(doc.Next, want) {
		t.Errorf("%+v", doc)
	}
	a.gate.set("open")
	if os.Getenv("STOCKROOM_TORTURE") != "" { // it is asked again by itself, after two minutes
		await(t, "half of the wait", func() bool { return time.Now().After(doc.Certificates[0].FailedAt.Add(time.Minute)) })
	} else {
		s.stop()
		s = serveHTTPS(t, s.Dir, sock, a)
	}
	s.awaitCertificate()
	a.gate.set("shut")
	s.stop()
	s = serveHTTPS(t, s.Dir, sock, a)
	s.client = clientOf(sock, a.issued(), true)
	if r := s.post(delivery{Body: productBody(1, 1, 1)}); r.Status != http.StatusOK {
		t.Errorf("with what was kept: %s", r)
	}
	s.client = new(http.Client)
	for _, l := range s.health().Lines {
		if strings.HasPrefix(l.Code, "certificate") {
			t.Errorf("with a good certificate and no authority: %+v", l)
		}
	}
}

// What docs/security.md says of versions and ciphers is what the program offers.
func TestTheSecurityPageListsTheVersionsAndCiphersOffered(t *testing.T) {
	t.Parallel()
	sock := newSockets(t)
	serveKept(t, sock)
	var offered []string
	shake := func(config *tls.Config) bool {
		config.ServerName, config.InsecureSkipVerify = httpsName, true
		c, err := tls.Dial("tcp", sock.TLS.Addr().String(), config)
		if err != nil {
			return false
		}
		defer c.Close()
		return true
	}
	for version := uint16(tls.VersionTLS10); version <= tls.VersionTLS13; version++ {
		if shake(&tls.Config{MinVersion: version, MaxVersion: version}) {
			offered = append(offered, "`"+tls.VersionName(version)+"`")
		}
	}
	for _, c := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		old := c.SupportedVersions[0] < tls.VersionTLS13 // those of 1.3 can't be chosen
		if !old || shake(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{c.ID}}) {
			offered = append(offered, "`"+c.Name+"`")
		}
	}
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(page), "\n## TLS\n")
	rows, _, _ = strings.Cut(rows, "\n## ")
	listed := regexp.MustCompile("`TLS[ _][A-Za-z0-9_. ]+`").FindAllString(rows, -1)
	slices.Sort(offered)
	slices.Sort(listed)
	if !slices.Equal(offered, listed) {
		t.Errorf("offered: %s\nlisted: %s", offered, listed)
	}
}
