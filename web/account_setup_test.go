package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const newPassword = "cotton and jute 7"

// setupForm is the form behind a link as a person fills it in.
func setupForm(t testing.TB, link, password string) url.Values {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Path != "/setup" || u.Query().Get("token") == "" {
		t.Fatalf("link %q", link)
	}
	return url.Values{"token": {u.Query().Get("token")}, "password": {password}, "again": {password}}
}

func TestTheFirstRunLinkSetsThePasswordAndLogsIn(t *testing.T) {
	a := newAccountRig(t, "", nil)
	link, until := a.setupLink()
	if left := time.Until(until); left < 29*time.Minute || left > 30*time.Minute {
		t.Errorf("good for %s", left)
	}
	page := a.browse("GET", link, "")
	form := setupForm(t, link, newPassword)
	if page.Code != 200 || !strings.Contains(page.Body.String(), `name="token" value="`+form.Get("token")+`"`) || page.Header().Get("Referrer-Policy") != "no-referrer" || page.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", page.Code, page.Body)
	}
	w := a.submit("/setup", "", form)
	if w.Code != 303 || w.Header().Get("Location") != "/" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if c := cookieOf(t, w).Value; !a.welcome(c) || !a.account.Verify(newPassword) {
		t.Error("not logged in")
	}
	if a.welcome("") {
		t.Error("the page is open although there is a password")
	}
	if w := a.submit("/setup", "", setupForm(t, link, "another password")); w.Code != 403 || !a.account.Verify(newPassword) {
		t.Errorf("the link works twice: %d", w.Code)
	}
	if w := a.browse("GET", link, ""); w.Code != 403 || !strings.Contains(w.Body.String(), "stockroom password link") {
		t.Errorf("a used link says: %d %s", w.Code, w.Body)
	}
}

func TestOfTwoRacingUsesOfALinkOneWins(t *testing.T) {
	for range 6 {
		a := newAccountRig(t, "", nil)
		link, _ := a.setupLink()
		var wg sync.WaitGroup
		codes := make([]int, 8)
		start := make(chan struct{})
		for i := range codes {
			form := setupForm(t, link, newPassword+strings.Repeat("!", i))
			wg.Go(func() {
				<-start
				codes[i] = a.submit("/setup", "", form).Code
			})
		}
		close(start)
		wg.Wait()
		won := -1
		for i, code := range codes {
			if code == 303 && won < 0 {
				won = i
			} else if code != 403 {
				t.Fatalf("answers %v", codes)
			}
		}
		if won < 0 || !a.account.Verify(newPassword+strings.Repeat("!", won)) || a.account.turn != 1 {
			t.Fatalf("answers %v, the password was set %d times", codes, a.account.turn)
		}
	}
}

func TestSetupWithoutItsTokenChangesNothing(t *testing.T) {
	for _, password := range []string{"", testPassword} {
		a := newAccountRig(t, password, nil)
		a.setupLink()
		before := a.account.Mark()
		for _, token := range []string{"", "x", strings.Repeat("A", 43)} {
			w := a.submit("/setup", "", url.Values{"token": {token}, "password": {newPassword}, "again": {newPassword}})
			if w.Code != 403 || a.account.Mark() != before || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("token %q: %d", token, w.Code)
			}
		}
	}
}

func TestWhatIsWrongWithAPasswordDoesNotUseTheLinkUp(t *testing.T) {
	a := newAccountRig(t, "", nil)
	link, _ := a.setupLink()
	for _, change := range []func(url.Values){
		func(f url.Values) { f.Set("password", "short"); f.Set("again", "short") },
		func(f url.Values) { f.Set("again", "cotton and jute 8") },
		func(f url.Values) { f.Del("again") },
	} {
		form := setupForm(t, link, newPassword)
		change(form)
		w := a.submit("/setup", "", form)
		if w.Code != 422 || !strings.Contains(w.Body.String(), `role="alert"`) || strings.Contains(w.Body.String(), newPassword) || a.account.Mark() != "" {
			t.Errorf("%v: %d %s", form, w.Code, w.Body)
		}
	}
	a.account.broken = errors.New("no space left on device")
	if w := a.submit("/setup", "", setupForm(t, link, newPassword)); w.Code != 500 || a.account.Mark() != "" {
		t.Errorf("a full disk: %d", w.Code)
	}
	a.account.broken = nil
	if w := a.submit("/setup", "", setupForm(t, link, newPassword)); w.Code != 303 {
		t.Errorf("the link is used up: %d", w.Code)
	}
}

