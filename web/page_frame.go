package web

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/store"
)

// sheet is one page: the template that fills the frame, its data and what the
// frame needs to know.
type sheet struct {
	Template string // file in templates/; it defines "main", whose dot is Data
	Title    string // in front of the product's name
	Section  string // path of the navigation's entry, "" for none of them
	Bare     bool   // without navigation and script: login and first run
	Reload   int    // seconds between reloads without script, 0 for never
	Status   int    // 0 means 200
	Data     any
}

// frame is what base.html shows around a page.
type frame struct {
	Title     string
	Bare      bool
	Fragment  bool // without head and header, for the script
	Demo      bool
	Reload    int
	CanHold   bool // reloads automatically unless told to stand still
	HoldURL   string
	CanLogOut bool
	Now       instant
	Nav       []navEntry
	Said      string
	Undo      *undoOffer
	Data      any
}

type navEntry struct {
	Path, Name string
	Here       bool
	Count      string // what needs a look there, "" for nothing
	Mood       string // of the count, as a class
}

// undoOffer is what the last click did and how to take it back.
type undoOffer struct {
	Key, Text string
}

// fragmentHeader asks for a page without its head: the script asks again
// whenever something has changed.
const fragmentHeader = "X-Fragment"

// show answers with a page. It is rendered first, so that a mistake in it
// becomes an error and not half a page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, sh sheet) error {
	now := time.Now()
	f := frame{
		Title: sh.Title, Bare: sh.Bare, Fragment: r.Header.Get(fragmentHeader) != "" && !sh.Bare, Demo: s.o.Admit.Demo,
		Now: seconds(now, now), Data: sh.Data,
	}
	if !sh.Bare {
		f.Nav = s.navigation(sh.Section)
		f.Said, f.Undo = s.said(r.URL.Query())
		f.CanLogOut = admit.VisitorOf(r).HasSession()
	}
	if sh.Reload > 0 {
		f.CanHold, f.Reload, f.HoldURL = true, sh.Reload, held(r.URL, true)
		if r.URL.Query().Has("still") {
			f.Reload, f.HoldURL = 0, held(r.URL, false)
		}
	}
	var b bytes.Buffer
	if err := s.assets.pages[sh.Template].ExecuteTemplate(&b, "base", f); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if sh.Status != 0 {
		w.WriteHeader(sh.Status)
	}
	_, _ = w.Write(b.Bytes()) // a client that left needs no answer
	return nil
}

// held is the same page standing still, or reloading again.
func held(u *url.URL, still bool) string {
	q := u.Query()
	dropSaid(q)
	q.Del("still")
	if still {
		q.Set("still", "1")
	}
	return withQuery(u.Path, q)
}

// dropSaid takes out of an address what the last click did.
func dropSaid(q url.Values) {
	for _, name := range []string{"said", "n", "off", "fetch", "undo"} {
		q.Del(name)
	}
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func (s *Server) navigation(section string) []navEntry {
	nav := []navEntry{
		{Path: "/", Name: "Overview"}, {Path: "/products", Name: "Products"}, {Path: "/updates", Name: "Product updates"},
		{Path: "/jobs", Name: "Waiting and failed"}, {Path: "/syncs", Name: "Syncs"}, {Path: "/shops", Name: "Shops"}, {Path: "/settings", Name: "Settings"},
	}
	stats := s.o.Queue.Stats()
	for i := range nav {
		nav[i].Here = nav[i].Path == section
		if nav[i].Path == "/jobs" && stats.Dead > 0 {
			nav[i].Count, nav[i].Mood = number(int64(stats.Dead)), "bad"
			if stats.Dead == stats.Kinds[store.DeliveryJob].Invalid {
				nav[i].Mood = "wait" // anybody can cause those
			}
		}
	}
	return nav
}

// asPage answers the errors of a page as a page where a browser asked, so that
// a person reads words and not JSON.
func (s *Server) asPage(serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		err := serve(w, r, p)
		if err == nil || !wantsPage(r) || errors.Is(err, r.Context().Err()) {
			return err
		}
		refusal, unexpected := refusalOf(err)
		if unexpected {
			s.lines.Error("page failed", "method", r.Method, "path", r.URL.Path, "error", err.Error())
		}
		return s.showProblem(w, r, refusal, false)
	}
}

// wantsPage reports whether a browser asks for a page.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// localPath returns a path of ours with its query as it came from a form or an
// address, or the fallback when it is none: a redirect must not lead elsewhere.
func localPath(back, fallback string) string {
	u, err := url.Parse(back)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(u.Path, "//") || strings.HasPrefix(back, "//") || strings.ContainsAny(u.Path, "\\\r\n\t") || strings.ContainsAny(back, "\\\r\n\t") {
		return fallback
	}
	q := u.Query()
	dropSaid(q)
	return withQuery(u.EscapedPath(), q)
}

// sayAndGo redirects to a page of ours, which says in one line what was done, so
// that reloading does not do it again.
func sayAndGo(w http.ResponseWriter, back, fallback string, said url.Values) error {
	target := localPath(back, fallback)
	if len(said) > 0 {
		mark := "?"
		if strings.Contains(target, "?") {
			mark = "&"
		}
		target += mark + said.Encode()
	}
	return seeOther(w, target)
}
