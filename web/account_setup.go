package web

import (
	"errors"
	"net/http"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
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
