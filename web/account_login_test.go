package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"stockroom/internal/admit"
)

func TestABrowserLogsInAndComesBackToWhereItWas(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	w := a.browse("GET", "/products?q=a%20b&status=ACTIVE", "")
	if w.Code != 303 || w.Header().Get("Location") != "/login?next=%2Fproducts%3Fq%3Da%2520b%26status%3DACTIVE" {
		t.Fatalf("%d %q", w.Code, w.Header().Get("Location"))
	}
	page := a.browse("GET", w.Header().Get("Location"), "")
	if page.Code != 200 || !strings.Contains(page.Body.String(), `name="next" value="/products?q=a%20b&amp;status=ACTIVE"`) || page.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("login page: %d %s", page.Code, page.Body)
	}
	if strings.Contains(page.Body.String(), "<script") || page.Header().Get("Set-Cookie") != "" {
		t.Error("the login page has a script, or sets a cookie before the login")
	}
	in := a.submit("/login", "", url.Values{"password": {testPassword}, "next": {"/products?q=a%20b&status=ACTIVE"}})
	if in.Code != 303 || in.Header().Get("Location") != "/products?q=a%20b&status=ACTIVE" {
		t.Fatalf("login: %d %q", in.Code, in.Header().Get("Location"))
	}
	c := cookieOf(t, in)
	if c.Name != plainCookie || c.Path != "/" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Domain != "" || c.MaxAge != 30*24*3600 || len(c.Value) != 43 {
		t.Errorf("cookie %s", c)
	}
	if !a.welcome(c.Value) {
		t.Error("the session does not open the page")
	}
	if w := a.browse("GET", "/login", c.Value); w.Code != 303 || w.Header().Get("Location") != "/" {
		t.Errorf("the login page with a session: %d", w.Code)
	}
	if w := a.submit("/jobs/all/retry", c.Value, nil); w.Code >= 400 {
		t.Errorf("a button with a session: %d %s", w.Code, w.Body)
	}
	if w := a.submit("/jobs/all/retry", "", nil); w.Code != 303 || w.Header().Get("Location") != "/login" {
		t.Errorf("a button without a session: %d %q", w.Code, w.Header().Get("Location"))
	}
}

func TestWrongPasswordsInTheFormAreRefusedAndLimited(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	for _, password := range []string{"", "linen", testPassword + " ", "LINEN AND WOOL", testPassword[:13]} {
		w := a.submit("/login", "", url.Values{"password": {password}})
		if w.Code != 403 || w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "This is not the password") || strings.Contains(w.Body.String(), testPassword) {
			t.Errorf("%q: %d %s", password, w.Code, w.Body)
		}
	}
	if w := a.submit("/login?password="+url.QueryEscape(testPassword), "", nil); w.Code != 403 {
		t.Errorf("a password in the address: %d", w.Code)
	}
	for range 20 {
		a.submit("/login", "", url.Values{"password": {"guess"}})
	}
	w := a.submit("/login", "", url.Values{"password": {testPassword}})
	if w.Code != 429 || w.Header().Get("Set-Cookie") != "" || a.account.checks > 12 {
		t.Errorf("the right one after many wrong ones: %d, %d verified", w.Code, a.account.checks)
	}
	if w := serve(a.admin, request("POST", "/login", "password=x", "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json")); w.Code != 429 || w.Header().Get("Retry-After") == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("a program: %d %v", w.Code, w.Header())
	}
	if got := serve(a.admin, request("GET", "/api/v1/status", "", "Authorization", "Bearer "+testToken)).Code; got != 200 {
		t.Errorf("the token is limited as well: %d", got)
	}
}

func TestALoginNeverTakesASessionOverFromTheBrowser(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	planted := strings.Repeat("A", 43)
	w := a.submit("/login", planted, url.Values{"password": {testPassword}})
	first := cookieOf(t, w).Value
	if first == planted || a.welcome(planted) {
		t.Error("a cookie from before the login became a session")
	}
	// A new login in the same browser ends the session that it had.
	second := cookieOf(t, a.submit("/login", first, url.Values{"password": {testPassword}})).Value
	if second == first || a.welcome(first) || !a.welcome(second) {
		t.Error("the id was not changed by a login")
	}
	if a.submit("/login", second, url.Values{"password": {"wrong"}}); !a.welcome(second) {
		t.Error("a failed login ended the session")
	}
	// An attacker's own session, planted into the browser, is not upgraded.
	mine := a.login(testPassword)
	theirs := cookieOf(t, a.submit("/login", mine, url.Values{"password": {testPassword}})).Value
	if a.welcome(mine) || theirs == mine {
		t.Error("a planted session is the victim's")
	}
}

