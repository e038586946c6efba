package admit

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/logbook"
	"stockroom/internal/telemetry"
)

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

// Visitor is who sent a request.
type Visitor struct {
	entry   entry
	session sessionKey      // of entrySession
	ctx     context.Context // ends when the right to be here does; nil for never
	ends    time.Time       // when it does at the latest, zero for no such time
}

type visitorKey struct{}

// VisitorOf returns who sent a request that came by Guard.
func VisitorOf(r *http.Request) Visitor {
	v, _ := r.Context().Value(visitorKey{}).(Visitor)
	return v
}

// Admitted reports whether the visitor was let in; others see the open pages only.
func (v Visitor) Admitted() bool { return v.entry != entryNone }

// IsOwner reports whether the visitor has the admin token. It is in a file that only
// the owner of the data dir can read, so it stands above the password.
func (v Visitor) IsOwner() bool { return v.entry == entryToken }

// OnlyReads reports whether the visitor has a token that changes nothing.
func (v Visitor) OnlyReads() bool { return v.entry == entryReader }

// HasSession reports whether the visitor came by a session, which can be ended.
func (v Visitor) HasSession() bool { return v.entry == entrySession }

// Options are the gate's settings. Account and Keeper are required.
type Options struct {
	// Token is the admin token; "" accepts none.
	Token string
	// Account keeps the password of the status page.
	Account Account
	// Keeper keeps sessions and read-only tokens over a restart.
	Keeper  Keeper
	Proxies Proxies
	// Hosts are further names under which the admin side may be opened, with or
	// without a port. Loopback names and the address of the connection are
	// always allowed.
	Hosts []string
	Demo  bool // the data is invented: whoever is on this machine may come in
}

// Gate decides whether a request may reach the admin side. It is safe for concurrent
// use and needs no closing.
type Gate struct {
	Proxies
	token    [sha256.Size]byte
	hasToken bool
	demo     bool
	account  Account
	hosts    map[string]bool
	origin   *http.CrossOriginProtection

	passwords *passwordCheck
	sessions  *sessions
	readers   *readTokens
	setup     *links // for setting the password
	logins    *links // to the status page

	log   *slog.Logger
	audit *slog.Logger // for what a person does
	lines *slog.Logger // for what a stranger can cause

	mu    sync.Mutex
	epoch context.Context // of whom the password let in, or its absence; ends with the password
	turn  context.CancelFunc
}

// New returns a gate.
func New(o Options, log *slog.Logger) *Gate {
	g := &Gate{
		Proxies: o.Proxies, token: sha256.Sum256([]byte(o.Token)), hasToken: o.Token != "", demo: o.Demo, account: o.Account,
		hosts: allowedHosts(o.Hosts), origin: http.NewCrossOriginProtection(),
		passwords: newPasswordCheck(o.Account), sessions: newSessions(o.Keeper, log), readers: newReadTokens(o.Keeper, log),
		setup: newLinks(setupLinks), logins: newLinks(loginLinks),
		log: log, audit: log.With(logbook.AuditKey, true), lines: telemetry.Lines(log),
	}
	g.epoch, g.turn = context.WithCancel(context.Background())
	return g
}

// newEpoch ends what is under way for whom the old password, or the absence of
// one in a demo, had let in: an event stream would go on for ever.
func (g *Gate) newEpoch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	g.epoch, g.turn = context.WithCancel(context.Background())
}

