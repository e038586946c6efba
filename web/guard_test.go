package web

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/admit"
)

func TestTheHostHeaderHasToBeAKnownName(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Admit.Hosts = []string{"stock.example", "NAS.local:8081", "[2001:db8::7]:80"} })
	for _, tt := range []struct {
		host string
		ok   bool
	}{
		{"127.0.0.1", true}, {"127.0.0.1:8081", true}, {"127.3.4.5:1", true}, {"localhost", true}, {"LOCALHOST:9", true}, {"localhost.:9", true},
		{"app.localhost:8081", true}, {"[::1]", true}, {"[::1]:8081", true}, {"[::ffff:127.0.0.1]:8081", true},
		{"stock.example", true}, {"Stock.Example:443", true}, {"nas.local", true}, {"nas.local:1", true}, {"[2001:db8::7]:8081", true},
		{"10.0.0.5:8081", true}, // the address of the connection
		{"evil.example", false}, {"evil.example:8081", false}, {"127.0.0.1.evil.example", false}, {"localhost.evil.example", false},
		{"10.0.0.6:8081", false}, {"8.8.8.8", false}, {"[2001:db8::8]", false}, {"[::2]:8081", false}, {"", false}, {"localhost@evil.example", false},
		{"evillocalhost", false}, {"[::1", false}, {"::1]", false}, {"stock.example.", true}, {"0.0.0.0:8081", false},
	} {
		req := request("GET", "/api/v1/status", "")
		req.Host = tt.host
		local := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 8081}
		req = req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, net.Addr(local)))
		if got := serve(r.Admin(), req).Code; (got == 200) != tt.ok {
			t.Errorf("Host %q: status %d, allowed should be %v", tt.host, got, tt.ok)
		}
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/", "/api/v1/status", "/nothing", "/metrics", "/healthz", r.assets.url["stockroom.css"]} {
		h := serve(r.Admin(), request("GET", path, "")).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if !strings.HasPrefix(h.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, h.Get("Content-Security-Policy"))
		}
		if h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: HSTS on http", path)
		}
	}
}

// exampleOf fills the parameters of a route's path.
func exampleOf(path string) string {
	return strings.NewReplacer(":shop", testShop, ":id", "1", ":action", "retry", ":name", "stockroom.css").Replace(path)
}

func TestWithAPasswordEveryRouteButTheOpenOnesNeedsCredentials(t *testing.T) {
	r := newAccountRig(t, testPassword, nil)
	walked := 0
	for _, line := range append(r.adminRoutes(), route{method: "GET", path: "/no/such/path"}) {
		path := exampleOf(line.path)
		public := path == "/healthz" || path == "/readyz" || path == "/login" || path == "/setup" || strings.HasPrefix(path, "/assets/")
		for _, method := range []string{line.method, "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE"} {
			walked++
			bare := serve(r.admin, request(method, path, "", "Sec-Fetch-Site", "same-origin"))
			refused := bare.Code == http.StatusUnauthorized && !strings.Contains(bare.Body.String(), "Wrong password") // by the guard, not by the login
			if public == refused {
				t.Errorf("%s %s without credentials: %d", method, path, bare.Code)
			}
			if !public && (bare.Header().Get("WWW-Authenticate") == "" || bare.Header().Get("Content-Type") != "application/problem+json") {
				t.Errorf("%s %s: 401 with %q", method, path, bare.Header())
			}
			page := r.browse(method, path, "")
			if !public && (page.Code != http.StatusSeeOther || !strings.HasPrefix(page.Header().Get("Location"), "/login") || page.Body.Len() > 0) {
				t.Errorf("%s %s in a browser without credentials: %d to %q with %q", method, path, page.Code, page.Header().Get("Location"), page.Body)
			}
			if public && page.Code == http.StatusSeeOther {
				t.Errorf("%s %s in a browser is sent to %q", method, path, page.Header().Get("Location"))
			}
		}
	}
	if walked < 200 {
		t.Errorf("only %d requests were tried", walked)
	}
}

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+password))
}

