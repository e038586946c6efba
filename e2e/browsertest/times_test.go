package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
)

// Whoever looks from another time zone reads all times in their own, in the form
// in which the server wrote them in its own.
func TestAllTimesAreInTheReadersZone(t *testing.T) {
	t.Parallel()
	a := busyApp(t)
	p := a.visit(t)
	call(p, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kathmandu"}) // 5:45 before UTC
	kathmandu := time.FixedZone("GMT+5:45", (5*60+45)*60)
	pages := a.pages()
	for _, path := range pages {
		p.open(path)
		if p.is(`!document.getElementById("pause")`) {
			continue // without script
		}
		p.until(isLive)
		type element struct{ Datetime, As, Title, Text string }
		list := value[[]element](p, `[...document.querySelectorAll("time")].map(e => ({Datetime: e.dateTime, As: e.dataset.as, Title: e.title, Text: e.textContent}))`)
		if len(list) == 0 {
			t.Errorf("%s: no time", path)
		}
		for _, e := range list {
			at, err := time.Parse(time.RFC3339, e.Datetime)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			at = at.In(kathmandu)
			if want := at.Format("Mon 2 Jan 2006, 15:04:05 ") + "GMT+5:45"; e.Title != want {
				t.Errorf("%s: the title of %s is %q, want %q", path, e.Datetime, e.Title, want)
			}
			want := map[string]string{"clock": at.Format("15:04"), "seconds": at.Format("15:04:05")}[e.As]
			if !strings.HasSuffix(e.Text, want) || want == "" && strings.Contains(e.Text, ":") {
				t.Errorf("%s: %+v, want %q", path, e, want)
			}
		}
	}
	p.forgive("status of 404 (Not Found) " + a.URL + "/no-such-page")

	without := a.visit(t)
	without.script(false)
	without.open("/")
	if !without.is(`/^As of \d\d:\d\d:\d\d [A-Z+\-0-9]+\. *$/.test(document.querySelector(".fresh p").innerText)`) {
		t.Errorf("without script the page does not name its instant: %s", without.where())
	}
}

// Ages go on counting while nothing happens, and the words are the server's.
func TestAgesGoOnCounting(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.synced()
	a.shop.RandomEdit()
	a.deliver()
	p := a.visit(t)
	p.open("/updates")
	p.until(isLive)
	wait := p.clock()
	a.stop()
	p.rough = true
	const age = `document.querySelector("#updates time").textContent`
	for _, step := range []struct {
		wait time.Duration
		want string
	}{
		{50 * time.Second, "seconds ago"}, {10 * time.Second, "1 minute ago"}, {time.Hour, "1 hour 1 minute ago"}, {10 * time.Hour, "11 hours ago"}, {48 * time.Hour, "2 days ago"},
	} {
		wait(step.wait)
		p.until(age + ".endsWith(" + quote(step.want) + ")")
	}
}
