package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keys types into whatever has the focus.
func (p *tab) keys(text string) { p.t.Helper(); p.run(chromedp.KeyEvent(text)) }

const focusedID = `document.activeElement.id === `

// From the login to a changed selection without a mouse.
func TestAPersonWithoutAMouseGetsEverywhere(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	want := special(a)
	a.synced()
	newTab(t, a.URL).setPassword(a)

	p := newTab(t, a.URL)
	p.open("/")
	p.at("/login")
	p.until(focusedID + `"password"`) // without a Tab
	p.keys(password + kb.Enter)
	p.at("/")

	p.tabTo(named("nav", "Products"))
	p.press(kb.Enter)
	p.at("/products")
	p.tabTo(`document.getElementById("q")`)
	p.keys("heron" + kb.Enter)
	p.until(`new URLSearchParams(location.search).get("q") === "heron"`)
	p.tabTo(named("#products", "Heron"))
	p.press(kb.Enter)
	p.at(fmt.Sprintf("/products/%s/%d", shopName, want.ID))
	p.tabTo(named("main", "Read again from Shopify"))
	p.press(" ")
	p.shows("It is read from Shopify again")

	p.tabTo(named("nav", "Shops"))
	p.press(kb.Enter)
	p.at("/shops")
	p.tabTo(named("main", "Change"))
	p.press(kb.Enter)
	p.at(shopPath + "/selection")
	p.tabTo(`document.getElementById("mode-all")`)
	p.press(kb.ArrowDown)
	p.until(`document.getElementById("mode-include").checked`)
	p.tabTo(`document.getElementById("include")`)
	p.keys(fmt.Sprint(want.ID))
	p.tabTo(named("main form", "Save"))
	p.press(kb.Enter)
	p.shows("Go on?")
	p.tabTo(named("main form", "Save"))
	p.press(kb.Enter)
	p.shows("Now: 1 listed product.")
	if n := a.statuses(); n["INACTIVE"] < 3 {
		t.Errorf("statuses %v", n)
	}

	p.tabTo(named("nav", "Syncs"))
	p.press(kb.Enter)
	p.at("/syncs")
	before := len(a.runs())
	p.tabTo(named("form.starts", "Compare only"))
	p.press(" ")
	await(t, "the comparison starts", func() bool { return len(a.runs()) > before })
	p.tabTo(named("header", "Log out"))
	p.press(kb.Enter)
	p.at("/login")
}
