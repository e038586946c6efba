package web

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"stockroom/queue"
)

func (r *rig) keyed(path, key, body string) *httptest.ResponseRecorder {
	r.t.Helper()
	return serve(r.Admin(), request("POST", path, body, "Authorization", "Bearer "+testToken, "Idempotency-Key", key))
}

func TestAnActionWithAKeyHasOneEffectAndOneAnswer(t *testing.T) {
	r := newRig(t, nil)
	id := r.deadJob("{}")
	other := r.deadJob("{}")
	retry := fmt.Sprintf("/api/v1/jobs/%d/retry", id)
	first := r.keyed(retry, "a", "")
	if first.Code != 200 || first.Body.String() != "{\"retried\":1}\n" || first.Header().Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	again := r.keyed(retry, "a", "")
	if again.Code != 200 || again.Body.String() != first.Body.String() || again.Header().Get("Idempotency-Replayed") != "true" || again.Header().Get("Content-Type") != "application/json" {
		t.Errorf("again: %d %s %v", again.Code, again.Body, again.Header())
	}
	if j, err := r.queue.Get(t.Context(), id); err != nil || j.Redrives != 1 {
		t.Errorf("redriven %d times (%v)", j.Redrives, err)
	}
	if w := r.keyed(fmt.Sprintf("/api/v1/jobs/%d/discard", other), "a", ""); w.Code != 422 {
		t.Errorf("the key with another path: %d %s", w.Code, w.Body)
	}
	if w := r.keyed("/api/v1/shops/"+testShop+"/circuit", "b", `{"hold":"sideways"}`); w.Code != 400 {
		t.Errorf("a refusal: %d", w.Code)
	}
	if w := r.keyed("/api/v1/shops/"+testShop+"/circuit", "b", `{"hold":"open"}`); w.Code != 422 {
		t.Errorf("the key with another body: %d", w.Code)
	}
	if w := r.keyed(retry, strings.Repeat("k", 256), ""); w.Code != 400 {
		t.Errorf("a long key: %d", w.Code)
	}
	discard := fmt.Sprintf("/api/v1/jobs/%d/discard", other)
	for range 2 {
		if w := r.keyed(discard, "c", ""); w.Code != 200 || w.Body.String() != "{\"discarded\":1}\n" {
			t.Errorf("discard: %d %s", w.Code, w.Body)
		}
	}
}

// The answers of keys and what an undo keeps are memory only. Over a restart the
// effect is still one, because each action names what it is about.
func TestActionsSentAgainAfterARestartHaveNoSecondEffect(t *testing.T) {
	r := newRig(t, nil)
	restart := func() { r.Server = New(r.opt) }
	one, two, three := r.deadJob("{}"), r.deadJob("{}"), r.deadJob("{}")
	died := func(id uint64) string {
		j, err := r.queue.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatInt(j.DiedAt.UnixNano(), 10)
	}
	shown := died(one)
	discard, retry := fmt.Sprintf("/jobs/%d/discard", two), fmt.Sprintf("/jobs/%d/retry", one)
	if page := r.admin(200, "GET", "/jobs", ""); !strings.Contains(page, `name="died" value="`+shown+`"`) {
		t.Errorf("the list does not say which failure its buttons are about: %s", page)
	}
	if page := r.admin(200, "GET", fmt.Sprintf("/jobs/%d", one), ""); !strings.Contains(page, `name="died" value="`+shown+`"`) {
		t.Errorf("nor does the job's page")
	}
	bounds := r.bound("/jobs")
	at := "/api/v1/jobs-discard?up_to=" + fmt.Sprint(three)

	if got := r.click(discard, nil); !strings.Contains(got, "said=discarded") {
		t.Error(got)
	}
	undo := "/jobs/undo/" + undoKey.FindStringSubmatch(r.click(fmt.Sprintf("/jobs/%d/discard", r.deadJob("{}")), nil))[1]
	if got := r.click(undo, nil); got != "/jobs?said=undone" {
		t.Error(got)
	}
	back := r.queue.Stats().Dead
	restart()
	for path, form := range map[string]url.Values{discard: nil, undo: nil, retry: {"died": {"1"}}} {
		if got := r.click(path, form); got != "/jobs?said=gone" {
			t.Errorf("%s again leads to %s", path, got)
		}
	}
	if got := r.queue.Stats().Dead; got != back {
		t.Errorf("%d dead letters, there were %d", got, back)
	}
	if got := r.click(retry, url.Values{"died": {shown}}); got != "/jobs?said=retried" {
		t.Error(got)
	}

	if w := r.keyed(at, "k", ""); w.Code != 200 || w.Body.String() != "{\"discarded\":1}\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	restart()
	later := r.deadJob("{}")
	if w := r.keyed(at, "k", ""); w.Code != 200 || w.Body.String() != "{\"discarded\":0}\n" {
		t.Errorf("after a restart: %d %s", w.Code, w.Body)
	}
	r.click("/jobs/all/discard", bounds)
	if j, err := r.queue.Get(t.Context(), later); err != nil || j.State != queue.Dead {
		t.Errorf("a job that came later is %s (%v)", j.State, err)
	}
}

// TestEveryActionOnJobsHasOneEffectOverBrokenConnections sends each action again
// and again over connections that break before the answer.
func TestEveryActionOnJobsHasOneEffectOverBrokenConnections(t *testing.T) {
	r := newRig(t, nil)
	address := strings.TrimPrefix(r.listen(), "http://")
	for _, c := range []struct {
		name, path string
		done       string
		counted    func() uint64
		want       uint64
	}{
		{"retry", "/api/v1/jobs/%d/retry", `"retried":1`, func() uint64 { return r.queue.Stats().Counts.Redriven }, 1},
		{"discard", "/api/v1/jobs/%d/discard", `"discarded":1`, func() uint64 { return r.queue.Stats().Counts.Discarded }, 1},
		{"retry all", "/api/v1/jobs-retry?up_to=%d", `"retried":3`, func() uint64 { return r.queue.Stats().Counts.Redriven }, 3},
		{"discard all", "/api/v1/jobs-discard?up_to=%d", `"discarded":3`, func() uint64 { return r.queue.Stats().Counts.Discarded }, 3},
	} {
		for _, state := range []queue.State{queue.Dead, queue.Waiting} {
			if _, err := r.queue.DiscardAll(t.Context(), queue.Filter{State: state}, func(queue.Job) bool { return true }); err != nil {
				t.Fatal(err)
			}
		}
		var id uint64
		for range 3 {
			id = r.deadJob("{}")
		}
		later := r.deadJob("{}") // of which the caller knows nothing
		before := c.counted()
		path := fmt.Sprintf(c.path, id)
		send := func(read bool) string {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\nContent-Length: 0\r\n\r\n", path, testToken, c.name)
			if !read {
				return "" // and hang up
			}
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var b strings.Builder
			if err := resp.Write(&b); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		for range 5 {
			send(false)
		}
		if got := send(true); !strings.Contains(got, c.done) {
			t.Errorf("%s: the answer that arrived is %s", c.name, got)
		}
		if got := c.counted() - before; got != c.want {
			t.Errorf("%s: %d effects, want %d", c.name, got, c.want)
		}
		if j, err := r.queue.Get(t.Context(), later); err != nil || j.State != queue.Dead {
			t.Errorf("%s: a job that came later is %s (%v)", c.name, j.State, err)
		}
	}
}
