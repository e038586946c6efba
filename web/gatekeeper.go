package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Account keeps the password of the status page.
type Account interface {
	// Mark names the password in force, "" when there is none. Another password
	// has another mark, the same one the same mark after a restart. It is told to
	// nobody.
	Mark() string
	// Verify reports whether text is the password. It may be slow.
	Verify(text string) bool
	// SetPassword and ClearPassword take effect at once and for good, or return
	// an error; a *Refusal when the settings forbid it.
	SetPassword(text string) error
	ClearPassword() error
	// Fixed says which setting holds the password, so that it can't be changed
	// here; "" when none does.
	Fixed() string
}

// entry is how a request was let in.
type entry uint8

const (
	entryNone     entry = iota // not let in: only the open pages
	entryToken                 // with the admin token
	entryReader                // with a named token that may only read
	entryPassword              // with the password, by HTTP Basic
	entrySession               // with a session's cookie
	entryDemo                  // to a demo, straight from this machine
)

// visitor is who sent a request.
type visitor struct {
	entry   entry
	session sessionKey      // of entrySession
	ctx     context.Context // ends when the right to be here does; nil for never
	ends    time.Time       // when it does at the latest, zero for no such time
}

type visitorKey struct{}

// visitorOf returns who sent a request that the guard has seen.
func visitorOf(r *http.Request) visitor {
	v, _ := r.Context().Value(visitorKey{}).(visitor)
	return v
}

// gatekeeper decides whether a request may reach the admin side.
type gatekeeper struct {
	token     [sha256.Size]byte
	hasToken  bool
	account   Account
	passwords *passwordCheck
	sessions  *sessions
	readers   *readTokens
	demo      bool // the data is invented: whoever is on this machine may come in
	proxies   []netip.Prefix
	origin    *http.CrossOriginProtection

	mu    sync.Mutex
	epoch context.Context // of whom the password let in, or its absence; ends with the password
	turn  context.CancelFunc
}

func newGatekeeper(o Options) *gatekeeper {
	g := &gatekeeper{
		token: sha256.Sum256([]byte(o.Token)), hasToken: o.Token != "", account: o.Account, proxies: o.TrustedProxies,
		origin: http.NewCrossOriginProtection(), sessions: newSessions(o.Keeper, o.Logger),
		readers: newReadTokens(o.Keeper, o.Logger), demo: o.Demo,
	}
	if g.account == nil {
		g.account = noAccount{}
	}
	g.passwords = newPasswordCheck(g.account)
	g.epoch, g.turn = context.WithCancel(context.Background())
	return g
}

// newEpoch ends what is under way for whom the old password, or the absence of
// one in a demo, had let in: an event stream would go on for ever.
func (g *gatekeeper) newEpoch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	g.epoch, g.turn = context.WithCancel(context.Background())
}

func (g *gatekeeper) thisEpoch() context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch
}

// openPath reports whether a path is for those who are not logged in yet. What is
// behind it decides for itself; what pages are made of is no secret.
func openPath(path string) bool {
	return path == "/login" || path == "/setup" || path == "/readyz" || strings.HasPrefix(path, "/assets/")
}

// judge returns who sent a request, or why it may not go on.
func (g *gatekeeper) judge(r *http.Request) (visitor, *Refusal) {
	if bearer, ok := credentials(r, "Bearer"); ok {
		return g.bearer(r, bearer)
	}
	if fetchedByOtherSite(r) {
		return visitor{}, refuse(http.StatusForbidden, "Another website asked", "Another website tried to load this. Open the status page itself.")
	}
	v, refusal := g.identify(r)
	if refusal != nil && !openPath(r.URL.Path) {
		return visitor{}, refusal
	}
	if g.origin.Check(r) != nil {
		return visitor{}, refuse(http.StatusForbidden, "Another website asked", "The request comes from another website. Use the button on the status page itself.")
	}
	return v, nil
}

// bearer judges a token. It is hashed once, however many there are.
func (g *gatekeeper) bearer(r *http.Request, token string) (visitor, *Refusal) {
	sum := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1 && g.hasToken {
		return visitor{entry: entryToken}, nil
	}
	ctx, ok := g.readers.find(time.Now(), sum)
	if !ok {
		return visitor{}, refuse(http.StatusUnauthorized, "Wrong token",
			"The token is neither the one in admin.json, which is another one after each start, nor one that `stockroom token list` shows.")
	}
	if !safe(r.Method) {
		return visitor{}, refuse(http.StatusForbidden, "This token only reads",
			"The token was made with `stockroom token add`, so it can read and change nothing. The one in admin.json in the data dir can.")
	}
	return visitor{entry: entryReader, ctx: ctx}, nil
}

