package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
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
	account, now := s.auth.account, time.Now()
	mark := account.Mark()
	v := accountView{Password: mark != "", Fixed: account.Fixed(), Shortest: shortestPassword, Problem: problem, ByLink: visitorOf(r).entry == entrySession}
	for _, one := range s.auth.sessions.list(now, mark, visitorOf(r).session) {
		v.Others = v.Others || !one.Own
		v.Sessions = append(v.Sessions, sessionRow{
			Name: one.Name, Browser: browserWords(one.Agent), From: one.From, Agent: one.Agent, Own: one.Own,
			Began: since(now, one.Began), Used: since(now, one.Used), Ends: ahead(now, one.Ends),
		})
	}
	for _, one := range s.auth.readers.list() {
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
	account := s.auth.account
	first := account.Mark() == ""
	if first && visitorOf(r).entry != entrySession {
		return noPasswordYet()
	}
	text := r.PostForm.Get("password")
	if problem := weakness(text); problem != "" {
		return s.showAccount(w, r, http.StatusUnprocessableEntity, problem)
	}
	if text != r.PostForm.Get("again") {
		return s.showAccount(w, r, http.StatusUnprocessableEntity, "The two new ones are not the same. Write them again.")
	}
	var refusal *Refusal
	if !first {
		refusal = s.auth.passwords.check(s.auth.guesserOf(r), r.PostForm.Get("current"))
	}
	if refusal != nil {
		status, problem := refusal.Status, refusal.Detail
		if status == http.StatusUnauthorized {
			status, problem = http.StatusForbidden, "The current password is another one."
		}
		return s.showAccount(w, r, status, problem)
	}
	if err := account.SetPassword(text); err != nil {
		return err
	}
	s.passwordChanged(r, "on the page")
	s.logIn(w, r, account.Mark())
	return sayAndGo(w, "/account", "/account", url.Values{"said": {"password"}})
}

// removeToken ends a read-only token.
func (s *Server) removeToken(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	if err := s.dropToken(r, p.ByName("name")); err != nil {
		return err
	}
	return sayAndGo(w, "/account", "/account", url.Values{"said": {"token"}})
}

func noPasswordYet() *Refusal {
	return refuse(http.StatusConflict, "There is no password yet",
		"Run `stockroom password link` on the machine of the server and open the link, or set one with `stockroom password set`.")
}

// passwordChanged ends what the old password, or its absence, had let in. The
// sessions are over by their mark already; this takes them off the disk.
func (s *Server) passwordChanged(r *http.Request, how string) {
	s.setup.void()
	s.logins.void()
	s.auth.newEpoch()
	n, err := s.auth.sessions.finishAll(time.Now())
	if err != nil {
		s.log.Warn("sessions of the old password can't be removed from disk; they are over all the same", "error", err.Error())
	}
	s.audit.Info("the password of the status page was changed, all sessions are over", "how", how, "from", s.auth.clientOf(r).String(), "sessions", n)
}

// endSession ends one session, endSessions all of them, the own one included.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	key, ok := s.auth.sessions.named(p.ByName("id"))
	if ok && key == visitorOf(r).session {
		return s.logOut(w, r, p)
	}
	err := errNoSession
	if ok {
		err = s.auth.sessions.finish(key)
	}
	said := "session"
	if errors.Is(err, errNoSession) {
		said, err = "no-session", nil
	}
	if err != nil {
		return endedHereOnly(s, "session", err)
	}
	return sayAndGo(w, "/account", "/account", url.Values{"said": {said}})
}

func (s *Server) endSessions(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	s.auth.setCookie(w.Header(), r, "")
	if _, err := s.endAll(r); err != nil {
		return err
	}
	return seeOther(w, "/login")
}

// endAll ends every session, and the links that could begin another.
func (s *Server) endAll(r *http.Request) (int, error) {
	s.logins.void()
	n, err := s.auth.sessions.finishAll(time.Now())
	if err != nil {
		return n, endedHereOnly(s, "session", err)
	}
	s.audit.Info("all sessions were ended", "from", s.auth.clientOf(r).String(), "sessions", n)
	return n, nil
}
