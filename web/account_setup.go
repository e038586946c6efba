package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"
)

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
	if err := readForm(r); err != nil {
		return err
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
	if errors.Is(err, errLinkUsed) {
		return s.showSetup(w, r, http.StatusForbidden, "", "")
	}
	if err != nil {
		return err
	}
	s.passwordChanged(r, "by a link")
	s.logIn(w, r, s.auth.account.Mark())
	return seeOther(w, "/")
}
