package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/store"
)

const (
	feedWaitMost = 60                     // seconds a long poll may wait
	feedBatch    = 500                    // changes written at a time
	feedPause    = 100 * time.Millisecond // between two looks at the feed by one stream
)

// apiChanges serves the change feed from a number on, as lines of JSON or as
// server-sent events. It says so when the feed can't be followed from there
// without a gap.
func (s *Server) apiChanges(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if text := r.URL.Query().Get("after"); text != "" {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < 0 {
			return answer.Refuse(http.StatusBadRequest, "Not a place in the feed", "after is the seq of the newest change that you have.")
		}
	}
	after, limit, err := page(r, 1000, 10000)
	if err != nil {
		return err
	}
	f := store.FeedFilter{After: after, Shop: r.URL.Query().Get("shop"), Limit: limit}
	if strings.Contains(r.Header.Get("Accept"), eventStreamTyp) {
		return s.streamChanges(w, r, f)
	}
	wait := 0
	if text := r.URL.Query().Get("wait"); text != "" {
		if wait, err = strconv.Atoi(text); err != nil || wait < 0 || wait > feedWaitMost {
			return answer.Refuse(http.StatusBadRequest, "Wait out of range", fmt.Sprintf("wait is a number of seconds from 0 to %d.", feedWaitMost))
		}
	}
	p, err := s.feedFrom(r.Context(), f)
	if err == nil && len(p.Changes) == 0 && wait > 0 && r.Method != http.MethodHead {
		p, err = s.awaitChanges(w, r, f, p, time.Duration(wait)*time.Second)
	}
	if err != nil {
		return err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, c := range p.Changes {
		if err := enc.Encode(c); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("Stockroom-Next", strconv.FormatInt(p.Next, 10))
	_, _ = w.Write(b.Bytes())
	return nil
}

// feedFrom reads a piece of the feed, or refuses when changes between f.After
// and the oldest that is kept may be missing.
func (s *Server) feedFrom(ctx context.Context, f store.FeedFilter) (store.FeedPage, error) {
	p, err := s.o.Store.Feed(ctx, f)
	if err != nil {
		return p, err
	}
	const again = " Read all products once (/api/v1/products-export) and go on behind the number in its header Stockroom-Seq."
	switch {
	case f.After < p.Oldest-1:
		return p, &answer.Refusal{Status: http.StatusGone, Title: "The feed does not go back that far",
			Detail: fmt.Sprintf("The oldest change that is kept has seq %d.%s", p.Oldest, again),
			More:   map[string]any{"oldest": p.Oldest, "newest": p.Newest}}
	case f.After > p.Newest:
		return p, &answer.Refusal{Status: http.StatusConflict, Title: "The feed is not there yet",
			Detail: fmt.Sprintf("The newest change has seq %d, so this is an older state or another catalogue.%s", p.Newest, again),
			More:   map[string]any{"oldest": p.Oldest, "newest": p.Newest}}
	}
	return p, nil
}

// awaitChanges waits until there is a change behind f.After or the time is over.
func (s *Server) awaitChanges(w http.ResponseWriter, r *http.Request, f store.FeedFilter, p store.FeedPage, wait time.Duration) (store.FeedPage, error) {
	release, err := s.streams.takePlace()
	if err != nil {
		return p, err
	}
	defer release()
	if err := patient(w); err != nil {
		return p, err
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		wake := s.o.Store.Watch()
		if s.o.Store.LastSeq() > p.Next {
			f.After = p.Next
			if p, err = s.feedFrom(r.Context(), f); err != nil || len(p.Changes) > 0 {
				return p, err
			}
			if s.o.Store.LastSeq() > p.Next && p.Next > f.After {
				continue // of other shops only, and there is more
			}
		}
		select {
		case <-wake:
		case <-over.C:
			return p, nil
		case <-s.streams.ending:
			return p, nil
		case <-r.Context().Done():
			return p, r.Context().Err()
		}
	}
}

// streamChanges follows the feed as server-sent events until the reader leaves.
// The header Last-Event-ID, which a browser sends when it connects again, goes
// before the parameter after.
func (s *Server) streamChanges(w http.ResponseWriter, r *http.Request, f store.FeedFilter) error {
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			return answer.Refuse(http.StatusBadRequest, "Not an event of the feed", "Last-Event-ID is the seq of the newest change that was received.")
		}
		f.After = n
	}
	f.Limit = feedBatch
	p, err := s.feedFrom(r.Context(), f)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", eventStreamTyp)
		return nil
	}
	release, err := s.streams.takePlace()
	if err != nil {
		return err
	}
	defer release()
	st, err := beginStream(w)
	if err != nil {
		return nil // the reader is gone
	}
	s.followFeed(r.Context(), st, f, p)
	return nil
}

// followFeed writes what p holds and then what comes, until the reader is gone,
// the process stops or the feed was cut off behind a reader that is too slow.
func (s *Server) followFeed(ctx context.Context, st *stream, f store.FeedFilter, p store.FeedPage) {
	silence := time.NewTimer(streamSilence)
	defer silence.Stop()
	for {
		if len(p.Changes) > 0 {
			events, err := feedEvents(p.Changes)
			if err != nil || st.send(events) != nil {
				return
			}
			silence.Reset(streamSilence)
		}
		f.After = p.Next
		if len(p.Changes) < f.Limit {
			if !s.waitBehind(ctx, st, f.After, silence) {
				return
			}
		}
		select {
		case <-s.streams.ending:
			return
		case <-ctx.Done():
			return
		default:
		}
		var err error
		if p, err = s.feedFrom(ctx, f); err != nil {
			// The reader learns why when it connects again.
			if ctx.Err() == nil {
				s.log.Debug("a reader of the change feed was let go", "after", f.After, "error", err.Error())
			}
			return
		}
	}
}

// waitBehind waits for a change behind after; false when the stream has to end.
// It takes feedPause at least, so that a busy feed is read in pieces.
func (s *Server) waitBehind(ctx context.Context, st *stream, after int64, silence *time.Timer) bool {
	pause := time.After(feedPause)
	for {
		wake := s.o.Store.Watch()
		if s.o.Store.LastSeq() > after {
			if pause == nil {
				return true
			}
			wake = nil // only the pause is missing
		}
		select {
		case <-wake:
		case <-pause:
			pause = nil
		case <-silence.C:
			if st.send([]byte(": still here\n\n")) != nil {
				return false
			}
			silence.Reset(streamSilence)
		case <-s.streams.ending:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// feedEvents writes changes as server-sent events: id is seq, event is kind.
func feedEvents(list []store.Change) ([]byte, error) {
	var b bytes.Buffer
	for _, c := range list {
		data, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", c.Seq, c.Kind, data)
	}
	return b.Bytes(), nil
}

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
