package browsertest

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The pages for logging in, for the first run and for the password: axe finds
// nothing in either theme, and nothing has to be scrolled sideways on a phone.
func TestThePagesOfTheAccountAreAccessible(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{})
	owner, stranger := newTab(t, a.URL), newTab(t, a.URL)
	for _, path := range []string{"/login", "/login?link=used"} {
		stranger.examine(path)
	}
	owner.open(a.link())
	owner.at("/")
	owner.examine("/account")
	owner.setPassword(a)
	owner.at("/")
	if status := a.api(http.MethodPost, "/api/v1/tokens", `{"name":"prometheus"}`, nil); status != http.StatusCreated {
		t.Fatalf("a token: status %d", status)
	}
	var link struct{ Path string }
	if status := a.api(http.MethodPost, "/api/v1/password-link", "", &link); status != http.StatusCreated {
		t.Fatalf("a link: status %d", status)
	}
	for _, page := range []struct {
		name string
		tab  *tab
		path string
	}{
		{"account", owner, "/account"}, {"login", stranger, "/login"}, {"setup", stranger, link.Path}, {"setup-used", stranger, "/setup?token=used"},
	} {
		page.tab.theme("light")
		page.tab.open(page.path)
		if page.name == "login" {
			page.tab.fill("password", "not the password at all")
			page.tab.click("form", "Log in")
			page.tab.until(`document.querySelector("[role=alert]")`)
		}
		for _, theme := range []string{"light", "dark"} {
			page.tab.theme(theme)
			for _, v := range page.tab.violations() {
				t.Errorf("%s in %s: %s, %s %v", page.name, theme, v.ID, v.Help, v.Nodes)
			}
			// For looking at them: a folder for the pictures.
			if dir := os.Getenv("STOCKROOM_PICTURES"); dir != "" {
				png, err := chromedp.Run(page.tab.ctx, chromedp.CaptureScreenshot())
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(dir+"/"+page.name+"-"+theme+".png", png, 0o600); err != nil {
					t.Error(err)
				}
			}
		}
		page.tab.width(320)
		if what := page.tab.wide(); what != "" {
			t.Errorf("%s at 320 px: %s", page.name, what)
		}
		page.tab.width(1100)
	}
	stranger.forgive("the server responded with a status of 40")
}

// Logging in works with the keyboard alone and without script, and leads back
// to the page that was asked for; ending a session from another browser shows at
// once.
func TestLoginNeedsNoMouseAndNoScript(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{})
	owner := newTab(t, a.URL)
	owner.setPassword(a)
	owner.at("/")

	visitor := newTab(t, a.URL)
	visitor.script(false)
	visitor.open("/syncs")
	visitor.at("/login")
	visitor.press(password + "\r") // the field has the focus
	visitor.at("/syncs")
	if !visitor.is(`document.getElementById("pause") && !document.getElementById("pause").checkVisibility()`) {
		t.Error("without JavaScript there is a button that does nothing")
	}

	owner.open("/account")
	owner.until(`document.querySelectorAll("#sessions li").length === 2`)
	owner.click("#sessions", "End")
	owner.shows("That session is over")
	owner.until(`document.querySelectorAll("#sessions li").length === 1`)
	visitor.open("/syncs")
	visitor.at("/login")
	if where := visitor.where(); !strings.Contains(where, "next=%2Fsyncs") {
		t.Errorf("the way back is lost: %s", where)
	}
}
