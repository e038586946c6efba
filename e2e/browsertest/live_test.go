package browsertest

import (
	"strconv"
	"testing"
	"time"

	"stockroom/internal/fakeshopify"
)

type fakeProduct = fakeshopify.Product

const isLive = `document.getElementById("live").innerText.includes("Live")`

// The stream is lost with the server and found again with it, without anybody
// reloading the page.
func TestTheStreamIsLostAndFoundAgain(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	p := a.visit(t)
	p.rough = true
	p.open("/")
	p.until(isLive)
	value[bool](p, "window.same = true")

	a.shop.CreateProduct(func(p *fakeProduct) { p.Title = "Before the outage" })
	a.deliver()
	p.shows("Before the outage")

	a.stop()
	p.until(`document.getElementById("live").innerText.includes("Reconnecting")`)
	p.shows("Before the outage")
	a.start()
	a.shop.CreateProduct(func(p *fakeProduct) { p.Title = "After the outage" })
	a.deliver()
	p.until(isLive)
	p.shows("After the outage")
	if !value[bool](p, "window.same === true") {
		t.Error("the page was loaded again")
	}
}

// Without contact for ten seconds nothing on the page claims to be so now:
// neither its headline and colours nor its title and icon. With contact all of
// it comes back by itself.
func TestAPageThatLostContactSaysSo(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.synced()
	for _, path := range []string{"/", "/products"} {
		p := a.visit(t)
		p.rough = true
		p.open(path)
		p.until(isLive)
		p.until(`document.querySelector(".mark.good")`)
		const green = `getComputedStyle(document.querySelector(".mark.good")).color`
		title, colour := value[string](p, "document.title"), value[string](p, green)
		wait := p.clock()
		a.stop()
		p.until(`document.getElementById("live").innerText.includes("Reconnecting")`)
		if p.is(`document.body.matches(".past") || document.title.includes("No contact")`) {
			t.Errorf("%s: contact is given up at once", path)
		}
		wait(10 * time.Second)
		p.shows("No contact with Stockroom since ")
		p.shows("What is shown is from ")
		if !p.is(`document.title === "No contact - Stockroom" && document.getElementById("live").innerText === "No contact."`) {
			t.Errorf("%s: the title is %q", path, value[string](p, "document.title"))
		}
		if p.is(`[...document.querySelectorAll("h1")].some(e => e.checkVisibility() && e.id === "sentence")`) {
			t.Errorf("%s: the headline of before is still there", path)
		}
		if value[string](p, green) == colour {
			t.Errorf("%s: something is still green", path)
		}
		// The other icon comes from the browser: nobody else could bring it now.
		if !value[bool](p, `fetch(document.querySelector("link[rel=icon]").href, {cache: "force-cache"}).then(r => r.ok, () => false)`) ||
			!p.is(`document.querySelector("link[rel=icon]").href.includes("icon-past")`) {
			t.Errorf("%s: the icon is %s", path, value[string](p, `document.querySelector("link[rel=icon]").href`))
		}
		for _, theme := range []string{"light", "dark"} {
			p.theme(theme)
			for _, v := range p.violations() {
				t.Errorf("%s in %s without contact: %s, %s", path, theme, v.ID, v.Help)
			}
		}
		p.theme("light")
		p.width(320)
		if what := p.wide(); what != "" {
			t.Errorf("%s without contact at 320 px: %s", path, what)
		}
		a.start()
		p.until(isLive)
		if !p.is(`!document.body.matches(".past, .lost") && !document.querySelector("link[rel=icon]").href.includes("past")`) || value[string](p, green) != colour {
			t.Errorf("%s: not all of it came back", path)
		}
		p.until("document.title === " + quote(title))
	}
}