func (g *Gate) thisEpoch() context.Context {
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
func (g *Gate) judge(r *http.Request) (Visitor, *answer.Refusal) {
	if bearer, ok := credentials(r, "Bearer"); ok {
		return g.bearer(r, bearer)
	}
	if fetchedByOtherSite(r) {
		return Visitor{}, answer.Refuse(http.StatusForbidden, "Another website asked",
			"Another website tried to load this. Open the status page itself.")
	}
	v, refusal := g.identify(r)
	if refusal != nil && !openPath(r.URL.Path) {
		return Visitor{}, refusal
	}
	if g.origin.Check(r) != nil {
		return Visitor{}, answer.Refuse(http.StatusForbidden, "Another website asked",
			"The request comes from another website. Use the button on the status page itself.")
	}
	return v, nil
}

// bearer judges a token. It is hashed once, however many there are.
func (g *Gate) bearer(r *http.Request, token string) (Visitor, *answer.Refusal) {
	sum := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1 && g.hasToken {
		return Visitor{entry: entryToken}, nil
	}
	ctx, ok := g.readers.find(time.Now(), sum)
	if !ok {
		return Visitor{}, answer.Refuse(http.StatusUnauthorized, "Wrong token",
			"The token is neither the one in admin.json, which is another one after each start, "+
				"nor one that `stockroom token list` shows.")
	}
	if !safe(r.Method) {
		return Visitor{}, answer.Refuse(http.StatusForbidden, "This token only reads",
			"The token was made with `stockroom token add`, so it can read and change nothing. The one in admin.json in the data dir can.")
	}
	return Visitor{entry: entryReader, ctx: ctx}, nil
}

// identify looks at what a browser or curl sends.
func (g *Gate) identify(r *http.Request) (Visitor, *answer.Refusal) {
	epoch := g.thisEpoch() // before the mark: a change in between ends this visit
	mark, now := g.account.Mark(), time.Now()
	if g.demo && mark == "" {
		if refusal := judgeLocal(r); refusal != nil {
			return Visitor{}, refusal
		}
		return Visitor{entry: entryDemo, ctx: epoch}, nil
	}
	if _, given := credentials(r, "Basic"); given && mark != "" {
		_, password, _ := r.BasicAuth()
		if refusal := g.passwords.check(g.guesserOf(r), password); refusal != nil {
			return Visitor{}, refusal
		}
		return Visitor{entry: entryPassword, ctx: epoch}, nil
	}
	if key, one, ok := g.sessionOf(now, r, mark); ok {
		return Visitor{entry: entrySession, session: key, ctx: one.ctx, ends: one.Began.Add(sessionLife)}, nil
	}
	if mark == "" {
		return Visitor{}, answer.Refuse(http.StatusUnauthorized, "A link or a token is needed",
			"Run `stockroom open` on the server's machine for a link to the status page. Scripts send a token, which `stockroom token add NAME` makes.")
	}
	return Visitor{}, answer.Refuse(http.StatusUnauthorized, "Log in first",
		"Open /login in a browser, send the password with HTTP Basic and any user name, or send a token, which `stockroom token add NAME` makes.")
}

// sessionOf returns the session of a request's cookie.
func (g *Gate) sessionOf(now time.Time, r *http.Request, mark string) (sessionKey, *session, bool) {
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
func judgeLocal(r *http.Request) *answer.Refusal {
	if !straightFromHere(r) {
		return answer.Refuse(http.StatusForbidden, "Only from this machine",
			"A demo answers this machine only, not through a proxy. Send the token of admin.json, or run `stockroom serve`.")
	}
	if safe(r.Method) || r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return nil
	}
	if origin, err := url.Parse(r.Header.Get("Origin")); err == nil && origin.Host != "" && origin.Host == r.Host {
		return nil
	}
	return answer.Refuse(http.StatusForbidden, "The token is missing",
		`This changes something, so it needs the token of admin.json in the data dir: curl -H "Authorization: Bearer TOKEN" ...`)
}

// Challenge tells how to log in. To a browser only bearer tokens are named: on
// hearing of Basic it would open a window of its own over the page.
func (g *Gate) Challenge(header http.Header, browser bool) {
	if browser || !g.HasPassword() {
		header.Set("WWW-Authenticate", `Bearer realm="Stockroom"`)
		return
	}
	header.Set("WWW-Authenticate", `Basic realm="Stockroom", charset="UTF-8"`)
}

// whileWelcome returns r with a context that ends when its sender's right to be
// here does, and who that is. release is called when it is answered.
func (v Visitor) whileWelcome(r *http.Request) (in *http.Request, release func()) {
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
