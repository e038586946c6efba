package web

import (
	"context"
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"
)

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}

// readiness is the answer of /readyz.
type readiness struct {
	Status   string   `json:"status"`   // ready, degraded or unavailable
	Degraded []string `json:"degraded"` // names of the checks that are not ok
	Checks   []check  `json:"checks"`
}

// check is one line of it.
type check struct {
	Name   string     `json:"name"`
	OK     bool       `json:"ok"`
	Reason string     `json:"reason,omitempty"` // one sentence
	Next   string     `json:"next,omitempty"`   // what happens next
	Since  *time.Time `json:"since,omitempty"`
}

// readyz is 200 while the catalogue or the retry queue can make a delivery
// durable.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	s.probeCatalogue(r.Context())
	f := facts{now: time.Now(), catalogue: s.catalogueFacts(), queue: s.queueFacts(r.Context())}
	f.notices = s.o.Notices()
	ready := readinessOf(f)
	status := http.StatusOK
	if ready.Status == "unavailable" {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	return writeJSON(w, status, ready)
}

// probeCatalogue commits a small row when the last write failed, so that a
// failure long past is not reported for ever. While deliveries go to the queue
// somebody else does that.
func (s *Server) probeCatalogue(ctx context.Context) {
	if c := s.catalogueFacts(); c.OK || c.Closed {
		return
	}
	select {
	case s.probe <- struct{}{}:
	default:
		return
	}
	defer func() { <-s.probe }()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := s.o.Store.Probe(ctx); err != nil {
		s.log.Debug("readyz: probe", "error", err.Error())
	}
}

func readinessOf(f facts) readiness {
	ready := readiness{Status: "ready", Degraded: []string{}}
	add := func(c check) {
		ready.Checks = append(ready.Checks, c)
		if !c.OK {
			ready.Degraded = append(ready.Degraded, c.Name)
			ready.Status = "degraded"
		}
	}
	catalogue := check{Name: "catalogue", OK: f.catalogue.OK}
	if !catalogue.OK {
		catalogue.Reason = "The catalogue can't be written: " + causeWords(f.catalogue) + "."
		catalogue.Next = "It is tried again by itself; deliveries are kept in the retry queue meanwhile."
		catalogue.Since = optional(f.catalogue.Since)
	}
	add(catalogue)
	queue := check{Name: "queue", OK: f.queue.OK}
	if !queue.OK {
		queue.Reason = "The retry queue can't be used: " + f.queue.Reason + "."
		queue.Next = "It is tried again by itself."
	}
	add(queue)
	for _, n := range f.notices {
		if n.Level != LevelInfo {
			add(check{Name: "notice", Reason: n.Text, Next: n.Next})
		}
	}
	if !catalogue.OK && !queue.OK {
		ready.Status = "unavailable"
	}
	return ready
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
