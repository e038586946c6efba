package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/internal/status"
)

// contentPolicy allows our own script, style, images, connections and forms and
// nothing else: no inline script or style, no frame around the page.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// setSecurityHeaders sets what every answer of ours carries.
func setSecurityHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

// guarded lets those reach the admin side whom the gate admits.
func (s *Server) guarded(next http.Handler) http.Handler {
	in := s.gate.Guard(next, s.turnAway)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setSecurityHeaders(w.Header())
		in.ServeHTTP(w, r)
	})
}

// turnAway answers a request that may not go on: a browser that could log in is
// sent to do so.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, refusal *answer.Refusal) {
	if refusal.Status == http.StatusUnauthorized {
		if wantsPage(r) && r.Header.Get("Authorization") == "" {
			s.sendToLogin(w, r)
			return
		}
		s.challenge(w, r)
	}
	if wantsPage(r) {
		if refusal.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(refusal.RetryAfter))
		}
		err := s.showProblem(w, r, refusal, true)
		if err == nil {
			return
		}
		s.lines.Error("page failed", "path", r.URL.Path, "error", err.Error())
	}
	refusal.Write(w)
}

// challenge tells how to log in.
func (s *Server) challenge(w http.ResponseWriter, r *http.Request) {
	s.gate.Challenge(w.Header(), r.Header.Get("Sec-Fetch-Mode") != "" || wantsPage(r))
}

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
