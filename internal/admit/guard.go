package admit

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"stockroom/internal/answer"
)

// StaySecure is how long a browser that came by TLS is to use nothing else for
// this host, not for names below it: a year, in seconds.
const StaySecure = "max-age=31536000"

// Guard lets a request reach the admin side when its Host is known and it has
// what it needs; what may not go on, away answers. Only /healthz is open to
// everybody; whether deliveries are taken, the pages for logging in and for the first
// run, and what pages are made of, to those who come under a known name.
func (g *Gate) Guard(next http.Handler, away func(http.ResponseWriter, *http.Request, *answer.Refusal)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		v, refusal := Visitor{}, g.judgeHost(r)
		if refusal == nil {
			if g.encrypted(r) && ownName(HostOf(r.Host)) {
				w.Header().Set("Strict-Transport-Security", StaySecure)
			}
			v, refusal = g.judge(r)
		}
		if refusal != nil {
			g.NoteRefusal(r, refusal)
			away(w, r, refusal)
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

// NoteRefusal logs a request that was turned away, unless it only lacks
// credentials, which is how every login begins. The query stays out of it: it may
// hold the token of a link.
func (g *Gate) NoteRefusal(r *http.Request, refusal *answer.Refusal) {
	if refusal.Status == http.StatusUnauthorized && r.Header.Get("Authorization") == "" {
		return
	}
	g.lines.Warn("request refused", "from", g.Client(r).String(), "method", r.Method, "path", r.URL.Path,
		"status", refusal.Status, "reason", refusal.Title)
}

// allowedHosts normalises names, with or without a port.
func allowedHosts(names []string) map[string]bool {
	set := map[string]bool{"localhost": true}
	for _, name := range names {
		if name = HostOf(name); name != "" {
			set[name] = true
		}
	}
	return set
}

// HostOf returns the host of "host", "host:port", "[v6]" or "[v6]:port" in
// lower case without the root dot, "" for anything else.
func HostOf(hostport string) string {
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
func (g *Gate) hostAllowed(r *http.Request) bool {
	host := HostOf(r.Host)
	if host == "" {
		return false
	}
	if g.hosts[host] || strings.HasSuffix(host, ".localhost") {
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
	return ok && HostOf(local.String()) == host
}

func (g *Gate) judgeHost(r *http.Request) *answer.Refusal {
	if g.hostAllowed(r) {
		return nil
	}
	return answer.Refuse(http.StatusMisdirectedRequest, "Unknown host name",
		"This page does not answer to that host name. Open it under 127.0.0.1 or localhost, or allow the name with --admin-host.")
}

// Proxies are the networks of trusted proxies: what those say of a request counts.
type Proxies []netip.Prefix

// Client is the address that a request comes from: the nearest one of
// X-Forwarded-For that is not a trusted proxy's, when a trusted one sent it.
func (p Proxies) Client(r *http.Request) netip.Addr {
	a := Peer(r.RemoteAddr)
	if !p.trust(a) {
		return a
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		a = hop.Unmap().WithZone("")
		if !p.trust(a) {
			break
		}
	}
	return a
}

// encrypted reports whether the browser speaks TLS: with us, or with a trusted proxy
// that says so.
func (p Proxies) encrypted(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	protos := r.Header.Values("X-Forwarded-Proto")
	return p.trust(Peer(r.RemoteAddr)) && len(protos) == 1 && strings.EqualFold(protos[0], "https")
}

func (p Proxies) trust(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// Peer is the address at the other end of a connection, the zero one when it has none.
func Peer(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// straightFromHere reports whether the peer is on this machine and no proxy
// stands between: a tunnel or proxy on this machine would otherwise open the
// page to whoever reaches it.
func straightFromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Cf-Connecting-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return Peer(r.RemoteAddr).IsLoopback()
}
