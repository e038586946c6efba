package admit

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

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
