package answer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotency-Replayed" // true on an answer that was given before
	keyMost      = 255                    // bytes of a key
	answersKept  = 1024                   // of requests with a key
	answersAge   = 24 * time.Hour         // how long one is kept
	answerMost   = 256 << 10              // bytes of a body that is kept
	actionMost   = 2 * time.Minute        // an action goes on for that long when its client is gone
)

// Handler answers one request or returns the error to be told.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Once keeps the answers of requests that carry a key, so that one that is sent
// again because its answer was lost has no second effect. It is memory only: a
// restart forgets it.
type Once struct {
	refusalOf func(error) (r *Refusal, unexpected bool)

	mu   sync.Mutex
	kept map[string]*kept
}

// kept is what a request with a key was answered, once done is closed.
type kept struct {
	request [sha256.Size]byte
	began   time.Time
	done    chan struct{}
	status  int // 0: nothing is kept, the next one may try
	header  http.Header
	body    []byte
}

// NewOnce returns a keeper. refusalOf tells what an error is answered with; an
// unexpected one may not come again, so it is not kept.
func NewOnce(refusalOf func(error) (r *Refusal, unexpected bool)) *Once {
	return &Once{refusalOf: refusalOf, kept: map[string]*kept{}}
}

// begin returns the answer under a key: mine is true for the first one, who has
// to end it. The answer that was begun first makes room.
func (o *Once) begin(key string, request [sha256.Size]byte, now time.Time) (a *kept, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a, ok := o.kept[key]; ok && now.Sub(a.began) < answersAge {
		return a, false
	}
	if len(o.kept) >= answersKept {
		var first string
		for name, one := range o.kept {
			if first == "" || one.began.Before(o.kept[first].began) {
				first = name
			}
		}
		delete(o.kept, first)
	}
	a = &kept{request: request, began: now, done: make(chan struct{})}
	o.kept[key] = a
	return a, true
}

// end makes the answer known to those who wait for it. One that may come out
// otherwise when tried again is not kept.
func (o *Once) end(key string, a *kept) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a.status == 0 && o.kept[key] == a {
		delete(o.kept, key)
	}
	close(a.done)
}

// Serve serves an action, which a POST is; anything else goes straight to serve. An
// action goes on when its client is gone: half of it, or an effect nobody heard
// of, is worse than the rest of the work. With an Idempotency-Key the same request
// has one effect and one answer, however often it is sent.
func (o *Once) Serve(w http.ResponseWriter, r *http.Request, serve Handler) error {
	if r.Method != http.MethodPost {
		return serve(w, r)
	}
	detached := func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actionMost)
		defer cancel()
		return serve(w, r.WithContext(ctx))
	}
	key := r.Header.Get(keyHeader)
	if key == "" {
		return detached(w, r)
	}
	if len(key) > keyMost {
		return Refuse(http.StatusBadRequest, "The key is too long", "An Idempotency-Key has at most 255 bytes.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	request := sha256.Sum256(append([]byte(r.URL.RequestURI()+"\n"), body...))
	for {
		a, mine := o.begin(key, request, time.Now())
		if mine {
			r.Body = io.NopCloser(bytes.NewReader(body))
			return o.first(w, r, detached, key, a)
		}
		if a.request != request {
			return Refuse(http.StatusUnprocessableEntity, "The key was used for something else",
				"This Idempotency-Key came with another request before; take a new one for each action.")
		}
		select {
		case <-a.done:
		case <-r.Context().Done():
			return r.Context().Err()
		}
		if a.status != 0 { // else the first try failed in a way that may pass
			a.again(w)
			return nil
		}
	}
}

// first serves the request and keeps the answer.
func (o *Once) first(w http.ResponseWriter, r *http.Request, serve Handler, key string, a *kept) error {
	defer o.end(key, a)
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	if err := serve(rec, r); err != nil {
		refusal, unexpected := o.refusalOf(err)
		if unexpected || refusal.Status >= 500 || refusal.Status == http.StatusTooManyRequests {
			return err
		}
		refusal.Write(rec)
	}
	if rec.status < 500 && rec.body.Len() <= answerMost {
		a.status, a.header, a.body = rec.status, maps.Clone(w.Header()), rec.body.Bytes()
	}
	return nil
}

// again gives the kept answer.
func (a *kept) again(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.Header().Set(replayHeader, "true")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// recorder keeps what is written.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}
