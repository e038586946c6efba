package browsertest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"stockroom/internal/fakeshopify"
)

const shopPath = "/shops/" + shopName

// statuses counts the products of the copy by status.
func (a *app) statuses() map[string]int {
	a.t.Helper()
	var doc struct{ Products []struct{ Status string } }
	if status := a.api(http.MethodGet, "/api/v1/products?limit=100", "", &doc); status != http.StatusOK {
		a.t.Fatalf("products: status %d", status)
	}
	n := map[string]int{}
	for _, p := range doc.Products {
		n[p.Status]++
	}
	return n
}

func TestTheSelectionIsChanged(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{Products: 6})
		a.synced()
		p := a.visit(t)
		p.script(script)
		p.open("/shops")
		p.click("main", "Change")
		p.at(shopPath + "/selection")
		if !script { // with it, typing chooses
			value[bool](p, `(() => { document.getElementById("mode-include").click(); return true; })()`)
		}
		ids := a.shop.IDs()[:2]
		p.fill("include", fmt.Sprintf("%d\n%d", ids[0], ids[1]))
		p.click("main form", "Save")
		p.shows("would become INACTIVE. Go on?")
		if n := a.statuses(); n["ACTIVE"] < 2 {
			t.Errorf("saved without an answer: %v", n)
		}
		p.click("main form", "Save")
		p.shows("Saved.")
		p.shows("Now: 2 listed products.")
		if n := a.statuses(); n["INACTIVE"] < 4 || n["ACTIVE"]+n["INACTIVE"] != 6 {
			t.Errorf("statuses %v", n)
		}

		p.open(shopPath + "/selection")
		p.fill("include", "not a number")
		p.click("main form", "Save")
		p.until(`document.querySelector("main [role=alert]")`)
		p.shows("Not saved")
		p.forgive("status of 400")

		// Another window that was opened before does not win unseen.
		q := a.visit(t)
		q.script(script)
		q.open(shopPath + "/selection")
		p.open(shopPath + "/selection")
		value[bool](p, `(() => { document.getElementById("mode-all").click(); return true; })()`)
		p.click("main form", "Save")
		p.shows("Now: all products.")
		q.fill("include", fmt.Sprint(ids[0]))
		q.click("main form", "Save")
		q.shows("somebody changed the selection")
		q.forgive("status of 409")
		if n := a.statuses(); n["INACTIVE"] > 4 {
			t.Errorf("the older window won: %v", n)
		}
	})
}

func TestCallsAreHeldBackAndAllowedAgain(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{Products: 2})
		a.synced()
		p := a.visit(t)
		p.script(script)
		p.open("/shops")
		p.click("main", "Hold all calls back")
		p.shows("No call is made to this shop until you allow them again.")
		p.open("/")
		p.shows("held back by hand")
		p.open("/shops")
		p.click("main", "Allow calls again")
		p.shows("Calls go out again")
		p.open("/shops")
		p.shows("Hold all calls back")
	})
}

func TestTheFormShowsWhatTheChosenKindOfAccessTakes(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{})
		p := a.visit(t)
		p.script(script)
		p.open("/shops?connect")
		for _, kind := range []struct{ press, fields, steps string }{
			{"", "shop kind api_key secret", "in the organization that the shop belongs to"},
			{kb.ArrowDown, "shop kind api_key secret", "http://localhost:3456/callback, letter by letter"},
			{kb.ArrowDown, "shop kind access_token secret", "its Admin API access token, which Shopify shows once"},
		} {
			if kind.press == "" {
				p.tabTo(`document.getElementById("k-credentials")`)
			} else {
				p.press(kind.press)
			}
			p.shows(kind.steps)
			seen := value[[]string](p, `[...new Set([...document.querySelectorAll("#connect input")].filter(e => e.checkVisibility()).map(e => e.name))]`)
			if got := strings.Join(seen, " "); got != kind.fields {
				t.Errorf("the fields are %s, want %s", got, kind.fields)
			}
			if n := value[int](p, `[...document.querySelectorAll("#connect ol")].filter(e => e.checkVisibility()).length`); n != 1 {
				t.Errorf("%d lists of what has to be done at Shopify", n)
			}
		}
	})
}