func TestPasswordAndTokenOpenTheAdminSide(t *testing.T) {
	r := newAccountRig(t, testPassword, nil)
	for _, tt := range []struct {
		name, method string
		header       []string
		want         int
	}{
		{"token", "GET", []string{"Authorization", "Bearer " + testToken}, 200},
		{"token, scheme in lower case", "GET", []string{"Authorization", "bearer " + testToken}, 200},
		{"token changes things", "POST", []string{"Authorization", "Bearer " + testToken}, 200},
		{"wrong token", "GET", []string{"Authorization", "Bearer " + testToken + "x"}, 401},
		{"empty token", "GET", []string{"Authorization", "Bearer "}, 401},
		{"another scheme", "GET", []string{"Authorization", "Digest " + testToken}, 401},
		{"password", "GET", []string{"Authorization", basic(testPassword)}, 200},
		{"password from another machine", "GET", []string{"Authorization", basic(testPassword), "X-Forwarded-For", "203.0.113.9"}, 200},
		{"password, same origin", "POST", []string{"Authorization", basic(testPassword), "Sec-Fetch-Site", "same-origin"}, 200},
		{"password, curl", "POST", []string{"Authorization", basic(testPassword)}, 200},
		{"password, another website's form", "POST", []string{"Authorization", basic(testPassword), "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"password, another website's origin", "POST", []string{"Authorization", basic(testPassword), "Origin", "https://evil.example"}, 403},
		{"wrong password", "GET", []string{"Authorization", basic("linen")}, 401},
		{"empty password", "GET", []string{"Authorization", basic("")}, 401},
		{"no base64", "GET", []string{"Authorization", "Basic ???"}, 401},
	} {
		path := "/api/v1/status"
		if tt.method == "POST" {
			path = "/api/v1/jobs-retry"
		}
		if got := serve(r.admin, request(tt.method, path, "", tt.header...)); got.Code != tt.want {
			t.Errorf("%s: %d, want %d: %s", tt.name, got.Code, tt.want, got.Body)
		}
	}
	if r.account.checks != 4 {
		t.Errorf("the password was verified %d times; the right one is known for a while, the three wrong ones are not", r.account.checks)
	}
}

func TestMetricsAreReadWithTheTokenOnceThereIsAPassword(t *testing.T) {
	r := newAccountRig(t, testPassword, nil)
	for _, path := range []string{"/metrics", "/metrics/shopify"} {
		if got := serve(r.admin, request("GET", path, "")).Code; got != 401 {
			t.Errorf("%s without the token: %d", path, got)
		}
		if got := serve(r.admin, request("GET", path, "", "Authorization", "Bearer "+testToken)).Code; got != 200 {
			t.Errorf("%s with the token: %d", path, got)
		}
	}
}

func TestABrowserIsNotAskedByItsOwnPasswordWindow(t *testing.T) {
	r := newAccountRig(t, testPassword, nil)
	for name, header := range map[string][]string{
		"Basic":  {"Accept", "*/*"},
		"Bearer": {"Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"},
	} {
		w := serve(r.admin, request("GET", "/api/v1/status", "", header...))
		if got := w.Header().Get("WWW-Authenticate"); w.Code != 401 || !strings.HasPrefix(got, name) {
			t.Errorf("%v: %d %q, want %s", header, w.Code, got, name)
		}
	}
}

func TestWrongPasswordsAreLimitedByAddress(t *testing.T) {
	r := newAccountRig(t, testPassword, nil)
	get := func(password, from string) int {
		req := request("GET", "/api/v1/status", "", "Authorization", basic(password))
		req.RemoteAddr = from
		return serve(r.admin, req).Code
	}
	if get(testPassword, "192.0.2.1:9") != 200 {
		t.Fatal("right password refused")
	}
	refused := 0
	for range 100 {
		if get("wrong", "192.0.2.7:9") == 429 {
			refused++
		}
	}
	if refused < 85 || r.account.checks > 16 {
		t.Errorf("of 100 wrong passwords %d were limited, %d verified", refused, r.account.checks)
	}
	if got := get(testPassword, "192.0.2.7:9"); got != 429 {
		t.Errorf("an address that is held up learns that a password is right: %d", got)
	}
	if got := get(testPassword, "192.0.2.1:9"); got != 200 {
		t.Errorf("the owner at another address is held up: %d", got)
	}
	if got := get("wrong", "192.0.2.2:9"); got != 401 {
		t.Errorf("another address is limited, too: %d", got)
	}
	if got := get("wrong", "[2001:db8::1]:9"); got != 401 {
		t.Errorf("IPv6: %d", got)
	}
	for i := range 20 {
		get("wrong", fmt.Sprintf("[2001:db8::%x]:9", i+2))
	}
	if got := get("wrong", "[2001:db8::ffff]:9"); got != 429 {
		t.Errorf("another address of the same IPv6 network is not limited: %d", got)
	}
}

func TestGuessingFromManyAddressesIsLimitedInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newAccountRig(t, testPassword, nil)
		get := func(password string, n int) int {
			req := request("GET", "/api/v1/status", "", "Authorization", basic(password))
			req.RemoteAddr = fmt.Sprintf("10.%d.%d.1:9", n/250, n%250)
			return serve(r.admin, req).Code
		}
		cookie, began := r.login(testPassword), time.Now()
		for n := range 400 {
			if n%80 == 0 && get(testPassword, 5000) != 200 {
				t.Error("the owner is held up by strangers")
			}
			get("wrong", n)
		}
		if most := 10*10 + int(time.Since(began)/(600*time.Millisecond)) + 8; r.account.checks > most {
			t.Errorf("%d passwords were verified, want at most %d", r.account.checks, most)
		}
		if get(testPassword, 5000) != 200 || !r.welcome(cookie) {
			t.Error("who was let in a moment ago, or has a session, is held up by strangers")
		}
	})
}

