package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/julienschmidt/httprouter"
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

// onceKeeper keeps the answers of requests that carry a key, so that one that is
// sent again because its answer was lost has no second effect. It is memory
// only: a restart forgets it.
type onceKeeper struct {
	mu   sync.Mutex
	kept *lru.LRU[string, *answer]
}

// answer is what a request with a key was answered, once done is closed.
type answer struct {
	request [sha256.Size]byte
	began   time.Time
	done    chan struct{}
	status  int // 0: nothing is kept, the next one may try
	header  http.Header
	body    []byte
}

func newOnceKeeper() *onceKeeper {
	kept, err := lru.NewLRU[string, *answer](answersKept, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &onceKeeper{kept: kept}
}

// begin returns the answer under a key: mine is true for the first one, who has
// to end it.
func (k *onceKeeper) begin(key string, request [sha256.Size]byte, now time.Time) (a *answer, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a, ok := k.kept.Get(key); ok && now.Sub(a.began) < answersAge {
		return a, false
	}
	a = &answer{request: request, began: now, done: make(chan struct{})}
	k.kept.Add(key, a)
	return a, true
}

// end makes the answer known to those who wait for it. One that may come out
// otherwise when tried again is not kept.
func (k *onceKeeper) end(key string, a *answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now, ok := k.kept.Peek(key); a.status == 0 && ok && now == a {
		k.kept.Remove(key)
	}
	close(a.done)
}

// detached lets an action go on when its client is gone: half of it, or an effect
// nobody heard of, is worse than the rest of the work.
func detached(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actionMost)
	return r.WithContext(ctx), cancel
}

// once serves an action of the API. With an Idempotency-Key the same request has
// one effect and one answer, however often it is sent.
func (s *Server) once(serve endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		key := r.Header.Get(keyHeader)
		switch {
		case r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, apiRoot):
			return serve(w, r, p)
		case key == "":
			in, cancel := detached(r)
			defer cancel()
			return serve(w, in, p)
		case len(key) > keyMost:
			return refuse(http.StatusBadRequest, "The key is too long", "An Idempotency-Key has at most 255 bytes.")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		request := sha256.Sum256(append([]byte(r.URL.RequestURI()+"\n"), body...))
		a, mine := s.onces.begin(key, request, time.Now())
		if !mine {
			return s.again(w, r, p, serve, a, request)
		}
		return s.first(w, r, p, serve, key, a)
	}
}

// first serves the request and keeps the answer.
func (s *Server) first(w http.ResponseWriter, r *http.Request, p httprouter.Params, serve endpoint, key string, a *answer) error {
	defer s.onces.end(key, a)
	in, cancel := detached(r)
	defer cancel()
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	if err := serve(rec, in, p); err != nil {
		refusal, unexpected := refusalOf(err)
		if unexpected || refusal.Status >= 500 || refusal.Status == http.StatusTooManyRequests {
			return err
		}
		writeProblem(rec, refusal)
	}
	if rec.status < 500 && rec.body.Len() <= answerMost {
		a.status, a.header, a.body = rec.status, maps.Clone(w.Header()), rec.body.Bytes()
	}
	return nil
}

// again gives the kept answer.
func (s *Server) again(w http.ResponseWriter, r *http.Request, p httprouter.Params, serve endpoint, a *answer, request [sha256.Size]byte) error {
	if a.request != request {
		return refuse(http.StatusUnprocessableEntity, "The key was used for something else",
			"This Idempotency-Key came with another request before; take a new one for each action.")
	}
	select {
	case <-a.done:
	case <-r.Context().Done():
		return r.Context().Err()
	}
	if a.status == 0 {
		return s.once(serve)(w, r, p) // the first try failed in a way that may pass
	}
	maps.Copy(w.Header(), a.header)
	w.Header().Set(replayHeader, "true")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
	return nil
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
