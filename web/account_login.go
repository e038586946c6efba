package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
)

// loginView is what the login page shows.
type loginView struct {
	Password  bool // there is one
	Used      bool // came by a link that is not good any more
	Next      string
	Problem   string
	Elsewhere bool // another website's link led here, without the cookie
	Unencrypt bool
}

// sendToLogin redirects a browser to the login page, and from there back to
// where it was. A form is not sent again by itself.
func (s *Server) sendToLogin(w http.ResponseWriter, r *http.Request) {
	next := "/"
	if safe(r.Method) {
		next = ownPath(r.URL.RequestURI())
	}
	target := "/login"
	if next != "/" {
		target += "?" + url.Values{"next": {next}}.Encode()
	}
	_ = seeOther(w, target)
}

// ownPath returns next when it is a path of this site, with a query or without,
// else "/".
func ownPath(next string) string {
	u, err := url.Parse(next)
	switch {
	case err != nil || len(next) > 2000:
	case !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.HasPrefix(u.Path, "//"):
	case u.Scheme != "" || u.Host != "" || u.User != nil || u.Fragment != "":
	case strings.Contains(next, " ") || strings.ContainsFunc(next+u.Path, func(c rune) bool { return c < ' ' || c == '\\' || c == 0x7f }):
	case u.Path == "/login" || u.Path == "/setup" || u.Path == "/logout":
	default:
		return next
	}
	return "/"
}

func seeOther(w http.ResponseWriter, target string) error {
	w.Header().Set("Location", target)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// readForm reads a form that was sent.
func readForm(r *http.Request) error {
	err := r.ParseForm()
	if err == nil {
		return nil
	}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return err
	}
	return refuse(http.StatusBadRequest, "The form can't be read", "Load the page again and fill it in anew.")
}

// inTheClear reports whether a password would pass over a network unencrypted.
func (g *gatekeeper) inTheClear(r *http.Request) bool {
	return !g.encrypted(r) && !straightFromHere(r)
}

// loginPage asks for the password, or tells how to come in without one. With a
// one-time link it begins a session.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if r.URL.Query().Has("link") {
		return s.enterByLink(w, r, r.URL.Query().Get("link"))
	}
	next := ownPath(r.URL.Query().Get("next"))
	if visitorOf(r).entry != entryNone {
		return seeOther(w, next)
	}
	return s.showLogin(w, r, http.StatusOK, loginView{Next: next})
}

// enterByLink begins a session with a one-time link and uses the link up. That is
// the one thing that a GET changes here: only who has the link can do it, and what
// merely looks ahead, with HEAD or for a preview, does not.
func (s *Server) enterByLink(w http.ResponseWriter, r *http.Request, token string) error {
	if r.Method != http.MethodGet || looksAhead(r) {
		return refuse(http.StatusServiceUnavailable, "Not loaded in advance", "This link works once, so it has to be opened itself.")
	}
	err := s.logins.use(time.Now(), token, func() error {
		s.logIn(w, r, s.auth.account.Mark())
		return nil
	})
	if err != nil && visitorOf(r).entry != entryNone { // loaded again
		return seeOther(w, "/")
	}
	if err != nil {
		refusal := refuse(http.StatusForbidden, "This link does not work",
			"It was used, is older than 30 minutes, or was made before the last restart. "+
				"`stockroom open` on the server's machine makes another.")
		s.noteRefusal(r, refusal)
		if wantsPage(r) {
			return s.showLogin(w, r, refusal.Status, loginView{Next: "/", Used: true})
		}
		return refusal
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		// The browser does not take the cookie along on a redirect that another
		// page began, but it does when this page leads on.
		w.Header().Set("Refresh", "0;url=/")
		return s.show(w, r, sheet{Template: "account_entered.html", Title: "Opening", Bare: true})
	}
	return seeOther(w, "/")
}

// looksAhead reports whether nobody may ever see the answer.
func looksAhead(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if purpose := strings.ToLower(r.Header.Get(name)); strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "preview") {
			return true
		}
	}
	return false
}