func TestTheAddressOfAForwardedClientCountsFromTrustedProxiesOnly(t *testing.T) {
	for _, tt := range []struct {
		name  string
		proxy string
		limit bool // does the limit hit the next client behind the same peer?
	}{
		{"a trusted proxy", "10.9.0.0/16", false},
		{"a proxy nobody named", "172.16.0.0/12", true},
	} {
		r := newAccountRig(t, testPassword, func(o *Options) { o.Admit.Proxies = admit.Proxies{netip.MustParsePrefix(tt.proxy)} })
		get := func(client string) int {
			req := request("GET", "/api/v1/status", "", "Authorization", basic("wrong"), "X-Forwarded-For", "198.51.100.77, "+client)
			req.RemoteAddr = "10.9.0.1:4000"
			return serve(r.admin, req).Code
		}
		for range 30 {
			get("203.0.113.5")
		}
		if got := get("203.0.113.6") == 429; got != tt.limit {
			t.Errorf("%s: the next client is limited: %v", tt.name, got)
		}
	}
}

// Where a request comes from lets nobody in: a proxy or a tunnel on this machine
// brings strangers from the same address.
func TestWithoutAPasswordNoRequestIsTrustedForItsAddress(t *testing.T) {
	a := newAccountRig(t, "", nil)
	cookie := plainCookie + "=" + a.enter()
	for _, tt := range []struct {
		name, from string
		header     []string
		want       int
	}{
		{"loopback", "127.0.0.1:1", nil, 401},
		{"loopback v6", "[::1]:1", nil, 401},
		{"another machine", "192.0.2.1:1", nil, 401},
		{"our own page without a session", "127.0.0.1:1", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8081"}, 401},
		{"any password", "127.0.0.1:1", []string{"Authorization", basic("")}, 401},
		{"a browser that typed the address", "127.0.0.1:1", []string{"Accept", "text/html", "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 303},
		{"an image on another website", "127.0.0.1:1", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"another machine with the token", "192.0.2.1:1", []string{"Authorization", "Bearer " + testToken}, 200},
		{"a proxy on this machine with the token", "127.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9", "Authorization", "Bearer " + testToken}, 200},
		{"a session", "127.0.0.1:1", []string{"Cookie", cookie}, 200},
		{"a session through a proxy", "127.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9", "Cookie", cookie}, 200},
		{"a script on another port with a session", "127.0.0.1:1", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Cookie", cookie}, 403},
	} {
		req := request("GET", "/api/v1/status", "", tt.header...)
		req.RemoteAddr = tt.from
		if w := serve(a.admin, req); w.Code != tt.want || w.Code != 200 && strings.Contains(w.Body.String(), testShop) {
			t.Errorf("%s: %d, want %d: %s", tt.name, w.Code, tt.want, w.Body)
		}
	}
	if w := serve(a.admin, request("GET", "/api/v1/status", "")); !strings.Contains(w.Body.String(), "stockroom open") || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("it is not said how to come in: %s %q", w.Body, w.Header())
	}
}

func TestADemoIsReadOnThisMachineOnly(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Admit.Demo = true })
	for _, tt := range []struct {
		name, from string
		header     []string
		want       int
	}{
		{"loopback", "127.0.0.1:1", nil, 200},
		{"loopback v6", "[::1]:1", nil, 200},
		{"another machine", "192.0.2.1:1", nil, 403},
		{"another machine with the token", "192.0.2.1:1", []string{"Authorization", "Bearer " + testToken}, 200},
		{"a proxy on this machine", "127.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9"}, 403},
		{"a tunnel on this machine", "127.0.0.1:1", []string{"Forwarded", "for=203.0.113.9"}, 403},
		{"a link on another website", "127.0.0.1:1", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"an image on another website", "127.0.0.1:1", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"a script on another port", "127.0.0.1:1", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, 403},
	} {
		req := request("GET", "/api/v1/status", "", tt.header...)
		req.RemoteAddr = tt.from
		if got := serve(r.Server.Admin(), req).Code; got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestChangesNeedTheTokenOrOurOwnPage(t *testing.T) {
	demo := newAccountRig(t, "", func(o *Options) { o.Admit.Demo = true })
	a := newAccountRig(t, "", nil)
	cookie := a.enter()
	for _, tt := range []struct {
		name    string
		header  []string
		demo    int // to a demo
		session int // in a session
	}{
		{"curl without token", nil, 403, 200},
		{"curl with token", []string{"Authorization", "Bearer " + testToken}, 200, 200},
		{"wrong token", []string{"Authorization", "Bearer nope"}, 401, 401},
		{"our own page", []string{"Sec-Fetch-Site", "same-origin"}, 200, 200},
		{"our own page in an older browser", []string{"Origin", "http://127.0.0.1:8081"}, 200, 200},
		{"typed or bookmarked", []string{"Sec-Fetch-Site", "none"}, 403, 200},
		{"another website", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403, 403},
		{"another port", []string{"Sec-Fetch-Site", "same-site"}, 403, 403},
		{"another website in an older browser", []string{"Origin", "https://evil.example"}, 403, 403},
		{"another port in an older browser", []string{"Origin", "http://127.0.0.1:3000"}, 403, 403},
		{"a sandboxed frame", []string{"Origin", "null"}, 403, 403},
		{"another website that knows the header of old", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://127.0.0.1:8081"}, 403, 403},
	} {
		if got := serve(demo.admin, request("POST", "/api/v1/jobs-retry", "", tt.header...)); got.Code != tt.demo {
			t.Errorf("a demo, %s: %d, want %d: %s", tt.name, got.Code, tt.demo, got.Body)
		}
		in := append([]string{"Cookie", plainCookie + "=" + cookie}, tt.header...)
		if got := serve(a.admin, request("POST", "/api/v1/jobs-retry", "", in...)); got.Code != tt.session {
			t.Errorf("a session, %s: %d, want %d: %s", tt.name, got.Code, tt.session, got.Body)
		}
	}
	if body := serve(demo.admin, request("POST", "/api/v1/jobs-retry", "")).Body.String(); !strings.Contains(body, "Authorization: Bearer") {
		t.Errorf("curl is not told how to send the token: %s", body)
	}
}

func TestAnEmptyTokenOpensNothing(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Admit.Token = "" })
	for _, header := range []string{"Bearer ", "Bearer x"} {
		if got := serve(r.Admin(), request("POST", "/api/v1/jobs-retry", "", "Authorization", header)).Code; got != 401 {
			t.Errorf("%q: %d", header, got)
		}
	}
}
