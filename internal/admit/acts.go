package admit

import (
	"errors"
	"net/http"
	"time"

	"stockroom/internal/answer"
)

// HasPassword reports whether the status page has a password.
func (g *Gate) HasPassword() bool { return g.account.Mark() != "" }

// PasswordFixed says which setting holds the password, "" when none does.
func (g *Gate) PasswordFixed() string { return g.account.Fixed() }

// CheckPassword returns nil for the right password; wrong ones are limited.
func (g *Gate) CheckPassword(r *http.Request, password string) *answer.Refusal {
	return g.passwords.check(g.guesserOf(r), password)
}

// SetPassword sets the password and ends what the old one, or its absence, had let
// in. how is a word for the log.
func (g *Gate) SetPassword(r *http.Request, password, how string) error {
	if err := g.account.SetPassword(password); err != nil {
		return err
	}
	g.passwordChanged(r, how)
	return nil
}

// ClearPassword removes the password, with all that it had let in.
func (g *Gate) ClearPassword(r *http.Request, how string) error {
	if err := g.account.ClearPassword(); err != nil {
		return err
	}
	g.passwordChanged(r, how)
	return nil
}

// passwordChanged ends what the old password, or its absence, had let in. The
// sessions are over by their mark already; this takes them off the disk.
func (g *Gate) passwordChanged(r *http.Request, how string) {
	g.setup.void()
	g.logins.void()
	g.newEpoch()
	n, err := g.sessions.finishAll(time.Now())
	if err != nil {
		g.log.Warn("sessions of the old password can't be removed from disk; they are over all the same", "error", err.Error())
	}
	g.audit.Info("the password of the status page was changed, all sessions are over",
		"how", how, "from", g.Client(r).String(), "sessions", n)
}

// LogIn begins a session for who sends the password.
func (g *Gate) LogIn(header http.Header, r *http.Request, password string) *answer.Refusal {
	mark := g.account.Mark() // before the check: a password changed meanwhile lets nobody in
	if refusal := g.CheckPassword(r, password); refusal != nil {
		g.lines.Warn("login refused", "from", g.Client(r).String(), "reason", refusal.Title)
		return refusal
	}
	g.begin(header, r, mark)
	return nil
}

// BeginSession begins a session for who is known to be welcome.
func (g *Gate) BeginSession(header http.Header, r *http.Request) {
	g.begin(header, r, g.account.Mark())
}

// begin begins a session for the browser in place of the one it has.
func (g *Gate) begin(header http.Header, r *http.Request, mark string) {
	from, now := g.Client(r).String(), time.Now()
	if key, _, ok := g.sessionOf(now, r, mark); ok {
		if err := g.sessions.finish(key); err != nil && !errors.Is(err, ErrNoSession) {
			g.log.Warn("the session before this login can't be removed from disk", "error", err.Error())
		}
	}
	g.setCookie(header, r, g.sessions.begin(now, mark, from, r.UserAgent()))
	if mark != "" {
		g.addCookie(header, r, deviceSuffix, deviceCookie(mark), deviceLife)
	}
	g.audit.Info("logged in", "from", from)
}

// LogOut ends the session of the browser that asks.
func (g *Gate) LogOut(header http.Header, r *http.Request) error {
	g.ForgetSession(header, r)
	v := VisitorOf(r)
	if !v.HasSession() {
		return nil
	}
	if err := g.sessions.finish(v.session); err != nil && !errors.Is(err, ErrNoSession) {
		return g.endedHereOnly("session", err)
	}
	g.audit.Info("logged out", "from", g.Client(r).String())
	return nil
}

// Sessions lists who is logged in.
func (g *Gate) Sessions(r *http.Request) []SessionView {
	return g.sessions.list(time.Now(), g.account.Mark(), VisitorOf(r).session)
}

// IsOwnSession reports whether the session that goes by name in a list is the one
// that asks.
func (g *Gate) IsOwnSession(r *http.Request, name string) bool {
	key, ok := named(name)
	return ok && key == VisitorOf(r).session
}

