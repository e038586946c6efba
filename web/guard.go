package web

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// contentPolicy allows our own script, style, images, connections and forms and
// nothing else: no inline script or style, no frame around the page.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// staySecure is how long a browser that came by TLS is to use nothing else for
// this host, not for names below it: a year, in seconds.
const staySecure = "max-age=31536000"

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

// guarded lets a request reach the admin side when its Host is known and it has
// what it needs. Only /healthz is open to everybody; whether deliveries are taken,
// the pages for logging in and for the first run, and what pages are made of, to
// those who come under a known name.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setSecurityHeaders(w.Header())
		if r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		if !s.hostAllowed(r) {
			s.turnAway(w, r, refuse(http.StatusMisdirectedRequest, "Unknown host name",
				"This page does not answer to that host name. Open it under 127.0.0.1 or localhost, or allow the name with --admin-host."))
			return
		}
		if s.auth.encrypted(r) && ownName(hostOf(r.Host)) {
			w.Header().Set("Strict-Transport-Security", staySecure)
		}
		v, refusal := s.auth.judge(r)
		if refusal != nil {
			s.turnAway(w, r, refusal)
			return
		}
		in, release := v.whileWelcome(r)
		defer release()
		next.ServeHTTP(w, in)
	})
}

// ownName reports whether a host is a name that may be bound to TLS: other
// programs of this machine share localhost, and for addresses browsers heed no
// such wish.
func ownName(host string) bool {
	_, err := netip.ParseAddr(host)
	return err != nil && host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

// turnAway answers a request that may not go on: a browser that could log in is
// sent to do so.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, refusal *Refusal) {
	s.noteRefusal(r, refusal)
	if refusal.Status == http.StatusUnauthorized {
		if wantsPage(r) && r.Header.Get("Authorization") == "" {
			s.sendToLogin(w, r)
			return
		}
		s.auth.challenge(w.Header(), r)
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

// noteRefusal logs a request that was turned away, unless it only lacks
// credentials, which is how every login begins. The query stays out of it: it may
// hold the token of a link.
func (s *Server) noteRefusal(r *http.Request, refusal *Refusal) {
	if refusal.Status == http.StatusUnauthorized && r.Header.Get("Authorization") == "" {
		return
	}
	s.lines.Warn("request refused", "from", s.auth.clientOf(r).String(), "method", r.Method, "path", r.URL.Path,
		"status", refusal.Status, "reason", refusal.Title)
}

// allowedHosts normalises names, with or without a port.
func allowedHosts(names []string) map[string]bool {
	set := map[string]bool{"localhost": true}
	for _, name := range names {
		if name = hostOf(name); name != "" {
			set[name] = true
		}
	}
	return set
}

// hostOf returns the host of "host", "host:port", "[v6]" or "[v6]:port" in
// lower case without the root dot, "" for anything else.
func hostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return ""
		}
		host = inner
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().WithZone("").String()
	}
	if strings.ContainsAny(host, ":[]/@ ") {
		return ""
	}
	return host
}

// hostAllowed reports whether the Host header is a name of ours. The port is
// left out of it: a tunnel may give the page another one, and a rebinding
// website can choose its port anyway. An address as the host can't be rebound,
// so loopback ones and that of the connection are allowed.
func (s *Server) hostAllowed(r *http.Request) bool {
	host := hostOf(r.Host)
	if host == "" {
		return false
	}
	if s.hosts[host] || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if a.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && hostOf(local.String()) == host
}
