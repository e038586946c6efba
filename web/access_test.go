package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// reading is a new read-only token.
func (a *accountRig) reading(name string) string {
	a.t.Helper()
	return decode[struct{ Token string }](a.t, a.rig.admin(201, "POST", "/api/v1/tokens", `{"name":"`+name+`"}`)).Token
}

// briefly sends a request that is given up soon: what is followed live has no end.
func briefly(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	return serve(h, r.WithContext(ctx))
}

// Every route by everybody who may come: a stranger and who has a credential of
// old get nothing and change nothing, a read-only token reads, the others may.
func TestEveryRouteByEveryCredentialHasItsAnswer(t *testing.T) {
	for _, password := range []string{"", testPassword} {
		t.Run("password "+fmt.Sprint(password != ""), func(t *testing.T) {
			a := newAccountRig(t, password, nil)
			a.product(1, "Shirt", "")
			a.deadJob(`{"id":1}`)
			link, _ := a.NewLoginLink()
			a.browse("GET", link, "")
			session := func() []string {
				return []string{"Cookie", plainCookie + "=" + a.enter(), "Sec-Fetch-Site", "same-origin"}
			}
			ended := a.enter()
			a.submit("/logout", ended, nil)
			removed := a.reading("removed")
			a.rig.admin(200, "DELETE", "/api/v1/tokens/removed", "")
			reading := []string{"Authorization", "Bearer " + a.reading("reading")}
			closed := map[string][]string{
				"nobody": nil, "a wrong token": {"Authorization", "Bearer " + strings.Repeat("A", 43)}, "an empty token": {"Authorization", "Bearer "},
				"an ended session": {"Cookie", plainCookie + "=" + ended, "Sec-Fetch-Site", "same-origin"}, "a removed token": {"Authorization", "Bearer " + removed},
				"the link as a token": {"Authorization", "Bearer " + link[len("/login?link="):]},
			}
			serve(a.admin, request("GET", "/metrics", "", reading...)) // notes the day of its use
			for noted := []byte(nil); !bytes.Contains(noted, []byte(`"used"`)); runtime.Gosched() {
				noted, _ = a.opt.Admit.Keeper.Get("read-token", "reading")
			}
			before := a.everythingKept()
			walked := 0
			for _, line := range append(a.adminRoutes(), route{method: "GET", path: "/no/such/path"}) {
				path := exampleOf(line.path)
				open := path == "/healthz" || isOpen(path)
				for _, method := range []string{line.method, "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"} {
					for name, header := range closed {
						walked++
						w := serve(a.admin, request(method, path, "{}", header...))
						wrong := path != "/healthz" && len(header) > 0 && header[0] == "Authorization"
						if refused := w.Code == 401; (!open || wrong) && !refused || strings.Contains(w.Body.String(), testShop) || w.Header().Get("Set-Cookie") != "" && w.Code == 303 {
							t.Errorf("%s: %s %s: %d %.200s", name, method, path, w.Code, w.Body)
						}
					}
					w := briefly(t, a.admin, request(method, path, "{}", reading...))
					people := strings.HasPrefix(path, "/account") || strings.HasPrefix(path, "/api/v1/password") || strings.HasPrefix(path, "/api/v1/sessions") ||
						strings.HasPrefix(path, "/api/v1/tokens") || strings.HasSuffix(path, "/consent") || path == "/api/v1/backup"
					wrongMethod := w.Code == 405 || w.Code == 404
					switch {
					case path == "/healthz":
					case !isSafe(method) && w.Code != 403:
						t.Errorf("a read-only token: %s %s: %d", method, path, w.Code)
					case isSafe(method) && people && w.Code != 403 && !wrongMethod, isSafe(method) && !people && (w.Code == 401 || w.Code == 403) && path != "/setup":
						t.Errorf("a read-only token: %s %s: %d %s", method, path, w.Code, w.Body)
					}
				}
			}
			if walked < 2000 {
				t.Errorf("only %d requests were tried", walked)
			}
			after := a.everythingKept()
			for name, was := range before {
				if after[name] != was {
					t.Errorf("a request that may not changed %s", name)
				}
			}
			// Last, since these do take effect.
			for _, line := range a.adminRoutes() {
				for _, name := range []string{"the admin token", "a session"} {
					header := []string{"Authorization", "Bearer " + testToken}
					if name == "a session" {
						header = session()
					}
					if name == "a session" && password == "" && a.account.Mark() != "" {
						t.Fatal("something set a password")
					}
					w := briefly(t, a.admin, request(line.method, exampleOf(line.path), "", header...))
					owner := strings.HasPrefix(line.path, "/api/v1/password") && line.method != "GET" || line.path == "/api/v1/login-link"
					if denied := w.Code == 401 || w.Code == 403; denied != (name == "a session" && owner || line.path == "/setup") && line.path != "/account/password" && line.path != "/login" {
						t.Errorf("%s: %s %s: %d %s", name, line.method, line.path, w.Code, w.Body)
					}
				}
			}
		})
	}
}