// identify looks at what a browser or curl sends.
func (g *gatekeeper) identify(r *http.Request) (visitor, *Refusal) {
	epoch := g.thisEpoch() // before the mark: a change in between ends this visit
	mark, now := g.account.Mark(), time.Now()
	if g.demo && mark == "" {
		if refusal := judgeLocal(r); refusal != nil {
			return visitor{}, refusal
		}
		return visitor{entry: entryDemo, ctx: epoch}, nil
	}
	if _, given := credentials(r, "Basic"); given && mark != "" {
		_, password, _ := r.BasicAuth()
		if refusal := g.passwords.check(g.guesserOf(r), password); refusal != nil {
			return visitor{}, refusal
		}
		return visitor{entry: entryPassword, ctx: epoch}, nil
	}
	if key, one, ok := g.sessionOf(now, r, mark); ok {
		return visitor{entry: entrySession, session: key, ctx: one.ctx, ends: one.Began.Add(sessionLife)}, nil
	}
	if mark == "" {
		return visitor{}, refuse(http.StatusUnauthorized, "A link or a token is needed",
			"Run `stockroom open` on the server's machine for a link to the status page. Scripts send a token, which `stockroom token add NAME` makes.")
	}
	return visitor{}, refuse(http.StatusUnauthorized, "Log in first",
		"Open /login in a browser, send the password with HTTP Basic and any user name, or send a token, which `stockroom token add NAME` makes.")
}

// sessionOf returns the session of a request's cookie.
func (g *gatekeeper) sessionOf(now time.Time, r *http.Request, mark string) (sessionKey, *session, bool) {
	for i, c := range r.CookiesNamed(g.cookieName(r)) {
		if i == cookiesTried {
			break
		}
		if key, one, ok := g.sessions.find(now, c.Value, mark); ok {
			return key, one, true
		}
	}
	return sessionKey{}, nil, false
}

// credentials returns what follows the scheme in the Authorization header.
func credentials(r *http.Request, scheme string) (string, bool) {
	given, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return rest, strings.EqualFold(given, scheme)
}

// judgeLocal is the rule of a demo: straight from this machine, and from our own
// page when something changes.
func judgeLocal(r *http.Request) *Refusal {
	if !straightFromHere(r) {
		return refuse(http.StatusForbidden, "Only from this machine",
			"A demo answers this machine only, not through a proxy. Send the token of admin.json, or run `stockroom serve`.")
	}
	if safe(r.Method) || r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return nil
	}
	if origin, err := url.Parse(r.Header.Get("Origin")); err == nil && origin.Host != "" && origin.Host == r.Host {
		return nil
	}
	return refuse(http.StatusForbidden, "The token is missing",
		`This changes something, so it needs the token of admin.json in the data dir: curl -H "Authorization: Bearer TOKEN" ...`)
}

// challenge tells how to log in. To a browser only bearer tokens are named: on
// hearing of Basic it would open a window of its own over the page.
func (g *gatekeeper) challenge(answer http.Header, r *http.Request) {
	if r.Header.Get("Sec-Fetch-Mode") != "" || wantsPage(r) || g.account.Mark() == "" {
		answer.Set("WWW-Authenticate", `Bearer realm="Stockroom"`)
		return
	}
	answer.Set("WWW-Authenticate", `Basic realm="Stockroom", charset="UTF-8"`)
}

// whileWelcome returns r with a context that ends when its sender's right to be
// here does, and who that is. release is called when it is answered.
func (v visitor) whileWelcome(r *http.Request) (in *http.Request, release func()) {
	ctx := context.WithValue(r.Context(), visitorKey{}, v)
	if v.ctx == nil {
		return r.WithContext(ctx), func() {}
	}
	var cancel context.CancelFunc
	if v.ends.IsZero() {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithDeadline(ctx, v.ends)
	}
	stop := context.AfterFunc(v.ctx, cancel)
	return r.WithContext(ctx), func() { stop(); cancel() }
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

// noAccount is the Account of a server that has nowhere to keep a password.
type noAccount struct{}

func (noAccount) Mark() string         { return "" }
func (noAccount) Verify(string) bool   { return false }
func (noAccount) Fixed() string        { return "" }
func (noAccount) ClearPassword() error { return nil }
func (noAccount) SetPassword(string) error {
	return refuse(http.StatusConflict, "No password can be kept", "This server has nowhere to keep a password.")
}
