package browsertest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// job is what the tests look at of a job.
type job struct {
	ID                 string
	State              string
	Attempts, Redrives int
}

// jobs lists the jobs in a state.
func (a *app) jobs(state string) []job {
	a.t.Helper()
	var doc struct{ Jobs []job }
	if status := a.api(http.MethodGet, "/api/v1/jobs?state="+state, "", &doc); status != http.StatusOK {
		a.t.Fatalf("jobs: status %d", status)
	}
	return doc.Jobs
}

// row is the selector of a job's row.
func row(j job) string { return fmt.Sprintf(`li:has(a[href="/jobs/%s"])`, j.ID) }

// triedAgain waits until a dead job has been tried once more, and died again.
func (a *app) triedAgain(j job) {
	a.t.Helper()
	await(a.t, "the job is tried again", func() bool {
		for _, now := range a.jobs("dead") {
			if now.ID == j.ID && now.Redrives > j.Redrives {
				return true
			}
		}
		return false
	})
}

// The two ways to go through it: with the script, and without.
func bothWays(t *testing.T, f func(t *testing.T, script bool)) {
	t.Parallel()
	for name, script := range map[string]bool{"with JavaScript": true, "with JavaScript off": false} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t, script) })
	}
}

func TestADeadLetterIsRetriedDiscardedAndBroughtBack(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{Products: 3})
		a.poison(3)
		p := a.visit(t)
		p.script(script)
		p.open("/")
		p.shows("Needs a look")
		p.click("nav", "Waiting and failed")
		p.at("/jobs")
		dead := a.jobs("dead")
		if len(dead) != 3 {
			t.Fatalf("%d failed jobs", len(dead))
		}

		p.click(row(dead[0]), "Retry")
		p.shows("Retrying. It is tried again now.")
		a.triedAgain(dead[0])

		p.open("/jobs")
		p.click(row(dead[1]), "Discard")
		p.at(fmt.Sprintf("/jobs/%s/discard", dead[1].ID))
		p.click("main", "Keep")
		p.at("/jobs")
		if n := a.dead(); n != 3 {
			t.Errorf("%d failed jobs after Keep", n)
		}
		p.click(row(dead[1]), "Discard")
		p.at(fmt.Sprintf("/jobs/%s/discard", dead[1].ID))
		p.click("main form", "Discard")
		p.shows("Discarded 1 item.")
		if n := a.dead(); n != 2 {
			t.Errorf("%d failed jobs after Discard", n)
		}
		p.click("form.undo", "Undo")
		p.shows("Brought back 1 item.")
		if n := a.dead(); n != 3 {
			t.Errorf("%d failed jobs after Undo", n)
		}
		p.forgive("status of 404") // the page being left may have asked for itself once more
	})
}

func TestAllDeadLettersAreRetriedDiscardedAndBroughtBack(t *testing.T) {
	bothWays(t, func(t *testing.T, script bool) {
		a := newApp(t, appOptions{Products: 3})
		a.poison(3)
		p := a.visit(t)
		p.script(script)
		p.open("/jobs")
		before := a.jobs("dead")
		p.click("#look .bar", "Retry all")
		p.shows("Retrying 3 items now.")
		for _, j := range before {
			a.triedAgain(j)
		}
		p.open("/jobs")
		p.click("#look .bar", "Discard all")
		p.at("/jobs/all/discard")
		p.click("main form", "Discard")
		p.shows("Discarded 3 items.")
		if n := a.dead(); n != 0 {
			t.Errorf("%d failed jobs after Discard all", n)
		}
		p.click("form.undo", "Undo")
		p.shows("Brought back 3 items.")
		if n := a.dead(); n != 3 {
			t.Errorf("%d failed jobs after Undo", n)
		}
		p.forgive("status of 404")
	})
}

