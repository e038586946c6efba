package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// Names of the session's cookie. Behind TLS the prefix makes the browser insist
// on Secure, Path=/ and no Domain, so that no other host of the same domain can
// plant one; over plain HTTP browsers refuse such a name.
const (
	plainCookie  = "stockroom"
	secureCookie = "__Host-stockroom"
	cookiesTried = 4 // of the same name in one request
)

// cookieName is the only name that counts for this request.
func (g *gatekeeper) cookieName(r *http.Request) string {
	if g.encrypted(r) {
		return secureCookie
	}
	return plainCookie
}

// setCookie tells the browser a session's id, or with "" to forget it.
func (g *gatekeeper) setCookie(answer http.Header, r *http.Request, id string) {
	c := &http.Cookie{
		Name: g.cookieName(r), Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: g.encrypted(r), MaxAge: int(sessionLife.Seconds()),
	}
	if id == "" {
		c.MaxAge = -1
	}
	answer.Add("Set-Cookie", c.String())
}

// encrypted reports whether the browser speaks TLS: with us, or with a proxy
// that is trusted and says so.
func (g *gatekeeper) encrypted(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	protos := r.Header.Values("X-Forwarded-Proto")
	return g.trusted(peerOf(r.RemoteAddr)) && len(protos) == 1 && strings.EqualFold(protos[0], "https")
}

// clientOf is the address that a request comes from: the nearest one of
// X-Forwarded-For that is not a trusted proxy's, when a trusted one sent it.
func (g *gatekeeper) clientOf(r *http.Request) netip.Addr {
	a := peerOf(r.RemoteAddr)
	if !g.trusted(a) {
		return a
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		a = hop.Unmap().WithZone("")
		if !g.trusted(a) {
			break
		}
	}
	return a
}

func (g *gatekeeper) trusted(a netip.Addr) bool {
	for _, p := range g.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