func TestASessionThatWasEndedCannotBeReplayed(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	cookie, other := a.login(testPassword), a.login(testPassword)
	w := a.submit("/logout", cookie, nil)
	if c := cookieOf(t, w); w.Code != 303 || c.Value != "" || c.MaxAge >= 0 {
		t.Errorf("logout: %d %v", w.Code, c)
	}
	if a.welcome(cookie) {
		t.Error("the old cookie works after logging out")
	}
	if !a.welcome(other) {
		t.Error("logging out ended another session")
	}
	a.restart()
	if a.welcome(cookie) || !a.welcome(other) {
		t.Error("a restart brought a session back, or lost one")
	}
	if w := a.submit("/account/sessions-end", other, nil); w.Code != 303 || w.Header().Get("Location") != "/login" {
		t.Errorf("log out everywhere: %d", w.Code)
	}
	if a.restart(); a.welcome(other) {
		t.Error("a session is good after logging out everywhere")
	}
	if w := a.submit("/logout", "", nil); w.Code != 303 {
		t.Errorf("logging out without a session: %d", w.Code)
	}
}

func TestATamperedCookieIsNoSession(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	cookie := a.login(testPassword)
	key := nameOf(cookie)
	for name, value := range map[string]string{
		"empty": "", "one character more": cookie + "A", "one less": cookie[:42], "last one changed": cookie[:42] + "!", "the hash that is kept": key,
		"other case": strings.ToUpper(cookie), "quoted": `"` + cookie + `"x`, "very long": strings.Repeat("A", 8000), "zeros": strings.Repeat("\x00", 43), "a path": "../../session",
	} {
		r := request("GET", "/api/v1/status", "", "Cookie", plainCookie+"="+value)
		if got := serve(a.admin, r).Code; got != 401 {
			t.Errorf("%s: %d", name, got)
		}
	}
	many := strings.Repeat(plainCookie+"=x; ", 50) + plainCookie + "=" + cookie
	if got := serve(a.admin, request("GET", "/api/v1/status", "", "Cookie", many)).Code; got != 401 {
		t.Errorf("the 51st cookie of the name was tried: %d", got)
	}
	if got := serve(a.admin, request("GET", "/api/v1/status", "", "Cookie", plainCookie+"=planted; "+plainCookie+"="+cookie)).Code; got != 200 {
		t.Errorf("a planted cookie beside the real one locks the browser out: %d", got)
	}
}

func TestBehindTLSOnlyACookieWithTheHostPrefixCounts(t *testing.T) {
	trusted := func(o *Options) {
		o.Admit.Proxies = admit.Proxies{netip.MustParsePrefix("127.0.0.1/32")}
		o.Admit.Hosts = []string{"stock.example"}
	}
	for _, tt := range []struct {
		name   string
		change func(*Options)
		header []string
		secure bool
	}{
		{"a trusted proxy says https", trusted, []string{"X-Forwarded-Proto", "https"}, true},
		{"a trusted proxy says http", trusted, []string{"X-Forwarded-Proto", "http"}, false},
		{"a trusted proxy says nothing", trusted, nil, false},
		{"anybody says https", nil, []string{"X-Forwarded-Proto", "https"}, false},
	} {
		a := newAccountRig(t, testPassword, tt.change)
		c := cookieOf(t, a.submit("/login", "", url.Values{"password": {testPassword}}, tt.header...))
		want := map[bool]string{true: secureCookie, false: plainCookie}[tt.secure]
		if c.Name != want || c.Secure != tt.secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s: %s", tt.name, c)
		}
		for _, name := range []string{plainCookie, secureCookie} {
			h := append([]string{"Cookie", name + "=" + c.Value}, tt.header...)
			if got := serve(a.admin, request("GET", "/api/v1/status", "", h...)).Code; (got == 200) != (name == want) {
				t.Errorf("%s: cookie %s: %d", tt.name, name, got)
			}
		}
	}
}