// EndSession ends the session that goes by name in a list.
func (g *Gate) EndSession(name string) error {
	key, ok := named(name)
	if !ok {
		return ErrNoSession
	}
	err := g.sessions.finish(key)
	if err != nil && !errors.Is(err, ErrNoSession) {
		return g.endedHereOnly("session", err)
	}
	return err
}

// ForgetSession lets the browser forget its session's cookie.
func (g *Gate) ForgetSession(header http.Header, r *http.Request) { g.setCookie(header, r, "") }

// EndSessions ends every session, and the links that could begin another.
func (g *Gate) EndSessions(r *http.Request) (int, error) {
	g.logins.void()
	n, err := g.sessions.finishAll(time.Now())
	if err != nil {
		return n, g.endedHereOnly("session", err)
	}
	g.audit.Info("all sessions were ended", "from", g.Client(r).String(), "sessions", n)
	return n, nil
}

// endedHereOnly tells that sessions, or a token, are over but the disk does not know
// yet.
func (g *Gate) endedHereOnly(what string, err error) error {
	g.log.Error("what was ended can't be removed from disk", "what", what, "error", err.Error())
	return answer.Refuse(http.StatusServiceUnavailable, "Ended, but not on disk",
		"The "+what+" is over, but that could not be written: it would be valid again after a restart. "+
			"Do it again when the disk can be written.")
}

// LoginLink returns path and query of a link that opens the status page, and until
// when it is good. It works once.
func (g *Gate) LoginLink() (path string, until time.Time) {
	token, until := g.logins.make(time.Now())
	return "/login?link=" + token, until
}

// EnterByLink begins a session with the token of a link and uses the link up, or
// returns ErrLinkUsed.
func (g *Gate) EnterByLink(header http.Header, r *http.Request, token string) error {
	return g.logins.use(time.Now(), token, func() error {
		g.BeginSession(header, r)
		return nil
	})
}

// SetupLink returns path and query of a link for setting the password, and until
// when it is good. It works once; one that was made before it works no more.
func (g *Gate) SetupLink() (path string, until time.Time) {
	token, until := g.setup.make(time.Now())
	return "/setup?token=" + token, until
}

// MaySetUp reports whether the token of a link for setting the password is good. It
// uses nothing up.
func (g *Gate) MaySetUp(token string) bool { return g.setup.good(time.Now(), token) }

// SetUp sets the password by the token of a link, or returns ErrLinkUsed, and begins
// a session.
func (g *Gate) SetUp(header http.Header, r *http.Request, token, password string) error {
	if err := g.setup.use(time.Now(), token, func() error { return g.account.SetPassword(password) }); err != nil {
		return err
	}
	g.passwordChanged(r, "by a link")
	g.BeginSession(header, r)
	return nil
}

// Tokens lists the read-only tokens.
func (g *Gate) Tokens() []TokenView { return g.readers.list() }

// AddToken makes a read-only token, which is told once and then forgotten.
func (g *Gate) AddToken(r *http.Request, name string) (token string, made time.Time, err error) {
	token, one, err := g.readers.add(time.Now(), name)
	if err != nil {
		return "", time.Time{}, err
	}
	g.audit.Info("a read-only token was added", "name", name, "from", g.Client(r).String())
	return token, one.Made, nil
}

// RemoveToken ends a read-only token at once.
func (g *Gate) RemoveToken(r *http.Request, name string) error {
	err := g.readers.remove(name)
	if errors.Is(err, ErrNoToken) {
		return err
	}
	if err != nil {
		return g.endedHereOnly("token", err)
	}
	g.audit.Info("a read-only token was removed", "name", name, "from", g.Client(r).String())
	return nil
}

// InTheClear reports whether a password would pass over a network unencrypted.
func (g *Gate) InTheClear(r *http.Request) bool {
	return !g.encrypted(r) && !straightFromHere(r)
}
