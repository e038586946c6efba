package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// attempt sends a request that an event stream would hold open only for a
// moment.
func attempt(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	return serve(h, r.WithContext(ctx))
}

func TestAnotherWebsiteCannotUseASession(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	a.deadJob(`{"id":1}`)
	// SameSite=Strict keeps the cookie away; these are for a browser that does not.
	cookie := plainCookie + "=" + a.login(testPassword)
	before := a.everythingKept()
	tried := 0
	for _, line := range a.adminRoutes() {
		if isSafe(line.method) {
			continue
		}
		for name, header := range map[string][]string{
			"a form of another website":           {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"},
			"a script of another website":         {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "https://evil.example"},
			"another port of this machine":        {"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:3000"},
			"an older browser, another website":   {"Origin", "https://evil.example"},
			"an older browser, another port":      {"Origin", "http://127.0.0.1:3000"},
			"an older browser, a sandboxed frame": {"Origin", "null"},
			"the right origin from another site":  {"Sec-Fetch-Site", "cross-site", "Origin", "http://127.0.0.1:8081"},
		} {
			for _, credentials := range [][]string{{"Cookie", cookie}, {"Authorization", basic(testPassword)}} {
				tried++
				w := attempt(t, a.admin, request(line.method, exampleOf(line.path), "password=x", append(append([]string{"Content-Type", "application/x-www-form-urlencoded"}, credentials...), header...)...))
				if w.Code != http.StatusForbidden || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s, %s %s by %s: %d", name, line.method, line.path, credentials[0], w.Code)
				}
			}
		}
	}
	after := a.everythingKept()
	for name, was := range before {
		if after[name] != was {
			t.Errorf("another website changed %s", name)
		}
	}
	if tried < 100 {
		t.Errorf("only %d attempts", tried)
	}
}

func TestAnotherWebsiteCannotLogABrowserIn(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}} {
		w := a.submit("/login", "", url.Values{"password": {testPassword}}, header...)
		if w.Code != 403 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%v: %d", header, w.Code)
		}
	}
}

func TestARebindingNameReachesNothing(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	cookie := plainCookie + "=" + a.login(testPassword)
	open := newAccountRig(t, "", nil)
	for _, host := range []string{"evil.example", "evil.example:8081", "127.0.0.1.evil.example", "169.254.169.254"} {
		for _, line := range a.adminRoutes() {
			if line.path == "/healthz" {
				continue
			}
			for name, h := range map[string]http.Handler{"with a password": a.admin, "without one": open.admin} {
				for _, accept := range []string{"text/html", "*/*"} {
					w := attempt(t, h, request(line.method, exampleOf(line.path), "", "Host", host, "Cookie", cookie, "Accept", accept, "Sec-Fetch-Site", "same-origin", "Origin", "http://"+host))
					if w.Code != http.StatusMisdirectedRequest || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Location") != "" {
						t.Errorf("%s: %s %s under %s: %d", name, line.method, line.path, host, w.Code)
					}
				}
			}
		}
	}
}

func TestNoAnswerCanBeFramedOrSniffed(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	cookie := a.login(testPassword)
	link, _ := a.setupLink()
	type try struct{ method, path string }
	tries := []try{{"GET", "/no/such/page"}, {"BREW", "/"}, {"POST", "/api/v1/status"}, {"GET", link}, {"GET", "/api/v1/products/" + testShop + "/999"}, {"GET", "/assets/nothing.css"}, {"PUT", "/api/v1/shops/not_a_shop!"}}
	for _, line := range a.adminRoutes() {
		tries = append(tries, try{line.method, exampleOf(line.path)}, try{"HEAD", exampleOf(line.path)})
	}
	for _, one := range tries {
		for name, header := range map[string][]string{
			"nobody":          nil,
			"a browser":       {"Accept", "text/html"},
			"a session":       {"Cookie", plainCookie + "=" + cookie, "Accept", "text/html", "Sec-Fetch-Site", "same-origin"},
			"another website": {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"},
			"another name":    {"Host", "evil.example"},
		} {
			if one.path == "/logout" || strings.HasPrefix(one.path, "/account/sessions") || one.method == "DELETE" {
				continue // would end the session; their answers are the same redirects
			}
			h := attempt(t, a.admin, request(one.method, one.path, "", header...)).Header()
			policy := h.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
				if !slices.Contains(strings.Split(policy, "; "), part) {
					t.Errorf("%s: %s %s: no %s in %q", name, one.method, one.path, part, policy)
				}
			}
			if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
				t.Errorf("%s: %s %s: policy %q", name, one.method, one.path, policy)
			}
			if h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
				t.Errorf("%s: %s %s: %v", name, one.method, one.path, h)
			}
			if h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %s %s lets other websites read", name, one.method, one.path)
			}
		}
	}
}

