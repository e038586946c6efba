package browsertest

import (
	"net/http"
	"testing"
)

const password = "seven linen shirts on a line"

// setPassword goes through the first run with a fresh link.
func (p *tab) setPassword(a *app) {
	p.t.Helper()
	var link struct{ Path string }
	if status := a.api(http.MethodPost, "/api/v1/password-link", "", &link); status != http.StatusCreated {
		p.t.Fatalf("a link for setting the password: status %d", status)
	}
	p.open(link.Path)
	p.fill("password", password)
	p.fill("again", password)
	p.click("form", "Set the password")
	p.at("/")
}

func TestTheFirstRunSetsAPassword(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 1})
	p := newTab(t, a.URL)
	p.open("/")
	p.at("/login")
	p.shows("stockroom open")
	p.open(a.link())
	p.at("/")
	p.open("/account")
	p.fill("password", password)
	p.fill("again", password)
	p.click("form", "Set the password")
	p.shows("The password is set")

	stranger := newTab(t, a.URL)
	stranger.open("/")
	stranger.at("/login")
	stranger.fill("password", "not the password at all")
	stranger.click("form", "Log in")
	stranger.until(`document.querySelector("[role=alert]")`)
	stranger.at("/login")
	stranger.forgive("the server responded with a status of 40")
	stranger.fill("password", password)
	stranger.click("form", "Log in")
	stranger.at("/")
	stranger.click("header", "Log out")
	stranger.at("/login")
	stranger.open("/products")
	stranger.at("/login")

	// Whoever set the password is still in.
	p.open("/")
	p.at("/")
}

// A page that was open when the password was set asks for it, by itself and soon.
func TestAnOpenPageAsksForAPasswordThatWasSet(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 1})
	p := a.visit(t)
	p.open("/products")
	p.until(isLive)
	newTab(t, a.URL).setPassword(a)
	p.at("/login")
	p.forgive("status of 401")
	p.fill("password", password)
	p.click("form", "Log in")
	p.at("/products")
}

func TestALinkWorksOnce(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{})
	p := newTab(t, a.URL)
	var link struct{ Path string }
	a.api(http.MethodPost, "/api/v1/password-link", "", &link)
	p.examine(link.Path)
	p.fill("password", "short")
	p.fill("again", "short")
	p.click("form", "Set the password")
	p.until(`document.querySelector("[role=alert]")`)
	p.forgive("status of 4")
	p.fill("password", password)
	p.fill("again", password)
	p.click("form", "Set the password")
	p.at("/")
	p.examine("/account")

	stranger := newTab(t, a.URL)
	stranger.open(link.Path)
	stranger.shows("This link does not work")
	stranger.examine(link.Path)
	stranger.examine("/login")
	stranger.forgive("the server responded with a status of 4")
}
