package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	passwordBurst  = 10              // wrong passwords an address may send at once
	passwordEvery  = 6 * time.Second // one more after that long
	passwordMemory = time.Minute     // how long a right password is known without verifying it anew
	addressesKept  = 1024
)

// gatekeeper decides whether a request may reach the admin side.
type gatekeeper struct {
	token    [sha256.Size]byte
	hasToken bool
	password func(string) bool
	origin   *http.CrossOriginProtection

	mu       sync.Mutex // held while a password is verified, which is slow on purpose
	key      [32]byte
	known    [sha256.Size]byte // keyed hash of the password that was right last
	knownTil time.Time
	failures *lru.LRU[netip.Prefix, *rate.Limiter]
	overall  *rate.Limiter
}

func newGatekeeper(token string, password func(string) bool) *gatekeeper {
	failures, err := lru.NewLRU[netip.Prefix, *rate.Limiter](addressesKept, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	g := &gatekeeper{
		token: sha256.Sum256([]byte(token)), hasToken: token != "", password: password,
		origin: http.NewCrossOriginProtection(), failures: failures,
		overall: rate.NewLimiter(rate.Every(passwordEvery/10), 10*passwordBurst),
	}
	rand.Read(g.key[:]) // never fails
	return g
}

// judge returns nil when the request may go on.
func (g *gatekeeper) judge(answer http.Header, r *http.Request) *Refusal {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if g.rightToken(bearer) {
			return nil
		}
		return refuse(http.StatusUnauthorized, "Wrong token", "The token is not the one of this server; it is in admin.json in the data dir.")
	}
	if fetchedByOtherSite(r) {
		return refuse(http.StatusForbidden, "Another website asked", "Another website tried to load this. Open the status page itself.")
	}
	if g.password == nil {
		return g.judgeLocal(r)
	}
	if refusal := g.judgePassword(answer, r); refusal != nil {
		return refusal
	}
	if g.origin.Check(r) != nil {
		return otherOrigin()
	}
	return nil
}

func (g *gatekeeper) rightToken(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1 && g.hasToken
}

// judgeLocal is the rule without a password: straight from this machine, and
// from our own page when something changes.
func (g *gatekeeper) judgeLocal(r *http.Request) *Refusal {
	if !straightFromHere(r) {
		return refuse(http.StatusForbidden, "Only from this machine",
			"Without a password the status page answers this machine only, not through a proxy. Set --admin-password-file, or send the token.")
	}
	if safe(r.Method) {
		return nil
	}
	if g.origin.Check(r) != nil {
		return otherOrigin()
	}
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return nil
	}
	if origin, err := url.Parse(r.Header.Get("Origin")); err == nil && origin.Host != "" && origin.Host == r.Host {
		return nil
	}
	return refuse(http.StatusForbidden, "The token is missing",
		`This changes something, so it needs the token of admin.json in the data dir: curl -H "Authorization: Bearer TOKEN" ...`)
}

func otherOrigin() *Refusal {
	return refuse(http.StatusForbidden, "Another website asked", "The request comes from another website. Use the button on the status page itself.")
}

// judgePassword checks HTTP Basic, whatever the user name.
func (g *gatekeeper) judgePassword(answer http.Header, r *http.Request) *Refusal {
	_, password, ok := r.BasicAuth()
	if !ok {
		answer.Set("WWW-Authenticate", `Basic realm="Stockroom", charset="UTF-8"`)
		return refuse(http.StatusUnauthorized, "The password is missing", "Send the password with HTTP Basic and any user name, or the token as a bearer token.")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	mac := hmac.New(sha256.New, g.key[:])
	mac.Write([]byte(password))
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	if subtle.ConstantTimeCompare(sum[:], g.known[:]) == 1 && now.Before(g.knownTil) {
		return nil
	}
	limiter := g.limiterOf(r.RemoteAddr)
	if limiter.TokensAt(now) < 1 || g.overall.TokensAt(now) < 1 {
		return &Refusal{Status: http.StatusTooManyRequests, Title: "Too many wrong passwords", RetryAfter: int(passwordEvery / time.Second),
			Detail: "Wait a few seconds before the next try."}
	}
	if g.password(password) {
		g.known, g.knownTil = sum, now.Add(passwordMemory)
		return nil
	}
	limiter.AllowN(now, 1)
	g.overall.AllowN(now, 1)
	answer.Set("WWW-Authenticate", `Basic realm="Stockroom", charset="UTF-8"`)
	return refuse(http.StatusUnauthorized, "Wrong password", "The password is not the one that was set with --admin-password-file.")
}

func (g *gatekeeper) limiterOf(remote string) *rate.Limiter {
	a := peerOf(remote)
	bits := 32
	if a.Is6() {
		bits = 64 // a customer's whole network
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		prefix = netip.Prefix{}
	}
	limiter, ok := g.failures.Get(prefix)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(passwordEvery), passwordBurst)
		g.failures.Add(prefix, limiter)
	}
	return limiter
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// fetchedByOtherSite reports whether another website's page asked for this
// other than by a link: it can't read the answer, and has no business making
// us work for it.
func fetchedByOtherSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return !safe(r.Method) || r.Header.Get("Sec-Fetch-Mode") != "navigate"
	}
	return false
}

// straightFromHere reports whether the peer is on this machine and no proxy
// stands between: a tunnel or proxy on this machine would otherwise open the
// page to whoever reaches it.
func straightFromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Cf-Connecting-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return peerOf(r.RemoteAddr).IsLoopback()
}

func peerOf(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
