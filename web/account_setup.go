package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"
)

// setupLife is how long a link for setting the password is good.
const setupLife = 30 * time.Minute

// setupLink is the one link for setting the password that is good. Only the
// token's hash is kept, in memory, so a restart ends it.
type setupLink struct {
	mu    sync.Mutex
	sum   [sha256.Size]byte
	until time.Time // zero: there is no link
}

// make returns the token of a new link; the one before it is no longer good.
func (l *setupLink) make(now time.Time) (token string, until time.Time) {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails
	token = base64.RawURLEncoding.EncodeToString(raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum, l.until = sha256.Sum256([]byte(token)), now.Add(setupLife)
	return token, l.until
}

// good reports whether the token is that of the link. It uses nothing up.
func (l *setupLink) good(now time.Time, token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fits(now, token)
}

// fits compares in a time that tells nothing. mu is held.
func (l *setupLink) fits(now time.Time, token string) bool {
	sum := sha256.Sum256([]byte(token))
	same := subtle.ConstantTimeCompare(sum[:], l.sum[:]) == 1
	return same && now.Before(l.until)
}

var errSetupUsed = errors.New("the link was used or is too old")

// use calls set if the token is good and, when set worked, makes the link good
// for nothing more. Of two calls with the same token one waits for the other.
func (l *setupLink) use(now time.Time, token string, set func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.fits(now, token) {
		return errSetupUsed
	}
	if err := set(); err != nil {
		return err
	}
	l.until = time.Time{}
	return nil
}

// void ends the link: the password was set in another way.
func (l *setupLink) void() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

// NewSetupLink returns path and query of a link that opens the page for setting
// the password, and until when it is good. It works once; a link that was made
// before it works no more.
func (s *Server) NewSetupLink(now time.Time) (path string, until time.Time) {
	token, until := s.setup.make(now)
	return "/setup?" + url.Values{"token": {token}}.Encode(), until
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
	if !s.setup.good(time.Now(), token) {
		token = ""
	}
	return s.showSetup(w, r, http.StatusOK, token, "")
}

func (s *Server) showSetup(w http.ResponseWriter, r *http.Request, status int, token, problem string) error {
	account := s.auth.account
	v := setupView{
		Token: token, Fixed: account.Fixed(), Replaces: account.Mark() != "", Shortest: shortestPassword,
		Problem: problem, Unencrypt: s.auth.inTheClear(r),
	}
	if v.Token == "" && status == http.StatusOK {
		status = http.StatusForbidden
	}
	return s.show(w, r, sheet{Template: "account_setup.html", Title: "Set the password", Bare: true, Status: status, Data: v})
}

// setUp sets the password by a link and logs the browser in.
func (s *Server) setUp(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	token, text := r.PostForm.Get("token"), r.PostForm.Get("password")
	if !s.setup.good(time.Now(), token) {
		return s.showSetup(w, r, http.StatusForbidden, "", "")
	}
	if s.auth.account.Fixed() != "" {
		return s.showSetup(w, r, http.StatusConflict, "", "")
	}
	// What is wrong with the password must not use the link up.
	if problem := weakness(text); problem != "" {
		return s.showSetup(w, r, http.StatusUnprocessableEntity, token, problem)
	}
	if text != r.PostForm.Get("again") {
		return s.showSetup(w, r, http.StatusUnprocessableEntity, token, "The two are not the same. Write it again.")
	}
	err := s.setup.use(time.Now(), token, func() error { return s.auth.account.SetPassword(text) })
	if errors.Is(err, errSetupUsed) {
		return s.showSetup(w, r, http.StatusForbidden, "", "")
	}
	if err != nil {
		return err
	}
	s.passwordChanged(r, "by a link")
	s.logIn(w, r, s.auth.account.Mark())
	return seeOther(w, "/")
}
