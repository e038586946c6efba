package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"stockroom/queue"
	"stockroom/store"
)

// click sends a form as our own page does and returns where it leads.
func (r *rig) click(path string, form url.Values) string {
	r.t.Helper()
	w := serve(r.Admin(), request(http.MethodPost, path, form.Encode(), "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded"))
	if w.Code != http.StatusSeeOther {
		r.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Header().Get("Location")
}

// undoKey cuts the random key of an undo off an address.
var undoKey = regexp.MustCompile(`undo=([A-Z0-9]+)`)

func TestTheButtonsWorkOnceAndSayWhatTheyDid(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.deadJob("{}"), r.deadJob("{}")
	for _, tt := range []struct{ path, want string }{
		{fmt.Sprintf("/jobs/%d/retry", a), "/jobs?said=retried"},
		{fmt.Sprintf("/jobs/%d/retry", a), "/jobs?said=retried"}, // the same click again
		{fmt.Sprintf("/jobs/%d/discard", b), "/jobs?said=discarded&undo=KEY"},
		{fmt.Sprintf("/jobs/%d/discard", b), "/jobs?said=discarded&undo=KEY"},
		{fmt.Sprintf("/jobs/%d/retry", b), "/jobs?said=gone"},
		{"/jobs/999/retry", "/jobs?said=gone"},
		{"/jobs/undo/NOSUCHKEY", "/jobs?said=gone"},
	} {
		got := r.click(tt.path, nil)
		if shown := undoKey.ReplaceAllString(got, "undo=KEY"); shown != tt.want {
			t.Errorf("%s leads to %s, want %s", tt.path, shown, tt.want)
		}
		if page := r.admin(200, "GET", got, ""); !strings.Contains(page, `id="said"`) && !strings.Contains(page, "/jobs/undo/") {
			t.Errorf("%s: nothing is said", got)
		}
	}
	if s := r.queue.Stats(); s.Dead != 0 || s.Waiting != 1 {
		t.Errorf("%d dead, %d waiting", s.Dead, s.Waiting)
	}
	r.admin(404, "POST", "/jobs/1/explode", "")
	r.admin(400, "POST", "/jobs/x/retry", "")
	r.admin(400, "POST", "/jobs/all/discard", "")
	r.admin(400, "POST", "/jobs/all/retry?newest=x", "")
	r.admin(404, "GET", "/jobs/1/retry", "")
	if page := r.admin(200, "GET", "/?said=%3Cscript%3E", ""); strings.Contains(page, `id="said"`) {
		t.Error("a text of the address is shown")
	}
}

// bound reads what a list's form says of the list.
func (r *rig) bound(path string) url.Values {
	r.t.Helper()
	page := r.admin(200, "GET", path, "")
	form := url.Values{}
	for _, name := range []string{"newest", "seen"} {
		m := regexp.MustCompile(`name="` + name + `" value="(\d+)"`).FindStringSubmatch(page)
		if m == nil {
			r.t.Fatalf("%s has no form with %s", path, name)
		}
		form.Set(name, m[1])
	}
	return form
}

func TestRetryAllLeavesAloneWhatCameSinceThePage(t *testing.T) {
	r := newRig(t, nil)
	r.deadJob("{}")
	r.deadJob("{}")
	form := r.bound("/jobs")
	late := r.deadJob("{}")
	for i, want := range []string{"/jobs?n=2&said=retried-all", "/jobs?said=gone"} {
		if got := r.click("/jobs/all/retry", form); got != want {
			t.Errorf("click %d leads to %s, want %s", i+1, got, want)
		}
	}
	if j, err := r.queue.Get(t.Context(), late); err != nil || j.State != queue.Dead {
		t.Errorf("the later one: %v %v", j.State, err)
	}
}

func TestAJobThatDiedSinceThePageIsNotAmongAll(t *testing.T) {
	r := newRig(t, nil)
	waiting := r.waitingJob("{}")
	r.deadJob("{}")
	r.deadJob("{}")
	form := r.bound("/jobs")
	ctx, cancel := context.WithCancel(t.Context())
	died := make(chan struct{})
	go r.queue.Work(ctx, "webhook", 1, time.Minute, func(context.Context, queue.Job) error {
		close(died)
		return queue.Permanent(errors.New("no"), queue.ClassPoison)
	})
	if _, err := r.queue.Retry(t.Context(), waiting); err != nil {
		t.Fatal(err)
	}
	<-died
	for r.queue.Stats().Dead < 3 {
		runtime.Gosched()
	}
	cancel()
	if got := r.click("/jobs/all/discard", form); undoKey.ReplaceAllString(got, "") != "/jobs?n=2&said=discarded&" {
		t.Errorf("leads to %s", got)
	}
	if _, err := r.queue.Get(t.Context(), waiting); err != nil {
		t.Error("a job that the page showed as waiting was discarded with the dead ones")
	}
}

func TestADiscardedJobCanBeBroughtBackOnce(t *testing.T) {
	r := newRig(t, nil)
	id := r.deadJob(`{"id":7,"title":"Lamp"}`)
	location := r.click(fmt.Sprintf("/jobs/%d/discard", id), url.Values{"back": {"/jobs?shop=" + testShop}})
	if !strings.HasPrefix(location, "/jobs?shop="+testShop+"&") {
		t.Errorf("leads to %s", location)
	}
	page := r.admin(200, "GET", location, "")
	if !strings.Contains(page, "Undo") || !strings.Contains(page, "as long as Stockroom runs") {
		t.Error("no undo is offered, or not what ends it")
	}
	key := undoKey.FindStringSubmatch(location)[1]
	var wg sync.WaitGroup
	var mu sync.Mutex
	var got []string
	for range 4 { // from several windows at once
		wg.Go(func() {
			w := serve(r.Admin(), request(http.MethodPost, "/jobs/undo/"+key, "", "Sec-Fetch-Site", "same-origin"))
			mu.Lock()
			defer mu.Unlock()
			got = append(got, w.Header().Get("Location"))
		})
	}
	wg.Wait()
	done := 0
	for _, l := range got {
		if l == "/jobs?said=undone" {
			done++
		}
	}
	if done != 1 || r.queue.Stats().Dead != 1 {
		t.Errorf("brought back %d times, %d dead: %v", done, r.queue.Stats().Dead, got)
	}
	jobs, _, err := r.queue.List(t.Context(), queue.Filter{State: queue.Dead})
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	whole, err := r.queue.Get(t.Context(), jobs[0].ID)
	if err != nil || string(whole.Payload) != string(payload(`{"id":7,"title":"Lamp"}`)) || whole.Class != queue.ClassPoison || whole.LastError != "title: a number where text belongs" || whole.Labels["shop"] != testShop {
		t.Errorf("came back as %+v", whole)
	}
}

func TestAWaitingJobComesBackWithItsDueTime(t *testing.T) {
	r := newRig(t, nil)
	id := r.waitingJob("{}")
	before, err := r.queue.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	r.click("/jobs/undo/"+undoKey.FindStringSubmatch(r.click(fmt.Sprintf("/jobs/%d/discard", id), nil))[1], nil)
	jobs, _, err := r.queue.List(t.Context(), queue.Filter{State: queue.Waiting})
	if err != nil || len(jobs) != 1 || jobs[0].DueAt.Sub(before.DueAt).Abs() > time.Millisecond {
		t.Errorf("%v, due %v before: %v", jobs, before.DueAt, err)
	}
}

func TestWhatIsKeptForAnUndoIsBoundedAndForgotten(t *testing.T) {
	u := new(undoList)
	if key := u.add(noon, []queue.Job{{Payload: make([]byte, undoSize+1)}}); key != "" {
		t.Error("too many bytes are kept")
	}
	if key := u.add(noon, make([]queue.Job, undoJobs+1)); key != "" {
		t.Error("too many jobs are kept")
	}
	first := u.add(noon, make([]queue.Job, 1))
	for i := range undoMost {
		u.add(noon.Add(time.Duration(i)*time.Second), make([]queue.Job, 1))
	}
	if u.left(noon, first) != 0 || len(u.list) != undoMost {
		t.Errorf("%d clicks are kept", len(u.list))
	}
	u = new(undoList)
	key := u.add(noon, make([]queue.Job, 3))
	if u.left(noon.Add(undoFor), key) != 3 || u.left(noon.Add(undoFor+time.Second), key) != 0 {
		t.Error("it is not kept for exactly ten minutes")
	}
	if _, ok := u.take(noon, key); ok || len(u.list) != 0 {
		t.Error("what was forgotten comes back")
	}
	half := undoSize/2 + 1
	older := u.add(noon, []queue.Job{{Payload: make([]byte, half)}})
	newer := u.add(noon, []queue.Job{{Payload: make([]byte, half)}})
	if u.left(noon, older) != 0 || u.left(noon, newer) != 1 {
		t.Error("the older one does not give way to the newer one")
	}
}

func TestDiscardingAsksOnAPageOfItsOwn(t *testing.T) {
	r := newRig(t, nil)
	id := r.deadJob(`{"id":7,"title":"Lamp"}`)
	_, text := checkPage(t, r.admin(200, "GET", fmt.Sprintf("/jobs/%d/discard?back=/jobs", id), ""))
	for _, want := range []string{"Discard this?", "Lamp was changed. The content can't be understood", "bring it back for ten minutes", "Keep"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	r.deadJob("{}")
	form := r.bound("/jobs")
	_, text = checkPage(t, r.admin(200, "GET", "/jobs/all/discard?"+form.Encode(), ""))
	if !strings.Contains(text, "Discard 2 items?") {
		t.Errorf("how many is not said: %s", text)
	}
	if s := r.queue.Stats(); s.Dead != 2 {
		t.Error("asking discarded something")
	}
	r.admin(404, "GET", "/jobs/999/discard", "")
	r.admin(400, "GET", "/jobs/all/discard", "")
}

func TestAFormLeadsOnlyToOurPages(t *testing.T) {
	for back, want := range map[string]string{
		"/jobs?shop=a": "/jobs?shop=a", "": "/x", "//evil.example/": "/x", "https://evil.example/": "/x", "/\\evil.example": "/x", "javascript:alert(1)": "/x",
		"/%2f/evil.example": "/x", "/%5cevil": "/x", "/a\r\nSet-Cookie: a=b": "/x", "jobs": "/x", "/?said=retried&n=4&undo=A": "/", "///evil": "/x", "http:/a": "/x",
	} {
		if got := localPath(back, "/x"); got != want {
			t.Errorf("%q leads to %q, want %q", back, got, want)
		}
	}
}

func TestAJobsPageShowsItsContent(t *testing.T) {
	r := newRig(t, nil)
	id := r.deadJob(`{"id":7,"title":"Lamp <b>bold</b>","body_html":"` + strings.Repeat("long ", 5000) + `"}`)
	_, text := checkPage(t, r.admin(200, "GET", fmt.Sprintf("/jobs/%d", id), ""))
	for _, want := range []string{"Lamp <b>bold</b> was changed", "Needs a look", `"title": "Lamp <b>bold</b>"`, "Only the beginning of 25,", "products/update", "w-1"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	r.admin(404, "GET", "/jobs/999", "")
	broken := r.deadJob("not json \xff \x00")
	if _, text := checkPage(t, r.admin(200, "GET", fmt.Sprintf("/jobs/%d", broken), "")); !strings.Contains(text, "not json") {
		t.Error("content that is no JSON is not shown")
	}
	if got, _ := readable(json.RawMessage(`"é`)); got != `"é` {
		t.Errorf("%q", got)
	}
}

func TestADeliveryThatDoesNotFitItsTopicIsNotBlamedOnShopify(t *testing.T) {
	r := newRig(t, nil)
	job := queue.NewJob{Kind: store.DeliveryJob, Labels: labels(), Payload: payload("{}")}
	if _, err := r.queue.Bury(t.Context(), job, queue.ClassValidation, errors.New("more than the id of a deleted product")); err != nil {
		t.Fatal(err)
	}
	page := r.admin(200, "GET", "/jobs", "")
	if !strings.Contains(page, "The content is not what it claims to be: more than the id") || strings.Contains(page, "Shopify understood") {
		t.Errorf("the reason is told as %s", page)
	}
}
