package web

import (
	"errors"
	"net/http"
	"strconv"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/queue"
	"stockroom/store"
)

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
			Detail:     "The catalogue can't be used now: " + store.CauseOf(err).Words() + ". Stockroom tries again by itself; so can you in a few seconds."}, true
	case errors.Is(err, queue.ErrUnavailable):
		return &answer.Refusal{Status: http.StatusServiceUnavailable, Title: "The retry queue is not available",
			RetryAfter: 5,
			Detail:     "The retry queue can't be used now. Stockroom tries again by itself; so can you in a few seconds."}, true
	}
	return answer.Refuse(http.StatusInternalServerError, "Something went wrong here", "The log of Stockroom has a line with the cause."), true
}