func TestBehindTLSBrowsersAreToldToStayThere(t *testing.T) {
	a := newAccountRig(t, testPassword, func(o *Options) {
		o.Admit.Proxies = admit.Proxies{netip.MustParsePrefix("127.0.0.1/32")}
		o.Admit.Hosts = []string{"stock.example"}
	})
	for _, tt := range []struct {
		name, host, from, proto string
		told                    bool
	}{
		{"behind a trusted proxy with TLS", "stock.example", "127.0.0.1:5", "https", true},
		{"behind one without", "stock.example", "127.0.0.1:5", "http", false},
		{"by somebody who only says so", "stock.example", "192.0.2.1:5", "https", false},
		{"under a name that other programs share", "localhost:8443", "127.0.0.1:5", "https", false},
		{"under a name below it", "stock.localhost", "127.0.0.1:5", "https", false},
		{"under an address", "127.0.0.1:8443", "127.0.0.1:5", "https", false},
		{"under a name that is not ours", "evil.example", "127.0.0.1:5", "https", false},
	} {
		for _, path := range []string{"/login", "/", "/api/v1/status", "/nothing"} {
			r := request("GET", path, "", "X-Forwarded-Proto", tt.proto)
			r.Host, r.RemoteAddr = tt.host, tt.from
			got := serve(a.admin, r).Header().Get("Strict-Transport-Security")
			if want := map[bool]string{true: "max-age=31536000"}[tt.told]; got != want {
				t.Errorf("%s, %s: %q, want %q", tt.name, path, got, want)
			}
		}
	}
}

