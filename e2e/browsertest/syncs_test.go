package browsertest

import (
	"net/http"
	"testing"
	"time"

	"stockroom/internal/fakeshopify"
)

// run is what the tests look at of a sync.
type run struct {
	ID          int64
	Kind, State string
	DryRun      bool `json:"dry_run"`
	Changed     int64
}

func (a *app) runs() []run {
	a.t.Helper()
	var doc struct{ Syncs []run }
	if status := a.api(http.MethodGet, "/api/v1/syncs", "", &doc); status != http.StatusOK {
		a.t.Fatalf("syncs: status %d", status)
	}
	return doc.Syncs
}

// synced waits until the syncs of the start have ended and the copy is in step.
func (a *app) synced() {
	a.t.Helper()
	a.deliver()
	await(a.t, "the copy is in step", func() bool {
		var status struct {
			InStep  bool `json:"in_step"`
			Why     string
			Running *run
		}
		if code := a.api(http.MethodGet, "/api/v1/shops/"+a.shop.Domain()+"/sync", "", &status); code != http.StatusOK {
			a.t.Fatalf("sync status: %d", code)
		}
		return status.InStep && status.Running == nil
	})
}

// A person starts a full read and watches it end, without touching the page.
func TestASyncIsFollowedLive(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 12, Bulk: fakeshopify.BulkOptions{Base: 1500 * time.Millisecond}})
	a.synced()
	p := a.visit(t)
	p.open("/")
	p.click("nav", "Syncs")
	p.at("/syncs")
	before := len(a.runs())
	p.click("form.starts", "Read everything")
	p.shows("Running")
	value[bool](p, "window.same = true")
	await(t, "the run ends", func() bool { r := a.runs(); return len(r) > before && r[0].State == "done" })
	p.until(`!document.body.innerText.includes("Running")`)
	p.shows("12")
	if !value[bool](p, "window.same === true") {
		t.Error("the page was loaded again")
	}
}

// A comparison that changes nothing lists what differs; one that repairs mends it.
func TestDriftIsShownAndRepaired(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{Products: 5})
		a.synced()
		id := a.shop.IDs()[0]
		a.shop.UpdateProduct(id, func(p *fakeProduct) { p.Title = "Edited while nobody listened" })
		a.shop.Forget()
		p := a.visit(t)
		p.script(script)
		p.open("/syncs")
		p.click("form.starts", "Compare only")
		await(t, "the comparison ends", func() bool { r := a.runs(); return r[0].DryRun && r[0].State == "done" })
		p.open("/syncs")
		p.click("#runs", "Compar")
		p.shows("Edited while nobody listened")
		p.shows("Nothing was changed.")
		p.open("/syncs")
		p.click("form.starts", "Compare and repair")
		await(t, "the repair ends", func() bool { r := a.runs(); return !r[0].DryRun && r[0].State == "done" && r[0].Changed == 1 })
		p.open("/products?q=Edited+while")
		p.until(`document.querySelectorAll("#products li").length === 1`)
	})
}
