package browsertest

import (
	"fmt"
	"net/http"
	"testing"

	"stockroom/internal/fakeshopify"
)

// shifts adds up how far what is looked at moves by itself, as browsers count
// it: cumulative layout shift.
func (p *tab) shifts() {
	p.t.Helper()
	value[bool](p, `(() => {
		window.shift = 0; window.moved = [];
		new PerformanceObserver(list => {
			for (const e of list.getEntries()) {
				if (e.hadRecentInput) continue;
				shift += e.value;
				for (const s of e.sources) {
					const n = s.node && (s.node.nodeType === 1 ? s.node : s.node.parentElement);
					if (n) moved.push(e.value.toFixed(3) + " " + n.outerHTML.slice(0, 100));
				}
			}
		}).observe({type: "layout-shift", buffered: true});
		return true;
	})()`)
}

// drawn waits until the browser has drawn what it knows, and told of it.
const drawn = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(true)))))`

// While updates come, a sync runs and work waits, nothing moves under the eyes.
func TestNothingMovesWhileUpdatesCome(t *testing.T) {
	t.Parallel()
	for _, screen := range []struct{ width, height int64 }{{1100, 900}, {400, 860}} {
		t.Run(fmt.Sprint(screen.width), func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appOptions{Products: 12})
			a.synced()
			for _, id := range a.shop.IDs() {
				a.shop.UpdateProduct(id, func(p *fakeProduct) { p.Vendor = "Harbour" })
				a.deliver()
			}
			p := a.visit(t)
			p.size(screen.width, screen.height)
			p.open("/")
			p.until(isLive)
			p.shifts()
			for i := range 10 {
				title := fmt.Sprintf("Newcomer %d with a name that %*s", i, i*7, "is longer than its line")
				a.shop.CreateProduct(func(p *fakeProduct) { p.Title = title })
				a.shop.RandomEdit()
				switch i {
				case 2:
					if code := a.api(http.MethodPost, "/api/v1/shops/"+a.shop.Domain()+"/sync", `{"kind":"reconcile"}`, nil); code >= 300 {
						t.Fatalf("start a comparison: status %d", code)
					}
				case 5:
					a.shop.Fail(fakeshopify.Fault{Status: http.StatusServiceUnavailable, Times: -1})
					a.post(fakeshopify.TopicInventoryLevel, a.shop.Domain(), a.shop.Secret(), string(a.shop.Body(fakeshopify.TopicInventoryLevel, a.shop.IDs()[0])))
				}
				a.deliver()
				p.shows(fmt.Sprintf("Newcomer %d ", i))
			}
			p.shows("Waiting to retry")
			value[bool](p, drawn)
			if sum := value[float64](p, "shift"); sum >= 0.1 {
				t.Errorf("what is looked at moves by %.3f: %v", sum, value[[]string](p, "moved.slice(0, 12)"))
			}
			value[bool](p, `(() => { document.getElementById("main").prepend("moves", document.createElement("hr"), document.createElement("textarea")); return true; })()`)
			p.until("shift > 0.03") // it is seen
		})
	}
}

// Where the rows of a list stand still, the one that has the focus keeps it.
func TestARowThatHasTheFocusKeepsIt(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.synced()
	a.shop.CreateProduct(func(p *fakeProduct) { p.Title = "Looked at" })
	a.deliver()
	p := a.visit(t)
	p.open("/")
	p.until(isLive)
	value[bool](p, `(() => { document.querySelector("#updates a.name").focus(); return true; })()`)
	a.shop.CreateProduct(func(p *fakeProduct) { p.Title = "Newer" })
	a.deliver()
	p.until(`document.querySelector("#updates a.name").innerText === "Newer"`)
	if !p.is(`document.activeElement.innerText === "Looked at" && document.activeElement.isConnected`) {
		t.Errorf("the focus is on %s", value[string](p, "document.activeElement.outerHTML"))
	}
}