func TestTheLinkWorksThroughAProxyAndNothingElseDoesWithoutAPassword(t *testing.T) {
	a := newAccountRig(t, "", func(o *Options) { o.Admit.Hosts = []string{"stock.example"} })
	link, _ := a.setupLink()
	from := []string{"X-Forwarded-For", "203.0.113.9", "Host", "stock.example"}
	if w := a.browse("GET", "/", "", from...); w.Code != 303 || w.Header().Get("Location") != "/login" {
		t.Errorf("the page through a proxy: %d", w.Code)
	}
	if w := a.browse("GET", link, "", from...); w.Code != 200 {
		t.Errorf("the link through a proxy: %d", w.Code)
	}
	if w := a.submit("/setup", "", setupForm(t, link, newPassword), from...); w.Code != 303 {
		t.Errorf("the form through a proxy: %d", w.Code)
	}
	evil := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}
	link, _ = a.setupLink()
	if w := a.submit("/setup", "", setupForm(t, link, "evil password 7"), evil...); w.Code != 403 || !a.account.Verify(newPassword) {
		t.Errorf("another website used the link: %d", w.Code)
	}
}

func TestALinkReplacesALostPasswordAndEndsEverySession(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	cookie := a.login(testPassword)
	made := decode[struct {
		Path      string    `json:"path"`
		ExpiresAt time.Time `json:"expires_at"`
	}](t, a.rig.admin(201, "POST", "/api/v1/password-link", ""))
	w := a.submit("/setup", cookie, setupForm(t, made.Path, newPassword))
	if w.Code != 303 || a.welcome(cookie) || !a.welcome(cookieOf(t, w).Value) {
		t.Errorf("%d; the old session is welcome: %v", w.Code, a.welcome(cookie))
	}
	if a.account.Verify(testPassword) {
		t.Error("the old password is still right")
	}
}

func TestALinkEndsWhenThePasswordIsSetInAnotherWay(t *testing.T) {
	a := newAccountRig(t, "", nil)
	link, _ := a.setupLink()
	a.rig.admin(200, "PUT", "/api/v1/password", `{"password":"`+newPassword+`"}`)
	if w := a.submit("/setup", "", setupForm(t, link, "jute and hemp 10")); w.Code != 403 || !a.account.Verify(newPassword) {
		t.Errorf("a link from before: %d", w.Code)
	}
	a.rig.admin(200, "DELETE", "/api/v1/password", "")
	if w := a.browse("GET", link, ""); w.Code != 403 || a.account.Mark() != "" {
		t.Errorf("a link from before comes back: %d", w.Code)
	}
}

func TestOnlyTheTokenMakesLinksAndSetsThePasswordWithoutTheOldOne(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	cookie := a.login(testPassword)
	for _, by := range [][]string{{"Authorization", basic(testPassword)}, {"Cookie", plainCookie + "=" + cookie, "Sec-Fetch-Site", "same-origin"}} {
		for _, do := range [][2]string{{"POST", "/api/v1/password-link"}, {"POST", "/api/v1/login-link"}, {"PUT", "/api/v1/password"}, {"DELETE", "/api/v1/password"}} {
			if got := serve(a.admin, request(do[0], do[1], `{"password":"`+newPassword+`"}`, by...)).Code; got != 403 {
				t.Errorf("%s %s by %s: %d", do[0], do[1], by[0], got)
			}
		}
	}
	open := newAccountRig(t, "", nil)
	byLink := open.enter()
	for _, do := range [][2]string{{"POST", "/api/v1/password-link"}, {"POST", "/api/v1/login-link"}, {"PUT", "/api/v1/password"}} {
		if got := serve(open.admin, request(do[0], do[1], `{"password":"`+newPassword+`"}`, "Sec-Fetch-Site", "same-origin")).Code; got != 401 {
			t.Errorf("%s %s from this machine without the token: %d", do[0], do[1], got)
		}
		if got := serve(open.admin, request(do[0], do[1], `{"password":"`+newPassword+`"}`, "Sec-Fetch-Site", "same-origin", "Cookie", plainCookie+"="+byLink)).Code; got != 403 {
			t.Errorf("%s %s in a link's session: %d", do[0], do[1], got)
		}
	}
	if !a.account.Verify(testPassword) || open.account.Mark() != "" {
		t.Error("the password was changed")
	}
}

func TestAPasswordOfTheSettingsIsChangedThereOnly(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	a.account.fixed = "file /etc/stockroom/password"
	link, _ := a.setupLink()
	cookie := a.login(testPassword)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"set":    serve(a.admin, request("PUT", "/api/v1/password", `{"password":"`+newPassword+`"}`, "Authorization", "Bearer "+testToken)),
		"clear":  serve(a.admin, request("DELETE", "/api/v1/password", "", "Authorization", "Bearer "+testToken)),
		"link":   serve(a.admin, request("POST", "/api/v1/password-link", "", "Authorization", "Bearer "+testToken)),
		"setup":  a.submit("/setup", "", setupForm(t, link, newPassword)),
		"change": a.submit("/account/password", cookie, url.Values{"current": {testPassword}, "password": {newPassword}, "again": {newPassword}}),
	} {
		if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "/etc/stockroom/password") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if !a.account.Verify(testPassword) || !a.welcome(cookie) {
		t.Error("something changed")
	}
}
