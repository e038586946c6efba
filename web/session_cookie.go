package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Names of the session's cookie. Behind TLS the prefix makes the browser insist
// on Secure, Path=/ and no Domain, so that no other host of the same domain can
// plant one; over plain HTTP browsers refuse such a name.
const (
	plainCookie  = "stockroom"
	secureCookie = "__Host-stockroom"
	cookiesTried = 4 // of the same name in one request

	deviceSuffix = "-device" // of the name of the device cookie
	deviceLife   = 365 * 24 * time.Hour
	deviceNonce  = 16 // bytes
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
	g.addCookie(answer, r, "", id, sessionLife)
}

func (g *gatekeeper) addCookie(answer http.Header, r *http.Request, suffix, value string, life time.Duration) {
	c := &http.Cookie{
		Name: g.cookieName(r) + suffix, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: g.encrypted(r), MaxAge: int(life.Seconds()),
	}
	if value == "" {
		c.MaxAge = -1
	}
	answer.Add("Set-Cookie", c.String())
}

// deviceCookie makes a cookie by which a browser that logged in is known later. It
// lets nobody in: it only has limits of its own for wrong passwords (OWASP's
// device cookies). It is signed with the mark of the password, so another one
// voids it.
func deviceCookie(mark string) string {
	nonce := make([]byte, deviceNonce)
	rand.Read(nonce) // never fails
	return base64.RawURLEncoding.EncodeToString(append(nonce, deviceSum(nonce, mark)...))
}

func deviceSum(nonce []byte, mark string) []byte {
	mac := hmac.New(sha256.New, []byte("device "+mark))
	mac.Write(nonce)
	return mac.Sum(nil)
}

// deviceOf returns the nonce of a cookie that was made under the password with
// the mark.
func deviceOf(cookie, mark string) (nonce string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil || len(raw) != deviceNonce+sha256.Size {
		return "", false
	}
	return string(raw[:deviceNonce]), subtle.ConstantTimeCompare(raw[deviceNonce:], deviceSum(raw[:deviceNonce], mark)) == 1
}

// guesserOf is who sends a password with a request.
func (g *gatekeeper) guesserOf(r *http.Request) guesser {
	mark := g.account.Mark()
	for i, c := range r.CookiesNamed(g.cookieName(r) + deviceSuffix) {
		if i == cookiesTried {
			break
		}
		if nonce, ok := deviceOf(c.Value, mark); ok {
			return guesser{known: true, name: nonce, network: nonce}
		}
	}
	return guesserAt(g.clientOf(r))
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