func TestNoSecretIsEverLogged(t *testing.T) {
	a := newAccountRig(t, "", nil)
	entry, _ := a.NewLoginLink()
	a.browse("GET", entry, "")
	a.browse("GET", entry, "")
	made := decode[struct{ Token string }](t, a.rig.admin(201, "POST", "/api/v1/tokens", `{"name":"prometheus"}`))
	serve(a.admin, request("POST", "/api/v1/jobs-retry", "", "Authorization", "Bearer "+made.Token))
	link, _ := a.setupLink()
	form := setupForm(t, link, newPassword)
	first := cookieOf(t, a.submit("/setup", "", form)).Value
	second := a.login(newPassword, "Authorization", "")
	a.submit("/login", second, url.Values{"password": {"wrong but secret 1"}})
	a.browse("GET", "/login?next=/x&password=wrong+but+secret+2", "")
	serve(a.admin, request("GET", "/api/v1/status", "", "Authorization", basic("wrong but secret 3")))
	serve(a.admin, request("GET", "/api/v1/status", "", "Authorization", "Bearer wrong-but-secret-4"))
	serve(a.admin, request("GET", "/api/v1/status", "", "Cookie", plainCookie+"=wrong-but-secret-5"))
	a.browse("GET", link, "")
	third := cookieOf(t, a.submit("/account/password", second, url.Values{"current": {newPassword}, "password": {"linen and hemp 8"}, "again": {"linen and hemp 8"}})).Value
	a.rig.admin(200, "PUT", "/api/v1/password", `{"password":"wool and hemp 9"}`)
	again := decode[struct{ Path string }](t, a.rig.admin(201, "POST", "/api/v1/password-link", ""))
	fourth := a.login("wool and hemp 9")
	a.submit("/logout", fourth, nil)
	a.account.broken = errors.New("no space left on device")
	a.submit("/setup", "", setupForm(t, again.Path, "jute and hemp 10"))
	text := a.log.String()
	if strings.Count(text, "\n") < 8 || !strings.Contains(text, "logged in") || !strings.Contains(text, "login refused") || !strings.Contains(text, "password of the status page was changed") {
		t.Errorf("the log lacks what happened:\n%s", text)
	}
	for _, secret := range []string{
		newPassword, "linen and hemp 8", "wool and hemp 9", "jute and hemp 10", "wrong but secret", "wrong-but-secret", "wrong+but+secret", testToken,
		first, second, third, fourth, entry[len("/login?link="):], made.Token, form.Get("token"), setupForm(t, again.Path, "").Get("token"), basic("wrong but secret 3")[6:],
	} {
		if secret == "" || strings.Contains(text, secret) {
			t.Errorf("the log holds %q:\n%s", secret, text)
		}
	}
}

func TestRefusalsAreLoggedWithinBounds(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	a.browse("GET", "/", "")
	serve(a.admin, request("GET", "/api/v1/status", ""))
	if text := a.log.String(); strings.Contains(text, "refused") {
		t.Errorf("the begin of a login is logged as an attack: %s", text)
	}
	for name, header := range map[string][]string{
		"Wrong token": {"Authorization", "Bearer x"}, "Wrong password": {"Authorization", basic("x")}, "Unknown host name": {"Host", "evil.example"},
		"Another website asked": {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"},
	} {
		serve(a.admin, request("GET", "/api/v1/status?token=confidential", "", header...))
		if text := a.log.String(); !strings.Contains(text, `"reason":"`+name+`"`) || !strings.Contains(text, `"from":"127.0.0.1"`) || strings.Contains(text, "confidential") {
			t.Errorf("%s is not in the log, or too much is: %s", name, text)
		}
	}
	broken := a.recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no") }))
	long := strings.Repeat("/a%22%0Aforged", 2000)
	for _, send := range []func(){
		func() { serve(a.admin, request("GET", "/a%22%0Aforged", "", "Authorization", "Bearer x")) },
		func() { serve(a.admin, request("GET", long, "", "Host", "evil.example")) },
		func() { a.submit("/login", "", url.Values{"password": {"x"}}) },
		func() { serve(broken, request("GET", "/", "")) },
	} {
		began := time.Now()
		a.log.Reset()
		for range 10_000 {
			send()
		}
		most := 12 + 2*int(time.Since(began).Seconds()) // ten at once, two a second
		if n := strings.Count(a.log.String(), "\n"); n > most || a.log.Len() > 3<<10*most {
			t.Errorf("%d lines of %d bytes for ten thousand requests: %.300s", n, a.log.Len(), a.log)
		}
		for line := range strings.Lines(a.log.String()) {
			if !strings.HasPrefix(line, `{"time":"`) || !strings.HasSuffix(line, "}\n") {
				t.Errorf("a line was forged: %s", line)
			}
		}
	}
}

func TestTraceIsNotAnswered(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	for name, h := range map[string]http.Handler{"admin": a.admin, "public": a.Public(hooks())} {
		for _, path := range []string{"/", "/healthz", "/api/v1/status"} {
			w := serve(h, request("TRACE", path, "", "Authorization", "Bearer "+testToken))
			if w.Code < 400 || strings.Contains(w.Body.String(), testToken) {
				t.Errorf("%s: TRACE %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
}
