package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"stockroom/internal/certs"
	"stockroom/internal/certs/certstest"
	"stockroom/internal/datadir"
	"stockroom/internal/folder"
)

const (
	name = "shop.example.com"
	// nobody listens on this port of loopback
	nobody = "http://127.0.0.1:1/directory"
)

func opened(t *testing.T, dir string) *certs.Certs { return openedAt(t, dir, nobody) }

func openedAt(t *testing.T, dir, directory string) *certs.Certs {
	t.Helper()
	f, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	c := certs.New(certs.Options{
		Folder: f, Names: []string{name}, Directory: directory, TLSPort: 443, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(c.Close)
	return c
}

// shaken makes a handshake for a server name, or none for "".
func shaken(c *certs.Certs, server string, roots *x509.CertPool, most uint16) error {
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		defer there.Close()
		_ = tls.Server(there, c.TLS()).Handshake()
	}()
	client := &tls.Config{ServerName: server, RootCAs: roots, MaxVersion: most, MinVersion: tls.VersionTLS10}
	if server == "" {
		client.InsecureSkipVerify = true
	}
	return tls.Client(here, client).Handshake()
}

func TestAKeptCertificateIsUsedAtOnceAndForItsNameOnly(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	roots := x509.NewCertPool()
	roots.AddCert(certstest.Keep(t, dir, nobody, name, now.Add(-24*time.Hour), now.Add(89*24*time.Hour)))
	c := opened(t, dir)
	for _, server := range []string{name, "SHOP.example.com"} {
		if err := shaken(c, server, roots, tls.VersionTLS13); err != nil {
			t.Errorf("%s: %v", server, err)
		}
	}
	if err := shaken(c, name, roots, tls.VersionTLS12); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if err := shaken(c, name, roots, tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	for _, server := range []string{"", "other.example.com", "a." + name, "example.com"} {
		if err := shaken(c, server, roots, tls.VersionTLS13); err == nil {
			t.Errorf("a certificate for %q", server)
		}
	}
	s := c.States(now)[0]
	if s.Name != name || !s.Have(now) || s.Words != "" || s.Trying || !s.Late().Equal(s.NotAfter.Add(-30*24*time.Hour)) {
		t.Errorf("%+v", s)
	}
	if err := shaken(opened(t, t.TempDir()), name, roots, tls.VersionTLS13); err == nil {
		t.Error("a handshake without a certificate ended well")
	}
}

func TestACertificateIsLateAtAThirdOfAShortLife(t *testing.T) {
	now := time.Now()
	const day = 24 * time.Hour
	for life, want := range map[time.Duration]time.Duration{90 * day: 30 * day, 6 * day: 2 * day} {
		s := certs.State{NotBefore: now, NotAfter: now.Add(life)}
		if got := s.NotAfter.Sub(s.Late()); got != want {
			t.Errorf("%s: %s before its end", life, got)
		}
	}
	if s := (certs.State{}); !s.Late().IsZero() || s.Have(now) {
		t.Errorf("none: %+v", s)
	}
}

// tried is the state after the first try, which fails.
func tried(t *testing.T, c *certs.Certs) (s certs.State) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	for s.Words == "" { // as it is said at first
		s = c.States(time.Now())[0]
		select {
		case <-ended:
			t.Fatal("it ended")
		default:
		}
	}
	cancel()
	<-ended
	return s
}

// With nobody to ask, what is kept goes on; what is wrong with it is said.
func TestAnAuthorityOutOfReachIsSaidAndWhatIsKeptGoesOn(t *testing.T) {
	s := tried(t, opened(t, t.TempDir()))
	const want = "This machine can't reach 127.0.0.1:1 (connect: connection refused). See that it has " +
		"a connection to the internet, and that a firewall lets it connect to port 443 of others. " +
		"Stockroom tries again by itself."
	if s.Words != want || s.Trying || s.Failed.IsZero() || !s.Next.After(s.Failed) || s.Have(time.Now()) ||
		s.Next.Sub(s.Failed) > time.Hour {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsKeptAndCannotBeUsedIsSaid(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	certstest.Keep(t, dir, nobody, name, now.Add(time.Hour), now.Add(48*time.Hour))
	s := opened(t, dir).States(now)[0]
	if !s.Have(now) || !strings.Contains(s.Words, "of shop.example.com is not valid yet") ||
		!strings.Contains(s.Words, "The clock is probably wrong") {
		t.Errorf("from tomorrow on: %+v", s)
	}
	keys, err := filepath.Glob(filepath.Join(dir, datadir.Certificates, "*", "*", name, name+".key"))
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if err := os.WriteFile(keys[0], []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = opened(t, dir).States(now)[0]
	want := "The certificate of shop.example.com that is kept in " + filepath.Join(dir, datadir.Certificates) + " can't be used ("
	if s.Have(now) || !strings.HasPrefix(s.Words, want) {
		t.Errorf("a broken key: %+v", s)
	}
}

// A try that can't keep its certificate ends before it asks the authority for one.
func TestADiskThatTakesNothingIsSaidAndNobodyIsAsked(t *testing.T) {
	asked := make(chan struct{}, 9)
	authority := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	defer authority.Close()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := openedAt(t, dir, authority.URL)
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	s := tried(t, c)
	want := "Nothing can be written to " + filepath.Join(dir, datadir.Certificates) + " (" + dir + " was moved while it was " +
		"in use). Give it to the user"
	if !strings.HasPrefix(s.Words, want) || s.Trying || s.Next.Before(s.Failed) || len(asked) > 0 {
		t.Errorf("%+v, asked %d times", s, len(asked))
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("something was written where the data dir was")
	}
}

func TestEachCauseHasASentenceOfItsOwn(t *testing.T) {
	problem := func(kind, detail string) error {
		p := acme.Problem{Type: acme.ProblemTypeNamespace + kind, Status: 400, Detail: detail}
		return fmt.Errorf("[%s] solving: %w", name, p)
	}
	caa := acme.Subproblem{Problem: acme.Problem{Type: acme.ProblemTypeCAA, Detail: "d"}}
	network := func(err error) error { return &url.Error{Op: "Get", URL: nobody, Err: err} }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{problem("dns", "NXDOMAIN looking up A"),
			"ca.example finds no address of shop.example.com (NXDOMAIN looking up A). Where the domain is managed, add an A record"},
		{problem("connection", "timeout"),
			"ca.example can't reach this machine as shop.example.com (timeout). Let port 443 through"},
		{problem("unauthorized", "404"), "Not this program answers when ca.example asks for shop.example.com (404)."},
		{problem("caa", "forbids"), "The CAA records of the domain do not let ca.example give"},
		{problem("rateLimited", "too many"),
			"ca.example takes no more requests for shop.example.com for some time (too many). Wait,"},
		{problem("rejectedIdentifier", "policy"),
			"ca.example gives no certificate for the name shop.example.com (policy)."},
		{problem("malformed", "what"), "ca.example does not understand the request"},
		{problem("serverInternal", "oh"), "ca.example has trouble of its own (oh)."},
		{acme.Problem{Status: 503}, "ca.example has trouble of its own (status 503)."},
		{problem("newKind", "a\nb"), "ca.example refuses a certificate for shop.example.com (a b)."},
		{problem("dns", strings.Repeat("x", 999)),
			"ca.example finds no address of shop.example.com (" + strings.Repeat("x", 300) + "...)"},
		{acme.Problem{Type: acme.ProblemTypeCompound, Subproblems: []acme.Subproblem{caa}},
			"The CAA records of the domain do not let ca.example give a certificate for shop.example.com (d)."},
		{network(&net.DNSError{Err: "no such host", Name: "ca.example"}),
			"This machine can't look up the address of ca.example (lookup ca.example: no such host)."},
		{network(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "This machine can't reach ca.example ("},
		{fmt.Errorf("try: %w", context.DeadlineExceeded), "This machine can't reach ca.example ("},
		{network(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
			"This machine does not trust the certificate of ca.example itself ("},
		{network(x509.CertificateInvalidError{Cert: new(x509.Certificate), Reason: x509.Expired}),
			"By this machine's clock the certificate of ca.example itself is not valid ("},
		{&os.PathError{Op: "write", Path: "/d/x", Err: syscall.ENOSPC},
			"There is no room on the disk of /d for a certificate (write /d/x: no space left on device). Make room."},
		{fmt.Errorf("%w: %w", certs.ErrStore, &os.PathError{Op: "open", Path: "/d/x", Err: syscall.EROFS}),
			"Nothing can be written to /d (open /d/x: read-only file system)."},
		{errors.New("whatever."), "No certificate for shop.example.com could be had from ca.example (whatever)."},
	} {
		got := certs.Words(name, "https://ca.example/directory", "/d", tt.err)
		if !strings.HasPrefix(got, tt.want) || !strings.HasSuffix(got, " Stockroom tries again by itself.") {
			t.Errorf("%v:\n%s\nwant\n%s", tt.err, got, tt.want)
		}
	}
}
