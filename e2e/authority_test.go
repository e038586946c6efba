package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// authority is pebble, the certificate authority that Let's Encrypt offers for
// tests: the real protocol on loopback. It asks our own resolver where names are.
type authority struct {
	tb         testing.TB
	Directory  string // its URL, as --acme-directory takes it
	Roots      string // a PEM file: whoever trusts it can ask the authority
	management string
	config     string // file
	gate       *gate  // on the way to it
	resolver   *resolver
	cmd        *exec.Cmd
	out        logBuffer
}

// authorityOptions are what differs from one test to the next.
type authorityOptions struct {
	Validity   time.Duration // of certificates; 0 means 90 days
	NonceFails string        // percent of good nonces that are refused; "" means none
	Gate       string        // how the way to it is at first; "" means open
}

// newAuthority makes an authority that tries names at the ports of the sockets.
func newAuthority(tb testing.TB, s *sockets, o authorityOptions) *authority {
	tb.Helper()
	if _, err := exec.LookPath("pebble"); err != nil {
		tb.Skip("no pebble here: no certificate authority to ask")
	}
	dir := tb.TempDir()
	a := &authority{
		tb: tb, Roots: filepath.Join(dir, "roots.pem"), config: filepath.Join(dir, "pebble.json"), resolver: newResolver(tb),
	}
	serverCertificate(tb, dir, a.Roots)
	address, management := freeAddress(tb), freeAddress(tb)
	a.gate = newGate(tb, address, orElse(o.Gate, "open"))
	a.Directory, a.management = "https://"+a.gate.address+"/dir", "https://"+management
	if o.Validity == 0 {
		o.Validity = 90 * 24 * time.Hour
	}
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "managementListenAddress": management,
		"certificate": filepath.Join(dir, "leaf.pem"), "privateKey": filepath.Join(dir, "leaf.key"),
		"httpPort": port(s.Plain), "tlsPort": port(s.TLS), "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"validityPeriod": int(o.Validity.Seconds())}},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(a.config, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	a.start(o, "https://"+address+"/dir")
	return a
}

func (a *authority) start(o authorityOptions, directory string) {
	a.tb.Helper()
	a.cmd = exec.Command("pebble", "-config", a.config, "-dnsserver", a.resolver.address)
	a.cmd.Env = append(os.Environ(),
		"PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT="+orElse(o.NonceFails, "0"))
	out := &lineWriter{log: &a.out}
	a.cmd.Stdout, a.cmd.Stderr = out, out
	if err := a.cmd.Start(); err != nil {
		a.tb.Fatal(err)
	}
	a.tb.Cleanup(func() {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
		if a.tb.Failed() {
			a.tb.Logf("the authority:\n%s", tail(a.out.String(), 30))
		}
	})
	client := a.client()
	await(a.tb, "the authority answers", func() bool {
		res, err := client.Get(directory)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// client trusts the authority's own server.
func (a *authority) client() *http.Client {
	a.tb.Helper()
	text, err := os.ReadFile(a.Roots)
	if err != nil {
		a.tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
	return &http.Client{Timeout: 10 * time.Second, Transport: transport}
}

// issued are the roots of what it issues; another start has other ones.
func (a *authority) issued() *x509.CertPool {
	a.tb.Helper()
	res, err := a.client().Get(a.management + "/roots/0")
	if err != nil {
		a.tb.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		a.tb.Fatalf("no root: %s", text)
	}
	return pool
}

// lineWriter writes to a log by lines.
type lineWriter struct {
	log  *logBuffer
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		w.log.add(string(line))
		w.rest = rest
	}
}

// gate leads to an address, unless it is told otherwise.
type gate struct {
	address string
	mu      sync.Mutex
	change  *sync.Cond
	is      string // open, held (connections wait) or shut (they are closed)
}

func newGate(tb testing.TB, to, is string) *gate {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	g := &gate{address: l.Addr().String(), is: is}
	g.change = sync.NewCond(&g.mu)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.lead(c, to)
		}
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		g.set("shut")
	})
	return g
}

func (g *gate) set(is string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.is = is
	g.change.Broadcast()
}

func (g *gate) lead(c net.Conn, to string) {
	defer c.Close()
	g.mu.Lock()
	for g.is == "held" {
		g.change.Wait()
	}
	open := g.is == "open"
	g.mu.Unlock()
	if !open {
		return
	}
	behind, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer behind.Close()
	go func() {
		_, _ = io.Copy(behind, c)
		_ = behind.Close()
	}()
	_, _ = io.Copy(c, behind)
}

// resolver answers where names are.
type resolver struct {
	address string
	mu      sync.Mutex
	at      string // the address of every name; "" for none
}

// newResolver answers every name with 127.0.0.1.
func newResolver(tb testing.TB) *resolver {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &resolver{address: l.Addr().String(), at: "127.0.0.1"}
	srv := &dns.Server{Listener: l, Handler: r}
	ended := make(chan error, 1)
	go func() { ended <- srv.ActivateAndServe() }()
	tb.Cleanup(func() {
		_ = srv.Shutdown()
		<-ended
	})
	return r
}

func (r *resolver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	r.mu.Lock()
	at := r.at
	r.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	if name := q.Question[0]; name.Qtype == dns.TypeA && at != "" {
		head := dns.RR_Header{Name: name.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}
		m.Answer = append(m.Answer, &dns.A{Hdr: head, A: net.ParseIP(at)})
	}
	_ = w.WriteMsg(m)
}

// lead makes names lead to an address, "" to none.
func (r *resolver) lead(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = to
}

// serverCertificate makes the authority's own server certificate, leaf.pem and
// leaf.key in dir, and writes the root that it hangs on.
func serverCertificate(tb testing.TB, dir, roots string) {
	tb.Helper()
	type pair struct {
		*x509.Certificate
		key *ecdsa.PrivateKey
	}
	issue := func(name string, by *pair) *pair {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			IsCA: by == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
		if by == nil {
			by = &pair{c, key}
		}
		der, err := x509.CreateCertificate(rand.Reader, c, by.Certificate, &key.PublicKey, by.key)
		if err != nil {
			tb.Fatal(err)
		}
		if c, err = x509.ParseCertificate(der); err != nil {
			tb.Fatal(err)
		}
		return &pair{c, key}
	}
	ca := issue("authority's server root", nil)
	leaf := issue("authority's server", ca)
	der, err := x509.MarshalPKCS8PrivateKey(leaf.key)
	if err != nil {
		tb.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		roots: {Type: "CERTIFICATE", Bytes: ca.Raw}, filepath.Join(dir, "leaf.pem"): {Type: "CERTIFICATE", Bytes: leaf.Raw},
		filepath.Join(dir, "leaf.key"): {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// sockets are listening sockets that servers are given, one after the other, as by
// a service manager.
type sockets struct{ TLS, Plain *net.TCPListener }

func newSockets(tb testing.TB) *sockets {
	tb.Helper()
	listen := func() *net.TCPListener {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = l.Close() })
		return l
	}
	return &sockets{listen(), listen()}
}

// hand hands them to a command that is to be started. Only the process itself knows
// its number, so a shell tells it.
func (s *sockets) hand(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	for _, l := range []*net.TCPListener{s.TLS, s.Plain} {
		f, err := l.File()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = f.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		tb.Skip("no sh here")
	}
	cmd.Path, cmd.Args = shell, append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, cmd.Args...)
	cmd.Env = append(cmd.Env, "LISTEN_FDS=2", "LISTEN_FDNAMES=https:http")
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// freeAddress is an address on which nobody listens.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port(l)))
}
