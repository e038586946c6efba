package web

import (
	"errors"
	"net/http"
	"stockroom/internal/answer"
	"sync"
	"time"
)

const (
	streamsMost    = 64               // followed at one time, page and feed together
	streamSilence  = 15 * time.Second // after which the feed sends a sign of life
	streamRetry    = 5                // seconds a client waits that found every place taken
	eventStreamTyp = "text/event-stream"
)

// streams are the answers that go on until the reader leaves.
type streams struct {
	places chan struct{} // one token each
	ending chan struct{}
	once   sync.Once
}

func newStreams() *streams {
	return &streams{places: make(chan struct{}, streamsMost), ending: make(chan struct{})}
}

// EndStreams ends every stream and lets no new one begin, so that a stop need
// not wait for readers. They connect again to the next process.
func (s *Server) EndStreams() { s.streams.once.Do(func() { close(s.streams.ending) }) }

// takePlace returns a function that gives the place back, or the refusal when
// there is none.
func (t *streams) takePlace() (release func(), err error) {
	select {
	case <-t.ending:
		return nil, &answer.Refusal{Status: http.StatusServiceUnavailable, Title: "Stockroom is stopping", RetryAfter: streamRetry, Detail: "Connect again in a few seconds."}
	default:
	}
	select {
	case t.places <- struct{}{}:
		return func() { <-t.places }, nil
	default:
		return nil, &answer.Refusal{Status: http.StatusServiceUnavailable, Title: "Too many readers",
			RetryAfter: streamRetry,
			Detail:     "64 readers follow at this moment, which is the most. Close one and try again."}
	}
}

// stream is one answer of server-sent events.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// patient takes off the limit on how long a request may take, which is meant
// for those that are answered at once.
func patient(w http.ResponseWriter) error {
	err := http.NewResponseController(w).SetReadDeadline(time.Time{})
	if errors.Is(err, http.ErrNotSupported) { // not a connection of ours: a test's recorder
		return nil
	}
	return err
}

// beginStream answers with the head of an event stream.
func beginStream(w http.ResponseWriter) (*stream, error) {
	if err := patient(w); err != nil {
		return nil, err
	}
	h := w.Header()
	h.Set("Content-Type", eventStreamTyp)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // asks proxies to hand on each event at once
	w.WriteHeader(http.StatusOK)
	st := &stream{w: w, rc: http.NewResponseController(w)}
	return st, st.send([]byte("retry: 2000\n\n"))
}

// send writes whole events. An error means that the reader is gone.
func (st *stream) send(events []byte) error {
	if _, err := st.w.Write(events); err != nil {
		return err
	}
	return st.rc.Flush()
}