func TestAJobsPageTellsItsReasonAndShowsItsContent(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 2})
	a.poison(1)
	p := a.visit(t)
	j := a.jobs("dead")[0]
	p.open("/jobs")
	p.click(row(j), "Details")
	p.at(fmt.Sprintf("/jobs/%s", j.ID))
	p.shows("title")
	p.until(`document.querySelector("pre.content").innerText.includes('"title": 7')`)
	p.click("main", "Retry")
	p.at("/jobs")
	a.triedAgain(j)
}

// Clicked twice as fast as a hand can, an action takes effect once.
func TestADoubleClickTakesEffectOnce(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.poison(2)
	p := a.visit(t)
	j := a.jobs("dead")[0]
	p.open(fmt.Sprintf("/jobs/%s/discard?back=/jobs", j.ID))
	p.until(named("main form", "Discard"))
	value[bool](p, `(() => { const b = `+named("main form", "Discard")+`; b.click(); b.click(); return true; })()`)
	p.at("/jobs")
	if n := a.dead(); n != 1 {
		t.Errorf("%d failed jobs are left, want 1", n)
	}
	// From a second window that still shows it.
	p.open(fmt.Sprintf("/jobs/%s/discard?back=/jobs", a.jobs("dead")[0].ID))
	q := a.visit(t)
	q.open("/jobs")
	last := a.jobs("dead")[0]
	p.click("main form", "Discard")
	p.shows("Discarded 1 item.")
	value[bool](q, fmt.Sprintf(`fetch("/jobs/%s/discard", {method: "POST", body: new URLSearchParams({back: "/jobs"})}).then(r => true)`, last.ID))
	if n := a.dead(); n != 0 {
		t.Errorf("%d failed jobs are left, want none", n)
	}
	p.forgive("status of 404")
}

// Tab reaches every action and shows where it is; Enter and Space do it.
func TestJobsAreHandledByKeyboardOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 3})
	a.poison(2)
	dead := a.jobs("dead")
	p := a.visit(t)
	p.open("/")
	p.tabTo(`document.querySelector("a.skip")`)
	p.press(kb.Enter)
	p.until(`document.activeElement.id === "main"`)
	p.open("/")
	p.tabTo(named("nav", "Waiting and failed"))
	p.press(kb.Enter)
	p.at("/jobs")
	p.tabTo(named(row(dead[0]), "Retry"))
	p.press(" ")
	p.shows("Retrying. It is tried again now.")
	a.triedAgain(dead[0])
	p.open("/jobs")
	p.tabTo(named(row(dead[1]), "Discard"))
	p.press(kb.Enter)
	p.at(fmt.Sprintf("/jobs/%s/discard", dead[1].ID))
	p.tabTo(named("main form", "Discard"))
	p.press(kb.Enter)
	p.shows("Discarded 1 item.")
	p.tabTo(named("form.undo", "Undo"))
	p.press(" ")
	p.shows("Brought back 1 item.")
	if n := a.dead(); n != 2 {
		t.Errorf("%d failed jobs", n)
	}
	p.forgive("status of 404")
}

// A browser whose connection breaks before the answer asks again; the action has
// taken effect once.
func TestADroppedConnectionDoesNotDoItTwice(t *testing.T) {
	t.Parallel()
	a := newApp(t, appOptions{Products: 4})
	a.poison(4)
	dead := a.jobs("dead")
	body := "back=%2Fjobs"
	post := fmt.Sprintf("POST /jobs/%s/discard HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		dead[0].ID, a.settings.AdminListen, a.token, len(body), body)
	for range 3 {
		c, err := net.Dial("tcp", a.settings.AdminListen)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, post); err != nil {
			t.Fatal(err)
		}
		_ = c.Close() // before the answer
	}
	await(t, "the job is discarded", func() bool { return a.dead() == 3 })

	// The person, who saw nothing happen, clicks again.
	p := a.visit(t)
	p.open(fmt.Sprintf("/jobs/%s/discard?back=/jobs", dead[0].ID))
	p.forgive("status of 404")
	p.open("/jobs")
	p.until(fmt.Sprintf(`!document.querySelector(%s)`, quote(row(dead[0]))))
	if n := a.dead(); n != 3 {
		t.Errorf("%d failed jobs, want 3", n)
	}
}
