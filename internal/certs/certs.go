package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"

	"stockroom/internal/datadir"
	"stockroom/internal/folder"
	"stockroom/internal/uptime"
)

const (
	renewAt    = 0.5             // of a certificate's life is left when renewal begins
	lookEvery  = time.Minute     // whether a renewal is due
	renewsIn   = 6 * time.Hour   // at most, after a renewal that failed: certmagic's longest wait
	retryFirst = 2 * time.Minute // after a first certificate that was refused; it doubles
	retryMost  = time.Hour
)

// Options say which certificates to get. All but Logger are required.
type Options struct {
	Folder    *folder.Folder // the data dir; what is kept goes to its folder datadir.Certificates
	Names     []string       // host names in lower case
	Directory string         // address of the authority's ACME directory
	TLSPort   int            // on which TLS is listened
	HTTPPort  int            // on which Challenges answers, 0 for none
	Logger    *slog.Logger
}

// Certs gets and keeps the certificates of some names. It is safe for concurrent use.
type Certs struct {
	o      Options
	log    *slog.Logger
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer

	mu     sync.Mutex
	states map[string]*State // of Names; what the certificate itself says is not in them
	disk   error             // why nothing can be stored, since the last try
	failed time.Time         // when that was
}

// New opens what is kept. It asks nobody: see Run.
func New(o Options) *Certs {
	c := &Certs{o: o, log: o.Logger, states: map[string]*State{}}
	for _, name := range o.Names {
		c.states[name] = &State{Name: name}
	}
	into := logInto(o.Logger)
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return c.config, nil },
		RenewCheckInterval: lookEvery, Logger: into,
	})
	c.config = certmagic.New(c.cache, certmagic.Config{
		RenewalWindowRatio: renewAt, OnEvent: c.event, Logger: into,
		ShouldEmitFunc: func(event string) bool { return strings.HasPrefix(event, "cert_") },
		KeySource:      certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		Storage:        storage{&certmagic.FileStorage{Path: o.Folder.File(datadir.Certificates)}, c},
		// A start must not wait for the network. The authority that is preset ended OCSP.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	c.issuer = certmagic.NewACMEIssuer(c.config, certmagic.ACMEIssuer{
		CA: o.Directory, Agreed: true, Logger: into, DisableHTTPChallenge: o.HTTPPort == 0,
		AltHTTPPort: o.HTTPPort, AltTLSALPNPort: o.TLSPort, DisableDistributedSolvers: true,
	})
	c.config.Issuers = []certmagic.Issuer{c.issuer}
	for _, name := range o.Names {
		if err := c.load(context.Background(), name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.fail(name, err, 0)
		}
	}
	return c
}

// Close ends what New began. It does not wait for it, since the authority may be asked
// something at this moment.
func (c *Certs) Close() { go c.cache.Stop() }

// load takes what is kept for a name into use.
func (c *Certs) load(ctx context.Context, name string) error {
	_, err := c.config.CacheManagedCertificate(ctx, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errKept, err)
	}
	return err
}

var (
	errKept  = errors.New("what is kept can't be used")
	errStore = errors.New("nothing can be stored")
)

// TLS is how to serve HTTPS with the certificates.
func (c *Certs) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", acmez.ACMETLS1Protocol},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if !slices.Contains(c.o.Names, strings.ToLower(hello.ServerName)) {
				return nil, fmt.Errorf("no certificate for the name %q", hello.ServerName)
			}
			return c.config.GetCertificate(hello)
		},
	}
}

// Challenges answers what the authority asks on port 80, and hands everything else to
// next.
func (c *Certs) Challenges(next http.Handler) http.Handler {
	asked := c.issuer.HTTPChallengeHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.trying() {
			asked.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r) // else certmagic reads its files for each stranger
	})
}

// trying reports whether a certificate is asked for at this moment.
func (c *Certs) trying() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.o.Names, func(name string) bool { return c.states[name].Trying })
}

