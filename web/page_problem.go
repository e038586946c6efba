package web

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/queue"
	"stockroom/store"
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
	v := problemView{
		Title: cmp.Or(r.Title, http.StatusText(r.Status)), Detail: forPeople(r.Detail),
		Mood: moodBad, Stamp: "Not possible", Back: navEntry{Path: "/", Name: "overview"},
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

// refusalOf turns any error into what the client is told. The text of an
// unexpected error stays in the log.
func refusalOf(err error) (r *answer.Refusal, unexpected bool) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &r):
		return r, false
	case errors.As(err, &tooLarge):
		return answer.Refuse(http.StatusRequestEntityTooLarge, "The body is too large",
			"The limit is "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes."), false
	case errors.Is(err, store.ErrCursor):
		return answer.Refuse(http.StatusBadRequest, "Not a cursor", `after is what "next" or "prev" said on another page of the same list.`), false
	case errors.Is(err, store.ErrNotFound):
		return answer.Refuse(http.StatusNotFound, "Not found", "Nothing is known under this shop and id; /api/v1/products and stockroom products list show what is stored."), false
	case errors.Is(err, queue.ErrNotFound):
		return answer.Refuse(http.StatusNotFound, "No such job", "There is no job with this id any more: it was done, retried or discarded. /api/v1/jobs and stockroom queue list show those there are."), false
	case errors.Is(err, admit.ErrNoSession):
		return answer.Refuse(http.StatusNotFound, "No such session", "There is no session with this id any more; /api/v1/sessions lists those there are."), false
	case errors.Is(err, admit.ErrNoToken):
		return answer.Refuse(http.StatusNotFound, "No such token", "There is no token of this name; `stockroom token list` shows those there are."), false
	case errors.Is(err, store.ErrUnavailable):
		return &answer.Refusal{Status: http.StatusServiceUnavailable, Title: "The catalogue is not available",
			RetryAfter: 5,
			Detail:     "The catalogue can't be used now: " + store.CauseOf(err).Words() + ". Stockroom tries again automatically; so can you in a few seconds."}, true
	case errors.Is(err, queue.ErrUnavailable):
		return &answer.Refusal{Status: http.StatusServiceUnavailable, Title: "The retry queue is not available",
			RetryAfter: 5,
			Detail:     "The retry queue can't be used now. Stockroom tries again automatically; so can you in a few seconds."}, true
	}
	return answer.Refuse(http.StatusInternalServerError, "Something went wrong here", "The log of Stockroom has a line with the cause."), true
}
