package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"stockroom/queue"
	"stockroom/store"
)

// Refusal is an error that a person caused and can mend; its Detail is one
// plain sentence with what to do next. Implementations of Shops return it, too.
type Refusal struct {
	Status int    // HTTP status, 400 to 599
	Title  string // a few words, the same for every occurrence; "" for the status text
	Detail string
	// Code names the kind of refusal for programs, which must not read titles; ""
	// where the status says enough.
	Code string
	// RetryAfter is a number of seconds, 0 for none.
	RetryAfter int
	// More are further members of the answer.
	More map[string]any
}

// Error returns the detail.
func (r *Refusal) Error() string { return r.Detail }

func refuse(status int, title, detail string) *Refusal {
	return &Refusal{Status: status, Title: title, Detail: detail}
}

// refusalOf turns any error into what the client is told. The text of an
// unexpected error stays in the log.
func refusalOf(err error) (r *Refusal, unexpected bool) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &r):
		return r, false
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "The body is too large",
			"The limit is "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes."), false
	case errors.Is(err, store.ErrCursor):
		return refuse(http.StatusBadRequest, "Not a cursor", `after is what "next" or "prev" said on another page of the same list.`), false
	case errors.Is(err, store.ErrNotFound):
		return refuse(http.StatusNotFound, "Not found", "Nothing is known under this shop and id; /api/v1/products and stockroom products list show what is stored."), false
	case errors.Is(err, queue.ErrNotFound):
		return refuse(http.StatusNotFound, "No such job", "There is no job with this id any more: it was done, retried or discarded. /api/v1/jobs and stockroom queue list show those there are."), false
	case errors.Is(err, store.ErrUnavailable):
		return &Refusal{Status: http.StatusServiceUnavailable, Title: "The catalogue is not available", RetryAfter: 5,
			Detail: "The catalogue can't be used now: " + store.CauseOf(err).Words() + ". Stockroom tries again by itself; so can you in a few seconds."}, true
	case errors.Is(err, queue.ErrUnavailable):
		return &Refusal{Status: http.StatusServiceUnavailable, Title: "The retry queue is not available", RetryAfter: 5,
			Detail: "The retry queue can't be used now. Stockroom tries again by itself; so can you in a few seconds."}, true
	}
	return refuse(http.StatusInternalServerError, "Something went wrong here", "The log of Stockroom has a line with the cause."), true
}

// writeProblem answers with problem+json.
func writeProblem(w http.ResponseWriter, r *Refusal) {
	title := r.Title
	if title == "" {
		title = http.StatusText(r.Status)
	}
	members := map[string]any{"type": "about:blank", "title": title, "status": r.Status, "detail": r.Detail}
	if r.Code != "" {
		members["code"] = r.Code
	}
	for k, v := range r.More {
		members[k] = v
	}
	body, err := json.Marshal(members)
	if err != nil {
		body = []byte(`{"type":"about:blank","title":"Something went wrong here","status":500}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Disposition")
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(append(body, '\n')) // a client that left needs no answer
}

// writeJSON answers with v, its times in one form. It is encoded first, so that a
// value that can't be encoded becomes an error and not half an answer.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(true)
	if err := enc.Encode(inMillis(v)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if notModified(w, status, b.Bytes()) {
		return nil
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
	return nil
}
