package web

import (
	"net/http"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/internal/status"
)

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}

// publicReadyz says to strangers whether deliveries are taken, and no more: what is
// degraded names shops and files.
func (s *Server) publicReadyz(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	code, ready := s.ready(w, r)
	return answer.JSON(w, code, map[string]string{"status": ready.Status})
}

// readyz is 200 while the catalogue or the retry queue can make a delivery
// durable. Who has a credential hears what is degraded, too.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	if !admit.VisitorOf(r).Admitted() {
		return s.publicReadyz(w, r, p)
	}
	code, ready := s.ready(w, r)
	return answer.JSON(w, code, ready)
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) (code int, ready status.Readiness) {
	code, ready = http.StatusOK, s.o.Status.Ready(r.Context(), time.Now())
	if ready.Status == "unavailable" {
		code = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	return code, ready
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
