package browsertest

import (
	"testing"

	"stockroom/fakeshopify"
)

type fakeProduct = fakeshopify.Product

const isLive = `document.getElementById("live").innerText.includes("Live")`

// The stream is lost with the server and found again with it, without anybody
// reloading the page.
func TestTheStreamIsLostAndFoundAgain(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	p := newTab(t, a.URL)
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
		t.Error("the page was loaded anew")
	}
}

// What a person does stays while the page changes under it: the focus, an open
// detail, what was typed.
func TestLiveUpdatesLeaveAPersonAlone(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.deliver()
	p := newTab(t, a.URL)
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

// Held, the page stands still; let go, it catches up.
func TestThePageCanBeHeld(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	p := newTab(t, a.URL)
	p.open("/updates")
	p.until(isLive)
	p.click("header", "Pause")
	p.until(`document.getElementById("live").innerText.includes("Paused")`)
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
