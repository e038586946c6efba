package web

import (
	"errors"
	"net/http"
	"stockroom/internal/answer"
	"strings"

	"github.com/julienschmidt/httprouter"
)

// problemView is the page of an error.
type problemView struct {
	Title, Detail string
	Mood          mood
	Stamp         string
	Back          navEntry // where to go on
}

// problemOf puts a refusal into the words of a page. What is not there is no
// trouble: a job that was done meanwhile, an old address.
func (s *Server) problemOf(path string, r *answer.Refusal) problemView {
	v := problemView{Title: r.Title, Detail: forPeople(r.Detail), Mood: moodBad, Stamp: "Not possible", Back: navEntry{Path: "/", Name: "overview"}}
	if v.Title == "" {
		v.Title = http.StatusText(r.Status)
	}
	switch {
	case r.Status == http.StatusNotFound:
		v.Mood, v.Stamp = moodIdle, "Not there"
	case r.Status >= 500:
		v.Stamp = "Trouble here"
	case r.Title == "Not a cursor":
		v.Title, v.Detail = "There is no such page of the list", "The address is incomplete or of another list. Open the list from its beginning."
	}
	for _, entry := range s.navigation("") {
		if entry.Path != "/" && (path == entry.Path || strings.HasPrefix(path, entry.Path+"/")) {
			v.Back = navEntry{Path: entry.Path, Name: small(entry.Name)}
		}
	}
	return v
}

// forPeople leaves out the end of a detail that tells programs where to look.
func forPeople(detail string) string {
	if text, _, ok := strings.Cut(detail, apiRoot); ok {
		return strings.TrimRight(text, " ;.") + "."
	}
	return detail
}

// showProblem answers with the page of an error.
func (s *Server) showProblem(w http.ResponseWriter, r *http.Request, refusal *answer.Refusal, bare bool) error {
	v := s.problemOf(r.URL.Path, refusal)
	if bare {
		v.Back = navEntry{Path: "/", Name: "overview"}
	}
	return s.show(w, r, sheet{Template: "problem.html", Title: v.Title, Bare: bare, Status: refusal.Status, Data: v})
}

// wrongMethod answers a method that a path does not take: as a page where a
// browser asked, by a reload or an address typed from memory.
func (s *Server) wrongMethod() http.HandlerFunc {
	answer := s.endpoint(s.asPage(func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
		if wantsPage(r) {
			return answer.Refuse(http.StatusMethodNotAllowed, "This is no page", "The address belongs to a button, and is not opened by itself. Nothing was changed.")
		}
		return wrongMethodOf(w)
	}))
	return func(w http.ResponseWriter, r *http.Request) { answer(w, r, nil) }
}

// pageOf is showProblem where a handler has panicked: should the page do so too,
// it is an error.
func (s *Server) pageOf(w http.ResponseWriter, r *http.Request, refusal *answer.Refusal) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the page of the error panicked")
		}
	}()
	return s.showProblem(w, r, refusal, true)
}
