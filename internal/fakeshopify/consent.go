package fakeshopify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Grant is how an app comes to its token.
type Grant int

const (
	// GrantCredentials is an app of the shop's own organization: it gets tokens
	// for client id and secret, and by consent as well.
	GrantCredentials Grant = iota
	// GrantConsent is an app of another organization: it gets a token by the
	// consent of the shop's owner only.
	GrantConsent
	// GrantToken is an app made in the shop's admin: it has APIOptions.Tokens,
	// and the token endpoint does not know it.
	GrantToken
)

// Redirect is where a new shop's app has the browser sent after a consent.
const Redirect = "http://localhost:3456/callback"

// codeLife is how long the code of a consent is good.
const codeLife = time.Minute

// The refusals of Shopify's pages: a code of OAuth with a text now and then.
const (
	refuseApp        = "application_cannot_be_found"
	refuseSecret     = "invalid_client"
	refuseCode       = "invalid_request: The authorization code was not found or was already used"
	refuseRedirect   = "invalid_request: The redirect_uri is not whitelisted"
	refuseHost       = "invalid_request: The redirect_uri and application url must have matching hosts"
	refuseGrant      = "unsupported_grant_type: The grant type is not supported by this endpoint"
	refusePermission = "shop_not_permitted: Client credentials cannot be performed on this shop."
	refuseInstall    = "app_not_installed"
)

// refuse answers with the page that Shopify refuses an app with.
func (s *Shop) refuse(w http.ResponseWriter, refusal string) {
	if s.opt.API.RefuseInJSON {
		code, text, _ := strings.Cut(refusal, ": ")
		t := &jsonText{}
		t.tree(members{{"error", code}, {"error_description", text}})
		answerJSON(w, http.StatusBadRequest, t.b)
		return
	}
	page(w, http.StatusBadRequest, "400 - Oauth error "+refusal, "")
}

// page answers with a page of Shopify's; body is HTML.
func page(w http.ResponseWriter, status int, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	title = html.EscapeString(title)
	_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>"+title+"</title></head><body><h1>"+title+"</h1>"+body+
		"</body></html>")
}

// knows reports whether the endpoints of OAuth know an app by the client id.
func (s *Shop) knows(clientID string) bool {
	return clientID != "" && (s.opt.ClientID == "" || clientID == s.opt.ClientID) && s.opt.API.Grant != GrantToken
}

// serveAuthorize shows the page on which the shop's owner is asked, and sends
// the browser back to the app when its button is pressed. What the app may do
// is a matter of its released version: the scope of the address is not looked at.
func (s *Shop) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch base, _ := url.Parse(s.opt.API.AppURL); {
	case !s.knows(q.Get("client_id")):
		s.refuse(w, refuseApp)
	case err != nil || !slices.Contains(s.opt.API.Redirects, q.Get("redirect_uri")):
		s.refuse(w, refuseRedirect)
	case base != nil && base.Host != "" && base.Host != redirect.Host:
		s.refuse(w, refuseHost)
	case r.Method == http.MethodGet:
		page(w, http.StatusOK, "Install app", "<p>An app asks to read the products of "+html.EscapeString(s.opt.Shop)+
			`.</p><form method="post"><button>Install app</button></form>`)
	default:
		w.Header().Set("Location", s.consent(redirect, q.Get("state")))
		w.WriteHeader(http.StatusFound)
	}
}

// consent installs the app and returns the address that its owner is sent to.
func (s *Shop) consent(redirect *url.URL, state string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now()
	s.api.uninstalled = false
	code := strings.ReplaceAll(uuid(s.api.rand), "-", "")
	s.api.codes[code] = now.Add(codeLife)
	name, _, _ := strings.Cut(s.opt.Shop, ".")
	q := redirect.Query()
	q.Set("code", code)
	q.Set("host", base64.RawURLEncoding.EncodeToString([]byte("admin.shopify.com/store/"+name)))
	q.Set("shop", s.opt.Shop)
	q.Set("state", state)
	q.Set("timestamp", strconv.FormatInt(now.Unix(), 10))
	q.Set("hmac", signQuery(s.secret, q))
	back := *redirect
	back.RawQuery = q.Encode()
	return back.String()
}

// signQuery is the hmac of a callback's other parameters, in hex.
func signQuery(secret string, q url.Values) string {
	m := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(m, q.Encode())
	return hex.EncodeToString(m.Sum(nil))
}

// exchange gives the offline token for a code, which is good once. The app gets
// the same token each time, until that is revoked; with expiring=1 a new one,
// which lasts an hour.
func (s *Shop) exchange(in url.Values, now time.Time) (members, string) {
	a := &s.api
	end, ok := a.codes[in.Get("code")]
	delete(a.codes, in.Get("code"))
	if !ok || !now.Before(end) {
		return nil, refuseCode
	}
	a.stats.TokenGrants++
	scope := strings.Join(a.scopes, ",")
	if in.Get("expiring") == "1" {
		token := s.newToken()
		a.tokens[token] = now.Add(time.Hour)
		return members{{"access_token", token}, {"scope", scope}, {"expires_in", 3600},
			{"refresh_token", "shprt_" + strings.ReplaceAll(uuid(a.rand), "-", "")}, {"refresh_token_expires_in", 7_776_000}}, ""
	}
	if _, ok := a.tokens[a.offline]; !ok || a.offline == "" {
		a.offline = s.newToken()
		a.tokens[a.offline] = time.Time{}
	}
	return members{{"access_token", a.offline}, {"scope", scope}}, ""
}

var (
	pageTitle  = regexp.MustCompile(`<title>(.*?)</title>`)
	pageButton = regexp.MustCompile(`<form method="post"><button>`)
)

// Consent does what the shop's owner does with the address of the consent page:
// opens it and presses the button. It returns the address that the browser is
// sent to, without going there, or the title of the page that refuses.
func (s *Shop) Consent(address string) (callback string, err error) {
	_, shown, err := s.browse(http.MethodGet, address)
	if err != nil {
		return "", err
	}
	if !pageButton.MatchString(shown) {
		return "", errors.New("consent: " + titleOf(shown))
	}
	callback, shown, err = s.browse(http.MethodPost, address)
	if err == nil && callback == "" {
		err = errors.New("consent: " + titleOf(shown))
	}
	return callback, err
}

func titleOf(shown string) string {
	if found := pageTitle.FindStringSubmatch(shown); found != nil {
		return html.UnescapeString(found[1])
	}
	return "no page"
}

// browse asks for a page of the shop as a browser does.
func (s *Shop) browse(method, address string) (location, shown string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), method, address, nil)
	if err != nil {
		return "", "", err
	}
	res, err := Transport(s.Handler()).RoundTrip(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.Header.Get("Location"), string(b), err
}
