package web

import (
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
)

// apiSessions lists who is logged in.
func (s *Server) apiSessions(r *http.Request, _ httprouter.Params) (any, error) {
	return map[string]any{"sessions": s.gate.Sessions(r)}, nil
}

func (s *Server) apiEndSession(_ *http.Request, p httprouter.Params) (any, error) {
	return map[string]int{"ended": 1}, s.gate.EndSession(p.ByName("id"))
}

func (s *Server) apiEndSessions(r *http.Request, _ httprouter.Params) (any, error) {
	n, err := s.gate.EndSessions(r)
	return map[string]int{"ended": n}, err
}

// ownerOnly serves who has the admin token.
func ownerOnly(serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		if !admit.VisitorOf(r).IsOwner() {
			return answer.Refuse(http.StatusForbidden, "The token is missing",
				"Only the admin token may do this: use `stockroom password` on the machine of the server.")
		}
		return serve(w, r, p)
	}
}

// apiPassword says whether there is a password, never what it is.
func (s *Server) apiPassword(*http.Request, httprouter.Params) (any, error) {
	return map[string]any{"set": s.gate.HasPassword(), "fixed_by": s.gate.PasswordFixed()}, nil
}

func (s *Server) apiPutPassword(r *http.Request, p httprouter.Params) (any, error) {
	var body struct {
		Password string `json:"password"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return nil, err
	}
	if problem := admit.Weakness(body.Password); problem != "" {
		return nil, answer.Refuse(http.StatusUnprocessableEntity, "The password is too weak", problem)
	}
	if err := s.gate.SetPassword(r, body.Password, "with the token"); err != nil {
		return nil, err
	}
	return s.apiPassword(r, p)
}

func (s *Server) apiDeletePassword(r *http.Request, p httprouter.Params) (any, error) {
	if err := s.gate.ClearPassword(r, "cleared with the token"); err != nil {
		return nil, err
	}
	return s.apiPassword(r, p)
}

// apiSetupLink makes a link for setting the password.
func (s *Server) apiSetupLink(*http.Request, httprouter.Params) (any, error) {
	if fixed := s.gate.PasswordFixed(); fixed != "" {
		return nil, admit.PasswordFixed(fixed)
	}
	path, until := s.gate.SetupLink()
	return s.linkMade("a link for setting the password was made", path, until), nil
}

// apiLoginLink makes a link to the status page.
func (s *Server) apiLoginLink(*http.Request, httprouter.Params) (any, error) {
	path, until := s.gate.LoginLink()
	return s.linkMade("a link to the status page was made", path, until), nil
}

func (s *Server) linkMade(line, path string, until time.Time) any {
	s.audit.Info(line, "good_until", until.UTC().Format(time.RFC3339))
	return map[string]any{"path": path, "expires_at": until}
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
func (s *Server) apiTokens(*http.Request, httprouter.Params) (any, error) {
	return map[string]any{"tokens": s.gate.Tokens()}, nil
}

// apiAddToken makes a read-only token and tells it, this once.
func (s *Server) apiAddToken(r *http.Request, _ httprouter.Params) (any, error) {
	var body struct {
		Name string `json:"name"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return nil, err
	}
	token, made, err := s.gate.AddToken(r, body.Name)
	return map[string]any{"name": body.Name, "token": token, "created_at": made}, err
}

func (s *Server) apiRemoveToken(r *http.Request, p httprouter.Params) (any, error) {
	return map[string]int{"removed": 1}, s.gate.RemoveToken(r, p.ByName("name"))
}
