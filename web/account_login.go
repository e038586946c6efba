package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
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
// where it was. A form is not sent again automatically.
func (s *Server) sendToLogin(w http.ResponseWriter, r *http.Request) {
	next := "/"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
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
	return answer.Refuse(http.StatusBadRequest, "The form can't be read", "Load the page again and fill it in once more.")
}

// loginPage asks for the password, or tells how to come in without one. With a
// one-time link it begins a session.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if r.URL.Query().Has("link") {
		return s.enterByLink(w, r, r.URL.Query().Get("link"))
	}
	next := ownPath(r.URL.Query().Get("next"))
	if admit.VisitorOf(r).Admitted() {
		return seeOther(w, next)
	}
	return s.showLogin(w, r, http.StatusOK, loginView{Next: next})
}

// enterByLink begins a session with a one-time link and uses the link up. That is
// the one thing that a GET changes here: only who has the link can do it, and what
// merely looks ahead, with HEAD or for a preview, does not.
func (s *Server) enterByLink(w http.ResponseWriter, r *http.Request, token string) error {
	if r.Method != http.MethodGet || looksAhead(r) {
		return answer.Refuse(http.StatusServiceUnavailable, "Not loaded in advance", "This link works once, so it has to be opened itself.")
	}
	err := s.gate.EnterByLink(w.Header(), r, token)
	if err != nil && admit.VisitorOf(r).Admitted() { // loaded again
		return seeOther(w, "/")
	}
	if err != nil {
		refusal := answer.Refuse(http.StatusForbidden, "This link does not work",
			"It was used, is older than 30 minutes, or was made before the last restart. "+
				"`stockroom open` on the server's machine makes another.")
		s.gate.NoteRefusal(r, refusal)
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
func (s *Server) NewLoginLink() (path string, until time.Time) { return s.gate.LoginLink() }

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request, status int, v loginView) error {
	v.Password = s.gate.HasPassword()
	v.Elsewhere = r.Header.Get("Sec-Fetch-Site") == "cross-site"
	v.Unencrypt = v.Password && s.gate.InTheClear(r)
	return s.show(w, r, sheet{Template: "account_login.html", Title: "Log in", Bare: true, Status: status, Data: v})
}

// loginForm checks the password and begins a session. The browser gets a new
// session whatever cookie it came with.
func (s *Server) loginForm(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := readForm(r); err != nil {
		return err
	}
	next := ownPath(r.PostForm.Get("next"))
	if !s.gate.HasPassword() {
		if admit.VisitorOf(r).Admitted() {
			return seeOther(w, next)
		}
		return s.showLogin(w, r, http.StatusForbidden, loginView{Next: next})
	}
	if refusal := s.gate.LogIn(w.Header(), r, r.PostForm.Get("password")); refusal != nil {
		if !wantsPage(r) {
			if refusal.Status == http.StatusUnauthorized {
				s.challenge(w, r)
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
	return seeOther(w, next)
}

// logOut ends the session of the browser that asks.
func (s *Server) logOut(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := s.gate.LogOut(w.Header(), r); err != nil {
		return err
	}
	return seeOther(w, "/login")
}

// setupView is what the page for setting the password shows.
type setupView struct {
	Token     string // "" when the link is not good
	Fixed     string // the setting that holds the password
	Replaces  bool   // there is a password already
	Shortest  int
	Problem   string
	Unencrypt bool // the password would travel in the clear
}

func (s *Server) setupPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	token := r.URL.Query().Get("token")
	if !s.gate.MaySetUp(token) {
		token = ""
	}
	return s.showSetup(w, r, http.StatusOK, token, "")
}

func (s *Server) showSetup(w http.ResponseWriter, r *http.Request, status int, token, problem string) error {
	v := setupView{
		Token: token, Fixed: s.gate.PasswordFixed(), Replaces: s.gate.HasPassword(), Shortest: admit.ShortestPassword,
		Problem: problem, Unencrypt: s.gate.InTheClear(r),
	}
	if v.Token == "" && status == http.StatusOK {
		status = http.StatusForbidden
	}
	return s.show(w, r, sheet{Template: "account_setup.html", Title: "Set the password", Bare: true, Status: status, Data: v})
}

// setUp sets the password by a link and logs the browser in.
func (s *Server) setUp(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := readForm(r); err != nil {
		return err
	}
	token, text := r.PostForm.Get("token"), r.PostForm.Get("password")
	if !s.gate.MaySetUp(token) {
		return s.showSetup(w, r, http.StatusForbidden, "", "")
	}
	if s.gate.PasswordFixed() != "" {
		return s.showSetup(w, r, http.StatusConflict, "", "")
	}
	// What is wrong with the password must not use the link up.
	if problem := admit.Weakness(text); problem != "" {
		return s.showSetup(w, r, http.StatusUnprocessableEntity, token, problem)
	}
	if text != r.PostForm.Get("again") {
		return s.showSetup(w, r, http.StatusUnprocessableEntity, token, "The two are not the same. Write it again.")
	}
	err := s.gate.SetUp(w.Header(), r, token, text)
	if errors.Is(err, admit.ErrLinkUsed) {
		return s.showSetup(w, r, http.StatusForbidden, "", "")
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/")
}