func TestALinkBeginsASessionAndALinkThatWasUsedSaysWhatToDo(t *testing.T) {
	for _, password := range []string{"", testPassword} {
		a := newAccountRig(t, password, nil)
		link, _ := a.NewLoginLink()
		typed := a.browse("GET", link, "", "Sec-Fetch-Site", "none")
		if typed.Code != 303 || typed.Header().Get("Location") != "/" || typed.Header().Get("Cache-Control") != "no-store" || !a.welcome(cookieOf(t, typed).Value) {
			t.Fatalf("a typed link: %d %s", typed.Code, typed.Body)
		}
		if w := a.browse("GET", link, cookieOf(t, typed).Value); w.Code != 303 || w.Header().Get("Location") != "/" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("a link that is loaded again by who is in: %d %s", w.Code, w.Body)
		}
		for _, again := range []string{link, "/login?link=", "/login?link=x"} {
			w := a.browse("GET", again, "")
			if w.Code != 403 || !strings.Contains(w.Body.String(), "This link does not work") || !strings.Contains(w.Body.String(), "stockroom open") || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("a used link: %d %s", w.Code, w.Body)
			}
			if w := serve(a.admin, request("GET", again, "")); w.Code != 403 || !strings.Contains(w.Body.String(), "stockroom open") {
				t.Errorf("a used link for a program: %d %s", w.Code, w.Body)
			}
		}
		for _, site := range []string{"cross-site", "same-site"} {
			link, _ := a.NewLoginLink()
			w := a.browse("GET", link, "", "Sec-Fetch-Site", site)
			if w.Code != 200 || w.Header().Get("Refresh") != "0;url=/" || !strings.Contains(w.Body.String(), `<a href="/">`) || w.Header().Get("Cache-Control") != "no-store" || !a.welcome(cookieOf(t, w).Value) {
				t.Errorf("a link that was clicked on a %s page: %d %v %s", site, w.Code, w.Header(), w.Body)
			}
		}
		link, _ = a.NewLoginLink()
		a.rig.admin(200, "DELETE", "/api/v1/sessions", "")
		if w := a.browse("GET", link, ""); w.Code != 403 {
			t.Errorf("a link works after everybody was logged out: %d", w.Code)
		}
		link, _ = a.NewLoginLink()
		a.rig.admin(200, "PUT", "/api/v1/password", `{"password":"`+newPassword+`"}`)
		if w := a.browse("GET", link, ""); w.Code != 403 {
			t.Errorf("a link works after the password was changed: %d", w.Code)
		}
	}
}

func TestASessionOfALinkOutlivesARestartAndEndsWithTheFirstPassword(t *testing.T) {
	a := newAccountRig(t, "", nil)
	cookie := a.enter()
	a.restart()
	if !a.welcome(cookie) {
		t.Error("a restart ended the session")
	}
	a.rig.admin(200, "PUT", "/api/v1/password", `{"password":"`+newPassword+`"}`)
	if a.welcome(cookie) {
		t.Error("the session goes on although there is a password now")
	}
	a.rig.admin(200, "DELETE", "/api/v1/password", "")
	if a.welcome(cookie) {
		t.Error("the session came back with the end of the password")
	}
}