// NewLoginLink returns path and query of a link that opens the status page, and
// until when it is good. It works once.
func (s *Server) NewLoginLink(now time.Time) (path string, until time.Time) {
	token, until := s.logins.make(now)
	return "/login?link=" + token, until
}

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request, status int, v loginView) error {
	v.Password = s.auth.account.Mark() != ""
	v.Elsewhere = r.Header.Get("Sec-Fetch-Site") == "cross-site"
	v.Unencrypt = v.Password && s.auth.inTheClear(r)
	return s.show(w, r, sheet{Template: "account_login.html", Title: "Log in", Bare: true, Status: status, Data: v})
}

// loginForm checks the password and begins a session. The browser gets a new
// session whatever cookie it came with.
func (s *Server) loginForm(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := readForm(r); err != nil {
		return err
	}
	next := ownPath(r.PostForm.Get("next"))
	mark := s.auth.account.Mark() // before the check: a password changed meanwhile lets nobody in
	if mark == "" {
		if visitorOf(r).entry != entryNone {
			return seeOther(w, next)
		}
		return s.showLogin(w, r, http.StatusForbidden, loginView{Next: next})
	}
	from := s.auth.clientOf(r)
	if refusal := s.auth.passwords.check(s.auth.guesserOf(r), r.PostForm.Get("password")); refusal != nil {
		s.lines.Warn("login refused", "from", from.String(), "reason", refusal.Title)
		if !wantsPage(r) {
			if refusal.Status == http.StatusUnauthorized {
				s.auth.challenge(w.Header(), r)
			}
			return refusal
		}
		status, problem := refusal.Status, refusal.Detail
		if status == http.StatusUnauthorized {
			// 401 would have to name a way to authenticate, and browsers know only their own.
			status, problem = http.StatusForbidden, "This is not the password."
		}
		return s.showLogin(w, r, status, loginView{Next: next, Problem: problem})
	}
	s.logIn(w, r, mark)
	return seeOther(w, next)
}

// logIn begins a session for the browser in place of the one it has.
func (s *Server) logIn(w http.ResponseWriter, r *http.Request, mark string) {
	from := s.auth.clientOf(r).String()
	now := time.Now()
	if key, _, ok := s.auth.sessionOf(now, r, mark); ok {
		if err := s.auth.sessions.finish(key); err != nil && !errors.Is(err, errNoSession) {
			s.log.Warn("the session before this login can't be removed from disk", "error", err.Error())
		}
	}
	s.auth.setCookie(w.Header(), r, s.auth.sessions.begin(now, mark, from, r.UserAgent()))
	if mark != "" {
		s.auth.addCookie(w.Header(), r, deviceSuffix, deviceCookie(mark), deviceLife)
	}
	s.audit.Info("logged in", "from", from)
}

// logOut ends the session of the browser that asks.
func (s *Server) logOut(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	s.auth.setCookie(w.Header(), r, "")
	if v := visitorOf(r); v.entry == entrySession {
		if err := s.auth.sessions.finish(v.session); err != nil && !errors.Is(err, errNoSession) {
			return endedHereOnly(s, "session", err)
		}
		s.audit.Info("logged out", "from", s.auth.clientOf(r).String())
	}
	return seeOther(w, "/login")
}

// endedHereOnly tells that sessions, or a token, are over but the disk does not know
// yet.
func endedHereOnly(s *Server, what string, err error) error {
	s.log.Error("what was ended can't be removed from disk", "what", what, "error", err.Error())
	return refuse(http.StatusServiceUnavailable, "Ended, but not on disk",
		"The "+what+" is over, but that could not be written: it would be valid again after a restart. Do it again when the disk can be written.")
}

// canLogOut reports whether the request belongs to a session that can be ended.
func (s *Server) canLogOut(r *http.Request) bool { return visitorOf(r).entry == entrySession }