// A page that slept, or came out of the browser's memory, is old until Stockroom
// has been asked.
func TestAPageThatSleptIsNotTakenForCurrent(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.synced()
	p := a.visit(t)
	p.open("/")
	p.until(isLive)
	wait := p.clock()
	value[bool](p, `(() => {
		window.said = []; // how it stood at each moment at which the script looked
		new MutationObserver(() => said.push(document.body.className)).observe(document.body, {attributes: true});
		return true;
	})()`)
	wait(time.Hour)
	value[bool](p, `dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`)
	p.until(`said.some(c => c.includes("lost"))`)
	p.until(isLive + ` && !document.body.matches(".lost, .past")`)
}

// A server that has no answer for a page is not out of contact, and what is
// shown is old all the same.
func TestAPageThatCannotBeShownAnewSaysSo(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.synced()
	p := a.visit(t)
	p.open("/")
	p.until(isLive)
	wait := p.clock()
	value[bool](p, `(() => { window.real = fetch; window.fetch = async () => new Response("", {status: 500}); return true; })()`)
	wait(16 * time.Second)
	p.shows("Stockroom can't show this page since ")
	value[bool](p, `(() => { window.fetch = real; return true; })()`)
	wait(6 * time.Second)
	p.until(isLive + ` && !document.body.matches(".lost, .past")`)
}

// What a person does stays while the page changes under it: the focus, an open
// detail, what was typed.
func TestLiveUpdatesLeaveAPersonAlone(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.deliver()
	p := a.visit(t)
	p.open("/")
	p.until(isLive)
	value[bool](p, `(() => { const d = document.querySelector("#about details"); d.open = true; d.querySelector("summary").focus(); return true; })()`)
	a.shop.CreateProduct(func(p *fakeProduct) { p.Title = "Quiet newcomer" })
	a.deliver()
	p.shows("Quiet newcomer")
	if !p.is(`document.querySelector("#about details").open && document.activeElement.matches("#about summary")`) {
		t.Error("an update closed a detail or took the focus")
	}
	// The line above the detail goes.
	const calm = `document.querySelector("#about > p")`
	if !p.is(calm + " !== null") {
		t.Fatal("there is no line above the detail")
	}
	a.poison(1)
	p.until(calm + " === null")
	if !p.is(`document.querySelector("#about details").open && document.activeElement.matches("#about summary")`) {
		t.Error("a line that went took the detail or the focus with it")
	}

	p.open("/products")
	p.until(isLive)
	p.fill("q", "half a wo")
	a.shop.CreateProduct(func(p *fakeProduct) { p.Title = "Second newcomer" })
	a.deliver()
	p.shows("Second newcomer")
	if !p.is(`document.getElementById("q").value === "half a wo" && document.activeElement.id === "q"`) {
		t.Error("an update took what was typed")
	}
}

// clock lets the clock of the page be put forward.
func (p *tab) clock() (forward func(time.Duration)) {
	p.t.Helper()
	value[bool](p, `(() => { const real = Date.now; window.forward = 0; Date.now = () => real() + forward; return true; })()`)
	return func(d time.Duration) {
		p.t.Helper()
		value[float64](p, "window.forward += "+strconv.FormatInt(d.Milliseconds(), 10))
	}
}

// Held, the page stands still and does not claim to be current; let go, it
// catches up.
func TestThePageCanBeHeld(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	p := a.visit(t)
	p.open("/updates")
	p.until(isLive)
	p.click("header", "Pause")
	p.until(`document.getElementById("live").innerText.includes("Paused")`)
	if !p.is(`document.body.matches(".past") && document.title === "Paused - Stockroom"`) {
		t.Error("the held page claims to be current")
	}
	a.shop.CreateProduct(func(p *fakeProduct) { p.Title = "While it was held" })
	a.deliver()
	p.open("/updates") // held on the next page too, which shows what is there now
	p.until(`document.getElementById("live").innerText.includes("Paused")`)
	p.shows("While it was held")
	a.shop.CreateProduct(func(p *fakeProduct) { p.Title = "Still held" })
	a.deliver()
	if p.is(`document.body.innerText.includes("Still held")`) {
		t.Error("the held page changed")
	}
	p.click("header", "Resume")
	p.shows("Still held")
}
