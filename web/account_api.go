package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"
)

// apiSessions lists who is logged in.
func (s *Server) apiSessions(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	return writeJSON(w, http.StatusOK, map[string]any{"sessions": s.auth.sessions.list(time.Now(), s.auth.account.Mark(), visitorOf(r).session)})
}

func (s *Server) apiEndSession(w http.ResponseWriter, _ *http.Request, p httprouter.Params) error {
	key, ok := s.auth.sessions.named(p.ByName("id"))
	err := errNoSession
	if ok {
		err = s.auth.sessions.finish(key)
	}
	if errors.Is(err, errNoSession) {
		return refuse(http.StatusNotFound, "No such session", "There is no session with this id any more; /api/v1/sessions lists those there are.")
	}
	if err != nil {
		return endedHereOnly(s, err)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"ended": 1})
}

func (s *Server) apiEndSessions(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	n, err := s.endAll(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"ended": n})
}

// ownerOnly refuses who has not the token: it is in a file that only the owner
// of the data dir can read, so it stands above the password.
func ownerOnly(r *http.Request) error {
	if visitorOf(r).entry == entryToken {
		return nil
	}
	return refuse(http.StatusForbidden, "The token is missing", "Only the admin token may do this: use `stockroom password` on the machine of the server.")
}

// apiPassword says whether there is a password, never what it is.
func (s *Server) apiPassword(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	account := s.auth.account
	return writeJSON(w, http.StatusOK, map[string]any{"set": account.Mark() != "", "fixed_by": account.Fixed()})
}

func (s *Server) apiPutPassword(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := ownerOnly(r); err != nil {
		return err
	}
	var body struct {
		Password string `json:"password"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if problem := weakness(body.Password); problem != "" {
		return refuse(http.StatusUnprocessableEntity, "The password is too weak", problem)
	}
	if err := s.auth.account.SetPassword(body.Password); err != nil {
		return err
	}
	s.passwordChanged(r, "with the token")
	return s.apiPassword(w, r, nil)
}

func (s *Server) apiDeletePassword(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := ownerOnly(r); err != nil {
		return err
	}
	if err := s.auth.account.ClearPassword(); err != nil {
		return err
	}
	s.passwordChanged(r, "cleared with the token")
	return s.apiPassword(w, r, nil)
}

// apiSetupLink makes a link for setting the password.
func (s *Server) apiSetupLink(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := ownerOnly(r); err != nil {
		return err
	}
	if fixed := s.auth.account.Fixed(); fixed != "" {
		return PasswordFixed(fixed)
	}
	path, until := s.NewSetupLink(time.Now())
	s.log.Info("a link for setting the password was made", "good_until", until.UTC().Format(time.RFC3339))
	return writeJSON(w, http.StatusCreated, map[string]any{"path": path, "expires_at": until})
}

// PasswordFixed says that a setting holds the password.
func PasswordFixed(setting string) *Refusal {
	return &Refusal{
		Status: http.StatusConflict, Title: "Declared by the environment", Code: CodeDeclared,
		Detail: "The password comes from " + setting + ". Change it there and restart, or remove that setting to keep a password here.",
	}
}
