package admit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
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
func (g *Gate) cookieName(r *http.Request) string {
	if g.encrypted(r) {
		return secureCookie
	}
	return plainCookie
}

// setCookie tells the browser a session's id, or with "" to forget it.
func (g *Gate) setCookie(header http.Header, r *http.Request, id string) {
	g.addCookie(header, r, "", id, sessionLife)
}

func (g *Gate) addCookie(header http.Header, r *http.Request, suffix, value string, life time.Duration) {
	c := &http.Cookie{
		Name: g.cookieName(r) + suffix, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: g.encrypted(r), MaxAge: int(life.Seconds()),
	}
	if value == "" {
		c.MaxAge = -1
	}
	header.Add("Set-Cookie", c.String())
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
func (g *Gate) guesserOf(r *http.Request) guesser {
	mark := g.account.Mark()
	for i, c := range r.CookiesNamed(g.cookieName(r) + deviceSuffix) {
		if i == cookiesTried {
			break
		}
		if nonce, ok := deviceOf(c.Value, mark); ok {
			return guesser{known: true, name: nonce, network: nonce}
		}
	}
	return guesserAt(g.Client(r))
}
