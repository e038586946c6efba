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

// accountView is what the account page shows.
type accountView struct {
	Password bool   // there is one
	Fixed    string // the setting that holds it
	Shortest int
	Problem  string
	Sessions []sessionRow
	Others   bool // there are sessions besides the own one
	ByLink   bool // the session that asks may set the first password
	Tokens   []tokenRow
}

type tokenRow struct {
	Name string
	Made instant
	Used string // the day, "" for never
}

type sessionRow struct {
	Name, Browser, From, Agent string
	Own                        bool
	Began, Used, Ends          instant
}

func (s *Server) accountPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	return s.showAccount(w, r, http.StatusOK, "")
}

func (s *Server) showAccount(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	now := time.Now()
	v := accountView{
		Password: s.gate.HasPassword(), Fixed: s.gate.PasswordFixed(), Shortest: admit.ShortestPassword, Problem: problem,
		ByLink: admit.VisitorOf(r).HasSession(),
	}
	for _, one := range s.gate.Sessions(r) {
		v.Others = v.Others || !one.Own
		v.Sessions = append(v.Sessions, sessionRow{
			Name: one.Name, Browser: browserWords(one.Agent), From: one.From, Agent: one.Agent, Own: one.Own,
			Began: since(now, one.Began), Used: since(now, one.Used), Ends: ahead(now, one.Ends),
		})
	}
	for _, one := range s.gate.Tokens() {
		row := tokenRow{Name: one.Name, Made: since(now, one.Made)}
		if one.Used != nil {
			row.Used = one.Used.Format("2 January 2006")
		}
		v.Tokens = append(v.Tokens, row)
	}
	return s.show(w, r, sheet{Template: "account_page.html", Title: "Password and sessions", Section: "/settings", Status: status, Data: v})
}

// browserWords names a browser by its User-Agent, as well as that can be done in
// two words.
func browserWords(agent string) string {
	name := "A browser"
	for _, b := range [][2]string{{"Firefox/", "Firefox"}, {"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}} {
		if strings.Contains(agent, b[0]) {
			name = b[1]
			break
		}
	}
	for _, on := range [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "a Mac"}, {"Linux", "Linux"}} {
		if strings.Contains(agent, on[0]) {
			return name + " on " + on[1]
		}
	}
	return name
}

// changePassword sets the password by the account page's form. The first one needs
// no other proof than the session: it began with a link, which only the owner of the
// data dir can make.
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if err := readForm(r); err != nil {
		return err
	}
	first := !s.gate.HasPassword()
	if first && !admit.VisitorOf(r).HasSession() {
		return noPasswordYet()
	}
	text := r.PostForm.Get("password")
	if problem := admit.Weakness(text); problem != "" {
		return s.showAccount(w, r, http.StatusUnprocessableEntity, problem)
	}
	if text != r.PostForm.Get("again") {
		return s.showAccount(w, r, http.StatusUnprocessableEntity, "The two new ones are not the same. Write them again.")
	}
	var refusal *answer.Refusal
	if !first {
		refusal = s.gate.CheckPassword(r, r.PostForm.Get("current"))
	}
	if refusal != nil {
		status, problem := refusal.Status, refusal.Detail
		if status == http.StatusUnauthorized {
			status, problem = http.StatusForbidden, "The current password is another one."
		}
		return s.showAccount(w, r, status, problem)
	}
	if err := s.gate.SetPassword(r, text, "on the page"); err != nil {
		return err
	}
	s.gate.BeginSession(w.Header(), r)
	return sayAndGo(w, "/account", "/account", url.Values{"said": {"password"}})
}

// removeToken ends a read-only token.
func (s *Server) removeToken(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	if err := s.gate.RemoveToken(r, p.ByName("name")); err != nil {
		return err
	}
	return sayAndGo(w, "/account", "/account", url.Values{"said": {"token"}})
}

func noPasswordYet() *answer.Refusal {
	return answer.Refuse(http.StatusConflict, "There is no password yet",
		"Run `stockroom password link` on the machine of the server and open the link, or set one with `stockroom password set`.")
}

// endSession ends one session, endSessions all of them, the own one included.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	name, said := p.ByName("id"), "session"
	if s.gate.IsOwnSession(r, name) {
		return s.logOut(w, r, p)
	}
	err := s.gate.EndSession(name)
	if errors.Is(err, admit.ErrNoSession) {
		said, err = "no-session", nil
	}
	if err != nil {
		return err
	}
	return sayAndGo(w, "/account", "/account", url.Values{"said": {said}})
}

func (s *Server) endSessions(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	s.gate.ForgetSession(w.Header(), r)
	if _, err := s.gate.EndSessions(r); err != nil {
		return err
	}
	return seeOther(w, "/login")
}

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
