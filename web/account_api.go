package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/answer"
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
		return endedHereOnly(s, "session", err)
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
	if err := answer.ReadJSON(r, &body); err != nil {
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

// apiSetupLink makes a link for setting the password. It works once; a link that
// was made before it works no more.
func (s *Server) apiSetupLink(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := ownerOnly(r); err != nil {
		return err
	}
	if fixed := s.auth.account.Fixed(); fixed != "" {
		return PasswordFixed(fixed)
	}
	token, until := s.setup.make(time.Now())
	s.audit.Info("a link for setting the password was made", "good_until", until.UTC().Format(time.RFC3339))
	return tellLink(w, "/setup?token="+token, until)
}

// apiLoginLink makes a link to the status page.
func (s *Server) apiLoginLink(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := ownerOnly(r); err != nil {
		return err
	}
	path, until := s.NewLoginLink(time.Now())
	s.audit.Info("a link to the status page was made", "good_until", until.UTC().Format(time.RFC3339))
	return tellLink(w, path, until)
}

func tellLink(w http.ResponseWriter, path string, until time.Time) error {
	return writeJSON(w, http.StatusCreated, map[string]any{"path": path, "expires_at": until})
}

// notToReaders refuses a token that only reads: it is for the catalogue and how it
// stands, not for who may come in.
func notToReaders(serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		if visitorOf(r).entry == entryReader {
			return refuse(http.StatusForbidden, "Not with this token",
				"A token made with `stockroom token add` does not tell who may come in. Use the one in admin.json in the data dir.")
		}
		return serve(w, r, p)
	}
}

// apiTokens lists the read-only tokens.
func (s *Server) apiTokens(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	return writeJSON(w, http.StatusOK, map[string]any{"tokens": s.auth.readers.list()})
}

// apiAddToken makes a read-only token and tells it, this once.
func (s *Server) apiAddToken(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	var body struct {
		Name string `json:"name"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return err
	}
	token, one, err := s.auth.readers.add(time.Now(), body.Name)
	if err != nil {
		return err
	}
	s.audit.Info("a read-only token was added", "name", body.Name, "from", s.auth.clientOf(r).String())
	return writeJSON(w, http.StatusCreated, map[string]any{"name": body.Name, "token": token, "created_at": one.Made})
}

func (s *Server) apiRemoveToken(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	if err := s.dropToken(r, p.ByName("name")); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"removed": 1})
}

// dropToken removes a read-only token.
func (s *Server) dropToken(r *http.Request, name string) error {
	err := s.auth.readers.remove(name)
	if errors.Is(err, errNoToken) {
		return refuse(http.StatusNotFound, "No such token", "There is no token of this name; `stockroom token list` shows those there are.")
	}
	if err != nil {
		return endedHereOnly(s, "token", err)
	}
	s.audit.Info("a read-only token was removed", "name", name, "from", s.auth.clientOf(r).String())
	return nil
}

// PasswordFixed says that a setting holds the password.
func PasswordFixed(setting string) *Refusal {
	return &Refusal{
		Status: http.StatusConflict, Title: "Declared by the environment", Code: CodeDeclared,
		Detail: "The password comes from " + setting + ". Change it there and restart, or remove that setting to keep a password here.",
	}
}
