package web

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"stockroom/internal/admit"
)

func TestChangingThePasswordEndsEveryOtherSession(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	mine, other := a.login(testPassword), a.login(testPassword)
	form := url.Values{"current": {testPassword}, "password": {newPassword}, "again": {newPassword}}
	for name, change := range map[string]struct {
		key, value string
		code       int
	}{
		"wrong present one": {"current", "no", 403}, "no present one": {"current", "", 403}, "weak": {"password", "short", 422}, "not the same": {"again", "x", 422},
	} {
		bad := url.Values{}
		for k, v := range form {
			bad[k] = v
		}
		bad.Set(change.key, change.value)
		if w := a.submit("/account/password", mine, bad); w.Code != change.code || a.account.turn != 0 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	w := a.submit("/account/password", mine, form)
	if w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/account?said=password") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	fresh := cookieOf(t, w).Value
	if a.welcome(mine) || a.welcome(other) || !a.welcome(fresh) {
		t.Error("an old session goes on, or the own one was lost")
	}
	a.restart()
	if a.welcome(mine) || a.welcome(other) || !a.welcome(fresh) {
		t.Error("a restart brought an old session back, or lost the new one")
	}
	for password, want := range map[string]int{testPassword: 401, newPassword: 200} {
		if got := serve(a.admin, request("GET", "/api/v1/status", "", "Authorization", basic(password))).Code; got != want {
			t.Errorf("Basic with %q: %d", password, got)
		}
	}
}

func TestThePasswordJustKnownIsNotRightAfterAChange(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	get := func(password string) int {
		return serve(a.admin, request("GET", "/api/v1/status", "", "Authorization", basic(password))).Code
	}
	if get(testPassword) != 200 {
		t.Fatal("right password refused")
	}
	if err := a.account.SetPassword(newPassword); err != nil {
		t.Fatal(err)
	}
	if get(testPassword) != 401 || get(newPassword) != 200 {
		t.Error("the memory of a right password outlived it")
	}
}

func TestAPasswordChangeEndsSessionsEvenWhenTheDiskKeepsThem(t *testing.T) {
	keep := newMemoryKeeper()
	a := newAccountRig(t, testPassword, func(o *Options) { o.Admit.Keeper = keep })
	cookie := a.login(testPassword)
	keep.broken = errors.New("no space left on device")
	if w := a.submit("/account/password", a.login(testPassword), url.Values{"current": {testPassword}, "password": {newPassword}, "again": {newPassword}}); w.Code != 303 {
		t.Fatalf("%d", w.Code)
	}
	if len(keep.Names("session")) == 0 {
		t.Fatal("the disk forgot them, so this shows nothing")
	}
	if a.welcome(cookie) {
		t.Error("a session of the old password is good")
	}
	a.Server = New(a.opt)
	a.admin = a.Server.Admin()
	if a.welcome(cookie) {
		t.Error("a session of the old password is good after a restart")
	}
}

func TestSessionsAreListedAndEndedOneByOne(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	mine := a.login(testPassword)
	other := a.login(testPassword, "User-Agent", `Mozilla/5.0 (X11; Linux x86_64) <script>alert(1)</script> Firefox/150.0`)
	page := a.browse("GET", "/account", mine)
	text := page.Body.String()
	if page.Code != 200 || !strings.Contains(text, "Firefox on Linux") || !strings.Contains(text, ", this one") || strings.Contains(text, "<script>alert") || strings.Contains(text, mine) || strings.Contains(text, other) {
		t.Fatalf("%d %s", page.Code, text)
	}
	list := decode[struct{ Sessions []admit.SessionView }](t, serve(a.admin, request("GET", "/api/v1/sessions", "", "Cookie", plainCookie+"="+mine)).Body.String())
	if len(list.Sessions) != 2 {
		t.Fatalf("%d sessions", len(list.Sessions))
	}
	for _, one := range list.Sessions {
		if one.Own {
			continue
		}
		if w := a.submit("/account/sessions/"+one.Name+"/end", mine, nil); w.Code != 303 || !strings.Contains(w.Header().Get("Location"), "said=session") {
			t.Errorf("end: %d %q", w.Code, w.Header().Get("Location"))
		}
		if w := a.submit("/account/sessions/"+one.Name+"/end", mine, nil); !strings.Contains(w.Header().Get("Location"), "said=no-session") {
			t.Errorf("the second click: %d %q", w.Code, w.Header().Get("Location"))
		}
	}
	if a.welcome(other) || !a.welcome(mine) {
		t.Error("the wrong session was ended")
	}
	own := nameOf(mine)
	if w := a.submit("/account/sessions/"+own+"/end", mine, nil); w.Header().Get("Location") != "/login" || a.welcome(mine) {
		t.Errorf("ending the own one: %d %q", w.Code, w.Header().Get("Location"))
	}
	third := a.login(testPassword)
	key := nameOf(third)
	a.rig.admin(200, "DELETE", "/api/v1/sessions/"+key, "")
	a.rig.admin(404, "DELETE", "/api/v1/sessions/"+key, "")
	a.rig.admin(404, "DELETE", "/api/v1/sessions/nonsense", "")
	fourth := a.login(testPassword)
	if got := a.rig.admin(200, "DELETE", "/api/v1/sessions", ""); !strings.Contains(got, `"ended":1`) || a.welcome(third) || a.welcome(fourth) {
		t.Errorf("end all: %s", got)
	}
}

func TestTheFirstPasswordIsSetInASessionThatBeganWithALink(t *testing.T) {
	a := newAccountRig(t, "", nil)
	form := url.Values{"password": {newPassword}, "again": {newPassword}}
	cookie, other := a.enter(), a.enter()
	if w := a.browse("GET", "/account", cookie); w.Code != 200 || !strings.Contains(w.Body.String(), "Set the password") || strings.Contains(w.Body.String(), `name="current"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := a.submit("/account/password", "", form); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/login") || a.account.Mark() != "" {
		t.Errorf("a first password by a stranger: %d", w.Code)
	}
	if w := a.submit("/account/password", cookie, form, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); w.Code != 403 || a.account.Mark() != "" {
		t.Errorf("a first password by another website: %d", w.Code)
	}
	if w := a.submit("/account/password", cookie, url.Values{"password": {"short"}, "again": {"short"}}); w.Code != 422 || a.account.Mark() != "" {
		t.Errorf("a weak first password: %d", w.Code)
	}
	w := a.submit("/account/password", cookie, form)
	if w.Code != 303 || !a.account.Verify(newPassword) || !a.welcome(cookieOf(t, w).Value) || a.welcome(cookie) || a.welcome(other) {
		t.Errorf("the first password: %d %s", w.Code, w.Body)
	}
}

func TestNobodyElseSetsTheFirstPasswordByTheForm(t *testing.T) {
	a := newAccountRig(t, "", func(o *Options) { o.Admit.Demo = true })
	if w := a.browse("GET", "/account", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "stockroom password link") || strings.Contains(w.Body.String(), "<form method=\"post\" action=\"/account/password") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := a.submit("/account/password", "", url.Values{"password": {newPassword}, "again": {newPassword}}); w.Code != 409 || a.account.Mark() != "" {
		t.Errorf("a first password without a link: %d", w.Code)
	}
	if w := a.browse("GET", "/login", ""); w.Code != 303 || w.Header().Get("Location") != "/" {
		t.Errorf("the login page of a demo: %d", w.Code)
	}
}