func TestAStrangerIsToldHowToComeIn(t *testing.T) {
	a := newAccountRig(t, "", nil)
	w := a.browse("GET", "/products", "")
	if w.Code != 303 || w.Header().Get("Location") != "/login?next=%2Fproducts" {
		t.Errorf("%d %q", w.Code, w.Header().Get("Location"))
	}
	page := a.browse("GET", "/login?next=%2Fproducts", "")
	if body := page.Body.String(); page.Code != 200 || !strings.Contains(body, "stockroom open") || strings.Contains(body, "<form") || strings.Contains(body, a.opt.DataDir) {
		t.Errorf("the page without a password: %d %s", page.Code, page.Body)
	}
	if w := a.submit("/login", "", nil); w.Code != 403 || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("a login although there is no password: %d", w.Code)
	}
	if w := serve(a.admin, request("GET", "/readyz", "")); w.Code != 200 || w.Body.String() != `{"status":"ready"}`+"\n" {
		t.Errorf("readiness for a stranger: %d %s", w.Code, w.Body)
	}
	if got := a.rig.admin(200, "GET", "/readyz", ""); !strings.Contains(got, "checks") {
		t.Errorf("readiness with the token: %s", got)
	}
}

func TestAReadOnlyTokenIsToldOnceKeptAsAHashAndRemovedAtOnce(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	token := a.reading("prometheus")
	if len(token) != 43 {
		t.Errorf("token %q", token)
	}
	by := []string{"Authorization", "Bearer " + token}
	may := func() bool {
		t.Helper()
		w := serve(a.admin, request("GET", "/metrics", "", by...))
		return w.Code == 200 && strings.Contains(w.Body.String(), "stockroom_")
	}
	for body, want := range map[string]int{
		`{"name":"prometheus"}`: 409, `{"name":""}`: 422, `{"name":"Prometheus"}`: 422, `{"name":"a/b"}`: 422, `{"name":"` + strings.Repeat("a", 41) + `"}`: 422, `{}`: 422,
	} {
		a.rig.admin(want, "POST", "/api/v1/tokens", body)
	}
	raw, _ := a.state.Get("read-token", "prometheus")
	if len(raw) == 0 || strings.Contains(string(raw), token) || strings.Contains(a.log.String(), token) {
		t.Errorf("state.db keeps %s", raw)
	}
	if !may() {
		t.Error("the token reads nothing")
	}
	listed := a.rig.admin(200, "GET", "/api/v1/tokens", "")
	if !strings.Contains(listed, `"name":"prometheus"`) || !strings.Contains(listed, time.Now().UTC().Format(time.DateOnly)+`T00:00:00Z"`) || strings.Contains(listed, token) {
		t.Errorf("listed: %s", listed)
	}
	if w := serve(a.admin, request("POST", "/api/v1/doctor", "", by...)); w.Code != 403 || !strings.Contains(w.Body.String(), "change nothing") {
		t.Errorf("a change with it: %d %s", w.Code, w.Body)
	}
	a.restart()
	a.rig.admin(200, "PUT", "/api/v1/password", `{"password":"`+newPassword+`"}`)
	if !may() {
		t.Error("a restart or a change of the password ended the token")
	}
	cookie := a.login(newPassword)
	page := a.browse("GET", "/account", cookie).Body.String()
	if !strings.Contains(page, "<b>prometheus</b>") || !strings.Contains(page, "last used on "+time.Now().UTC().Format("2 January 2006")) {
		t.Errorf("the page does not show it: %s", page)
	}
	stream := a.follow(request("GET", "/events", "", by...).WithContext(t.Context()))
	if w := a.submit("/account/tokens/prometheus/remove", cookie, nil); w.Code != 303 {
		t.Errorf("remove on the page: %d %s", w.Code, w.Body)
	}
	if may() || !isOver(stream, 5*time.Second) {
		t.Error("a removed token goes on")
	}
	a.rig.admin(404, "DELETE", "/api/v1/tokens/prometheus", "")
	a.restart()
	if may() {
		t.Error("a removed token came back")
	}
}
