package web

import (
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
)

// apiSessions lists who is logged in.
func (s *Server) apiSessions(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	return writeJSON(w, http.StatusOK, map[string]any{"sessions": s.gate.Sessions(r)})
}

func (s *Server) apiEndSession(w http.ResponseWriter, _ *http.Request, p httprouter.Params) error {
	if err := s.gate.EndSession(p.ByName("id")); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"ended": 1})
}

func (s *Server) apiEndSessions(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	n, err := s.gate.EndSessions(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"ended": n})
}

// ownerOnly serves who has the admin token.
func ownerOnly(serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		if !admit.VisitorOf(r).IsOwner() {
			return answer.Refuse(http.StatusForbidden, "The token is missing", "Only the admin token may do this: use `stockroom password` on the machine of the server.")
		}
		return serve(w, r, p)
	}
}

// apiPassword says whether there is a password, never what it is.
func (s *Server) apiPassword(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	return writeJSON(w, http.StatusOK, map[string]any{"set": s.gate.HasPassword(), "fixed_by": s.gate.PasswordFixed()})
}

func (s *Server) apiPutPassword(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	var body struct {
		Password string `json:"password"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return err
	}
	if problem := admit.Weakness(body.Password); problem != "" {
		return answer.Refuse(http.StatusUnprocessableEntity, "The password is too weak", problem)
	}
	if err := s.gate.SetPassword(r, body.Password, "with the token"); err != nil {
		return err
	}
	return s.apiPassword(w, r, nil)
}

func (s *Server) apiDeletePassword(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := s.gate.ClearPassword(r, "cleared with the token"); err != nil {
		return err
	}
	return s.apiPassword(w, r, nil)
}

// apiSetupLink makes a link for setting the password.
func (s *Server) apiSetupLink(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	if fixed := s.gate.PasswordFixed(); fixed != "" {
		return admit.PasswordFixed(fixed)
	}
	path, until := s.gate.SetupLink()
	return s.tellLink(w, "a link for setting the password was made", path, until)
}

// apiLoginLink makes a link to the status page.
func (s *Server) apiLoginLink(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	path, until := s.gate.LoginLink()
	return s.tellLink(w, "a link to the status page was made", path, until)
}

func (s *Server) tellLink(w http.ResponseWriter, line, path string, until time.Time) error {
	s.audit.Info(line, "good_until", until.UTC().Format(time.RFC3339))
	return writeJSON(w, http.StatusCreated, map[string]any{"path": path, "expires_at": until})
}

// notToReaders refuses a token that only reads: it is for the catalogue and how it
// stands, not for who may come in.
func notToReaders(serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		if admit.VisitorOf(r).OnlyReads() {
			return answer.Refuse(http.StatusForbidden, "Not with this token",
				"A token made with `stockroom token add` does not tell who may come in. Use the one in admin.json in the data dir.")
		}
		return serve(w, r, p)
	}
}

// apiTokens lists the read-only tokens.
func (s *Server) apiTokens(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	return writeJSON(w, http.StatusOK, map[string]any{"tokens": s.gate.Tokens()})
}

// apiAddToken makes a read-only token and tells it, this once.
func (s *Server) apiAddToken(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	var body struct {
		Name string `json:"name"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return err
	}
	token, made, err := s.gate.AddToken(r, body.Name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]any{"name": body.Name, "token": token, "created_at": made})
}

func (s *Server) apiRemoveToken(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	if err := s.gate.RemoveToken(r, p.ByName("name")); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"removed": 1})
}