func TestTheShopsOwnerIsAskedAndTheShopIsConnected(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{Products: 3, Grant: fakeshopify.GrantConsent})
		p := a.visit(t)
		p.script(script)
		p.open("/shops")
		value[bool](p, `(document.getElementById("k-consent").checked = true)`)
		p.fill("shop", shopName)
		p.fill("api_key", "key")
		p.fill("secret", a.shop.Secret())
		p.click("main", "Connect")
		p.at(shopPath + "/consent")
		p.shows("Waiting for the shop's owner to agree, until")
		if script { // axe needs it
			p.examine(shopPath + "/consent")
		}
		p.fill("address", "https://"+shopName)
		p.click("main", "Connect")
		p.shows("This is not the address that Shopify's page leads to at its end")
		p.forgive("status of 409")
		back, err := a.shop.Consent(value[string](p, `document.querySelector("#consent a.button").href`))
		if err != nil {
			t.Fatal(err)
		}
		p.fill("address", back)
		p.click("main", "Connect")
		p.shows("(" + shopName + "): 3 products")
		p.shows("An app of another organization, let in by the shop's owner")
		p.open(shopPath + "/consent")
		p.shows("To the shops")
		if script {
			p.examine(shopPath + "/consent")
		}
	})
}

func TestSettingsAndHealthAreShownAndChecked(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{Products: 2})
		p := a.visit(t)
		p.script(script)
		p.open("/")
		p.click("nav", "Settings")
		p.at("/settings")
		p.shows("public-url")
		if text := value[string](p, "document.documentElement.outerHTML"); strings.Contains(text, a.shop.Secret()) {
			t.Error("the page shows the shop's secret")
		}
		p.click("main", "Check everything now")
		p.shows("Last checked")
	})
}

// Tab reaches whatever can be done on a page, in the order of the page, and
// shows where it is.
func TestTabReachesEverythingOnEveryPage(t *testing.T) {
	t.Parallel()
	a := busyApp(t)
	p := a.visit(t)
	// Paused: what a live page replaces while Tab passes is another test's matter.
	p.open("/")
	value[int](p, `(sessionStorage.setItem("paused", "1"), 1)`)
	for _, path := range a.pages() {
		p.open(path)
		value[int](p, `(() => {
			window.targets = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")].filter(e =>
				e.checkVisibility() && !e.disabled && !(e.type === "radio" && !e.checked));
			window.reached = []; window.unseen = [];
			document.addEventListener("focusin", () => {
				const e = document.activeElement, s = getComputedStyle(e);
				window.reached.push(e);
				const line = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== "none";
				if (!line) window.unseen.push(e.outerHTML.slice(0, 120));
				const b = e.getBoundingClientRect();
				if (b.bottom <= 0 || b.top >= innerHeight) window.unseen.push("off the screen: " + e.outerHTML.slice(0, 120));
			});
			document.activeElement.blur();
			return window.targets.length;
		})()`)
		n := value[int](p, "window.targets.length")
		p.press(strings.Repeat(kb.Tab, n+5))
		missed := value[[]string](p, `window.targets.filter(e => e.isConnected && !window.reached.includes(e)).map(e => e.outerHTML.slice(0, 120))`)
		if len(missed) > 0 {
			t.Errorf("%s: Tab does not reach %d of %d: %v", path, len(missed), n, missed)
		}
		if unseen := value[[]string](p, "window.unseen"); len(unseen) > 0 {
			t.Errorf("%s: nothing shows the focus on %v", path, unseen)
		}
	}
	p.forgive("/no-such-page")
}
