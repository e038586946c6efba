package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/julienschmidt/httprouter"

	"stockroom/queue"
)

// said is what the last click did, and how to take it back.
func (s *Server) said(q url.Values) (string, *undoOffer) {
	return saidWords(q.Get("said")), nil
}

// saidWords says what the last click did. The key comes from the address, so
// only these are shown.
func saidWords(key string) string {
	switch key {
	case "retried":
		return "Retrying. It is tried again now."
	case "retried-all":
		return "Retrying all of them now."
	case "discarded":
		return "Discarded."
	case "gone":
		return "Nothing changed: it was done, retried or discarded already."
	case "password":
		return "The password was changed. Every other session is over."
	case "session":
		return "That session is over."
	case "no-session":
		return "Nothing changed: that session is over already."
	}
	return ""
}

// pageAction is what the buttons of the page do; they work without script. The
// answer is a redirect, so that reloading does not do it again.
func (s *Server) pageAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	said, err := s.act(r, p)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	if err != nil {
		said = "gone"
	}
	w.Header().Set("Location", "/?"+url.Values{"said": {said}}.Encode())
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (s *Server) act(r *http.Request, p httprouter.Params) (said string, err error) {
	action := p.ByName("action")
	if p.ByName("id") == "all" && action == "retry" {
		n, err := s.o.Queue.RetryAll(r.Context(), queue.Filter{State: queue.Dead})
		return orGone(n, "retried-all"), err
	}
	id, err := jobID(p)
	if err != nil {
		return "", err
	}
	switch action {
	case "retry":
		n, err := s.o.Queue.Retry(r.Context(), id)
		return orGone(n, "retried"), err
	case "discard":
		n, err := s.o.Queue.Discard(r.Context(), id)
		return orGone(n, "discarded"), err
	}
	return "", refuse(http.StatusNotFound, "Not found", "A job can be retried or discarded.")
}

func orGone(n int, said string) string {
	if n == 0 {
		return "gone"
	}
	return said
}