func TestALinkOnAnotherWebsiteShowsTheWayIn(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	w := a.browse("GET", "/login?next=/products", "", "Sec-Fetch-Site", "cross-site")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `<a href="/products">open the page</a>`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAPasswordOverAnOpenNetworkIsWarnedOf(t *testing.T) {
	a := newAccountRig(t, testPassword, func(o *Options) { o.Admit.Proxies = admit.Proxies{netip.MustParsePrefix("10.0.0.1/32")} })
	for _, tt := range []struct {
		name, from string
		header     []string
		warned     bool
	}{
		{"this machine", "127.0.0.1:5", nil, false},
		{"another machine", "192.0.2.1:5", nil, true},
		{"a proxy with TLS", "10.0.0.1:5", []string{"X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.1"}, false},
		{"a proxy without", "10.0.0.1:5", []string{"X-Forwarded-For", "192.0.2.1"}, true},
	} {
		r := request("GET", "/login", "", append([]string{"Accept", "text/html"}, tt.header...)...)
		r.RemoteAddr = tt.from
		if got := strings.Contains(serve(a.admin, r).Body.String(), "not encrypted"); got != tt.warned {
			t.Errorf("%s: warned %v", tt.name, got)
		}
	}
}

func TestTheWayBackAfterALoginStaysOnThisSite(t *testing.T) {
	for next, want := range map[string]string{
		"/": "/", "/products?q=1": "/products?q=1", "/products/a.myshopify.com/1": "/products/a.myshopify.com/1", "/a%20b": "/a%20b",
		"": "/", "products": "/", "//evil.example": "/", "//evil.example/": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "/\t/evil.example": "/", "/\n/evil.example": "/",
		"https://evil.example/": "/", "javascript:alert(1)": "/", "///evil.example": "/", "/%2F/evil.example": "/", "/%5Cevil.example": "/", "/%09/evil": "/", "/x#y": "/",
		"/login": "/", "/login?next=/": "/", "/logout": "/", "/setup?token=x": "/", "http:/evil": "/", " /x": "/", "/" + strings.Repeat("a", 3000): "/", "/%zz": "/",
	} {
		if got := ownPath(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

func FuzzTheWayBackAfterALoginStaysOnThisSite(f *testing.F) {
	for _, seed := range []string{"/", "/products?q=1", "//evil.example", "/\\evil", "/%2f/evil", "https://evil.example", "/a/../..//evil"} {
		f.Add(seed)
	}
	base := &url.URL{Scheme: "https", Host: "stock.example", Path: "/login"}
	f.Fuzz(func(t *testing.T, next string) {
		got := ownPath(next)
		u, err := base.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != "stock.example" || u.User != nil {
			t.Fatalf("%q leads to %v (%v)", next, u, err)
		}
		// Browsers take a backslash for a slash and drop tabs and line ends.
		if strings.ContainsAny(got, "\\\t\r\n") || strings.HasPrefix(got, "//") || !strings.HasPrefix(got, "/") {
			t.Fatalf("%q leads to %q", next, got)
		}
	})
}

func TestAnEndThatCannotBeWrittenIsToldAndTakesEffectAtOnce(t *testing.T) {
	keep := newMemoryKeeper()
	a := newAccountRig(t, testPassword, func(o *Options) { o.Admit.Keeper = keep })
	cookie, other := a.login(testPassword), a.login(testPassword)
	keep.broken = errors.New("no space left on device")
	if w := a.submit("/logout", cookie, nil); w.Code != 503 || a.welcome(cookie) {
		t.Errorf("logout on a full disk: %d", w.Code)
	}
	if w := a.submit("/account/sessions-end", other, nil); w.Code != 503 || a.welcome(other) {
		t.Errorf("log out everywhere on a full disk: %d", w.Code)
	}
}

// follow keeps a request open as an event stream does and returns what ends it
// and whether it has ended.
func (a *accountRig) follow(r *http.Request) (ended <-chan struct{}) {
	a.t.Helper()
	done, began := make(chan struct{}), make(chan struct{})
	h := a.guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	}))
	go func() {
		defer close(done)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 300 {
			a.t.Errorf("not let in: %d", w.Code)
			close(began)
		}
	}()
	<-began
	return done
}

func isOver(ended <-chan struct{}, wait time.Duration) bool {
	select {
	case <-ended:
		return true
	case <-time.After(wait):
		return false
	}
}

func TestAnOpenStreamEndsWithItsSession(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	withCookie := func(c string) *http.Request {
		return request("GET", "/events", "", "Cookie", plainCookie+"="+c).WithContext(t.Context())
	}
	byBasic := request("GET", "/events", "", "Authorization", basic(testPassword)).WithContext(t.Context())
	byToken := request("GET", "/events", "", "Authorization", "Bearer "+testToken).WithContext(t.Context())
	one, two := a.login(testPassword), a.login(testPassword)
	first, second, third, fourth := a.follow(withCookie(one)), a.follow(withCookie(two)), a.follow(byBasic), a.follow(byToken)
	a.submit("/logout", one, nil)
	if !isOver(first, 5*time.Second) || isOver(second, 0) || isOver(third, 0) {
		t.Error("logging out did not end its own stream, or ended another's")
	}
	serve(a.admin, request("PUT", "/api/v1/password", `{"password":"cotton and jute 7"}`, "Authorization", "Bearer "+testToken))
	if !isOver(second, 5*time.Second) || !isOver(third, 5*time.Second) {
		t.Error("a stream goes on after the password was changed")
	}
	if isOver(fourth, 0) {
		t.Error("the token's stream was ended")
	}
}

func TestSettingAPasswordEndsWhatWasOpenWithoutOne(t *testing.T) {
	a := newAccountRig(t, "", nil)
	demo := newAccountRig(t, "", func(o *Options) { o.Admit.Demo = true })
	byLink := a.follow(request("GET", "/events", "", "Cookie", plainCookie+"="+a.enter()).WithContext(t.Context()))
	inDemo := demo.follow(request("GET", "/events", "").WithContext(t.Context()))
	for _, r := range []*accountRig{a, demo} {
		serve(r.admin, request("PUT", "/api/v1/password", `{"password":"cotton and jute 7"}`, "Authorization", "Bearer "+testToken))
	}
	if !isOver(byLink, 5*time.Second) || !isOver(inDemo, 5*time.Second) {
		t.Error("a stream from before the password goes on")
	}
}

func TestOneSessionUsedByManyRequestsAtOnce(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	cookie := a.login(testPassword)
	results := make(chan error)
	for i := range 20 {
		go func() {
			r := request("GET", "/api/v1/sessions", "", "Cookie", plainCookie+"="+cookie)
			if i == 10 {
				r = request("POST", "/logout", "", "Cookie", plainCookie+"="+cookie)
			}
			w := serve(a.admin, r)
			_, err := io.Copy(io.Discard, w.Body)
			if w.Code != 200 && w.Code != 303 && w.Code != 401 {
				err = fmt.Errorf("status %d", w.Code)
			}
			results <- err
		}()
	}
	for range 20 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if a.welcome(cookie) {
		t.Error("the session outlived the logout")
	}
}

func TestALoginGivesTheBrowserADeviceCookie(t *testing.T) {
	a := newAccountRig(t, testPassword, func(o *Options) {
		o.Admit.Proxies = admit.Proxies{netip.MustParsePrefix("127.0.0.1/32")}
	})
	submit := func(password string, header ...string) *httptest.ResponseRecorder {
		return a.submit("/login", "", url.Values{"password": {password}}, header...)
	}
	first, second := deviceSet(submit(testPassword)), deviceSet(submit(testPassword, "X-Forwarded-Proto", "https"))
	for name, c := range map[string]*http.Cookie{plainCookie + "-device": first, "__Host-stockroom-device": second} {
		if c == nil || c.Name != name || c.Path != "/" || c.Domain != "" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != strings.HasPrefix(name, "__Host-") || c.MaxAge != 365*24*3600 {
			t.Errorf("%s: %v", name, c)
		}
	}
	if first.Value == second.Value {
		t.Error("it was not made again at the second login")
	}
	if a.welcome(first.Value) {
		t.Error("it opens the page in place of a session")
	}
	if c := deviceSet(submit("wrong")); c != nil {
		t.Error("a wrong password got one")
	}
	if c := deviceSet(a.browse("GET", "/login", "")); c != nil {
		t.Error("the login page gives one")
	}
	for range 30 {
		submit("wrong")
	}
	if w := submit(testPassword); w.Code != 429 || !strings.Contains(w.Body.String(), "Too many wrong passwords came from your address. Wait a few seconds before the next try, or run") {
		t.Errorf("without one: %d %s", w.Code, w.Body)
	}
	if w := submit(testPassword, "Cookie", first.Name+"="+first.Value); w.Code != 303 {
		t.Errorf("with one: %d", w.Code)
	}
	for range 30 {
		submit("wrong", "Cookie", second.Name+"="+second.Value, "X-Forwarded-Proto", "https")
	}
	if w := submit("wrong", "Cookie", second.Name+"="+second.Value, "X-Forwarded-Proto", "https"); w.Code != 429 || !strings.Contains(w.Body.String(), "came from this browser") {
		t.Errorf("a browser with too many wrong ones: %d %s", w.Code, w.Body)
	}
	a.restart()
	for range 30 {
		submit("wrong")
	}
	if w := submit(testPassword, "Cookie", first.Name+"="+first.Value); w.Code != 303 {
		t.Errorf("after a restart: %d", w.Code)
	}
	// The present password of the form that changes it is guessed no better.
	session := a.enter()
	change := url.Values{"current": {"wrong"}, "password": {newPassword}, "again": {newPassword}}
	if w := a.submit("/account/password", session, change); w.Code != 429 {
		t.Errorf("changing it without one: %d", w.Code)
	}
	change.Set("current", testPassword)
	w := a.submit("/account/password", session, change, "Cookie", first.Name+"="+first.Value+"; "+plainCookie+"="+session)
	if third := deviceSet(w); w.Code != 303 || third == nil {
		t.Errorf("changing it with one: %d %v", w.Code, w.Header())
	} else if w := submit(newPassword, "Cookie", third.Name+"="+third.Value); w.Code != 303 {
		t.Errorf("the new one: %d", w.Code)
	}
	if w := submit(newPassword, "Cookie", first.Name+"="+first.Value); w.Code != 429 {
		t.Errorf("one from before the change: %d", w.Code)
	}
}