// States says how each name stands, in the order in which they were given.
func (c *Certs) States(now time.Time) []State {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []State
	for _, name := range c.o.Names {
		s := *c.states[name]
		for _, cert := range c.cache.AllMatchingCertificates(name) {
			if cert.Leaf.NotAfter.After(s.NotAfter) {
				s.NotBefore, s.NotAfter = cert.Leaf.NotBefore, cert.Leaf.NotAfter
				by := cert.Leaf.Issuer
				s.Issuer = clean(strings.TrimSpace(strings.Join(by.Organization, " ") + " " + by.CommonName))
			}
		}
		if c.disk != nil {
			s.Failed, s.Words = c.failed, c.words(name, c.disk)
			if s.Next.Before(s.Failed) {
				s.Next = s.Failed.Add(renewsIn)
			}
		}
		if s.NotBefore.After(now) {
			s.Words = fmt.Sprintf("By this machine's clock (%s) the certificate of %s is not valid yet: it begins at %s. "+
				"The clock is probably wrong: set it (timedatectl set-ntp true).",
				now.UTC().Format(time.DateTime), name, s.NotBefore.UTC().Format(time.DateTime))
		}
		all = append(all, s)
	}
	return all
}

// Run gets the certificates that are missing, renews the others, and goes on until ctx
// ends.
func (c *Certs) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, name := range c.o.Names {
		all.Go(func() {
			wait := retryFirst
			for c.missing(ctx, name, wait) {
				if !uptime.Sleep(ctx, wait) {
					return
				}
				wait = min(2*wait, retryMost)
			}
			// One that ended long ago need not wait for certmagic's next look.
			if err := c.cache.RenewManagedCertificates(ctx); err != nil && ctx.Err() == nil {
				c.fail(name, err, renewsIn)
			}
		})
	}
	all.Wait()
	<-ctx.Done()
}

// missing reports whether a name is still without a certificate after a try to get one;
// the next one begins after a time.
func (c *Certs) missing(ctx context.Context, name string, next time.Duration) bool {
	if len(c.cache.AllMatchingCertificates(name)) > 0 {
		return false
	}
	once, end := context.WithCancel(ctx)
	defer end()
	// certmagic would try for a month, on a clock of its own, without an end for a full disk.
	err := c.config.ObtainCertAsync(context.WithValue(once, tryKey{}, try{end, next}), name)
	if err == nil {
		err = c.load(ctx, name)
	}
	if err == nil || ctx.Err() != nil {
		return false
	}
	c.mu.Lock()
	s := c.states[name]
	s.Trying, s.Next = false, time.Now().Add(next)
	c.mu.Unlock()
	if once.Err() == nil { // else an event has said why
		c.fail(name, err, next)
	}
	return true
}

// try is a try for a first certificate. certmagic only tries, when the next one begins is
// said here.
type try struct {
	end  context.CancelFunc
	next time.Duration
}

type tryKey struct{} // of the context of a try

func endOf(ctx context.Context) {
	if t, ok := ctx.Value(tryKey{}).(try); ok {
		t.end()
	}
}

// event is told by certmagic what happens.
func (c *Certs) event(ctx context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	if !slices.Contains(c.o.Names, name) {
		return nil
	}
	if event == "cert_failed" {
		err, _ := data["error"].(error)
		next := renewsIn
		if t, first := ctx.Value(tryKey{}).(try); first {
			next = t.next
		}
		c.fail(name, err, next)
		endOf(ctx)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.states[name]
	if s.Trying = event == "cert_obtaining"; event == "cert_obtained" {
		*s = State{Name: name}
		c.log.Info("there is a new certificate", "name", name, "renewal", data["renewal"])
	}
	return nil
}

// fail keeps why a try failed, and within how long the next one begins.
func (c *Certs) fail(name string, err error, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.states[name]
	s.Trying, s.Failed, s.Words = false, time.Now(), c.words(name, err)
	s.Next = s.Failed.Add(next)
	c.log.Warn("no new certificate", "name", name, "because", s.Words)
}

func (c *Certs) words(name string, err error) string {
	return words(name, c.o.Directory, c.o.Folder.File(datadir.Certificates), err)
}

// storage keeps files in the data dir, and notes why it can't.
type storage struct {
	*certmagic.FileStorage
	of *Certs
}

// Store stores a file. When that fails the try ends: another one must not ask the
// authority for a certificate that can't be kept.
func (s storage) Store(ctx context.Context, key string, value []byte) error {
	err := s.of.o.Folder.Check()
	if err == nil {
		err = s.FileStorage.Store(ctx, key, value)
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.of.disk = nil; err != nil {
		s.of.disk, s.of.failed = fmt.Errorf("%w: %w", errStore, err), time.Now()
		endOf(ctx)
		return fmt.Errorf("store %s: %w", filepath.Join(datadir.Certificates, key), err)
	}
	return nil
}
