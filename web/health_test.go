package web

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"stockroom/queue"
	"stockroom/store"
)

func TestReadinessNamesWhatIsDegraded(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name     string
		facts    facts
		status   string
		degraded []string
	}{
		{"both stores work", facts{catalogue: storeFacts{OK: true}, queue: queueFacts{OK: true}}, "ready", []string{}},
		{"the catalogue fails", facts{catalogue: storeFacts{Closed: true, Cause: store.CauseLocked, Since: now}, queue: queueFacts{OK: true}}, "degraded", []string{"catalogue"}},
		{"the queue fails", facts{catalogue: storeFacts{OK: true}, queue: queueFacts{Reason: "x"}}, "degraded", []string{"queue"}},
		{"both fail", facts{}, "unavailable", []string{"catalogue", "queue"}},
		{"a file was quarantined", facts{catalogue: storeFacts{OK: true}, queue: queueFacts{OK: true}, notices: []Notice{{Level: LevelWarn, Text: "moved aside"}}}, "degraded", []string{"notice"}},
		{"good to know only", facts{catalogue: storeFacts{OK: true}, queue: queueFacts{OK: true}, notices: []Notice{{Level: LevelInfo, Text: "by the way"}}}, "ready", []string{}},
	} {
		got := readinessOf(tt.facts)
		if got.Status != tt.status || !slices.Equal(got.Degraded, tt.degraded) {
			t.Errorf("%s: %s %v", tt.name, got.Status, got.Degraded)
		}
		for _, c := range got.Checks {
			if !c.OK && c.Reason == "" {
				t.Errorf("%s: check %s fails without a reason", tt.name, c.Name)
			}
		}
	}
}

func TestReadyzIs200WhileEitherStoreCanMakeADeliveryDurable(t *testing.T) {
	closed := false
	r := newRig(t, func(o *Options) {
		o.CatalogueClosed = func() (time.Time, bool) { return time.Now(), closed }
	})
	h := r.Public(hooks())
	ask := func() (int, readiness) {
		w := serve(h, request(http.MethodGet, "/readyz", ""))
		return w.Code, decode[readiness](t, w.Body.String())
	}
	if code, got := ask(); code != 200 || got.Status != "ready" || len(got.Checks) != 2 {
		t.Errorf("healthy: %d %+v", code, got)
	}
	closed = true
	if code, got := ask(); code != 200 || got.Status != "degraded" {
		t.Errorf("catalogue closed: %d %+v", code, got)
	}
	r.watch.Commit(queue.Commit{Err: errors.New("no space left on device")})
	if code, got := ask(); code != 503 || got.Status != "unavailable" {
		t.Errorf("both failing: %d %+v", code, got)
	}
	closed = false
	if code, got := ask(); code != 200 || got.Status != "degraded" {
		t.Errorf("queue failing: %d %+v", code, got)
	}
	r.watch.Commit(queue.Commit{})
	if code, got := ask(); code != 200 || got.Status != "ready" {
		t.Errorf("healed: %d %+v", code, got)
	}
	if err := r.queue.Close(); err != nil {
		t.Fatal(err)
	}
	if code, got := ask(); code != 200 || got.Status != "degraded" {
		t.Errorf("queue closed: %d %+v", code, got)
	}
}

func TestAFailedCommitIsForgottenWhenNoOtherFollows(t *testing.T) {
	w := new(QueueWatch)
	w.Commit(queue.Commit{Err: errors.New("disk full")})
	if _, failing := w.failing(time.Now()); !failing {
		t.Error("a failed commit goes unnoticed")
	}
	if _, failing := w.failing(time.Now().Add(2 * forgetFailure)); failing {
		t.Error("a failed commit is never forgotten")
	}
}

func TestHealthzIsOpenUnderAnyName(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Account = newTestAccount("linen and wool") })
	for _, h := range []http.Handler{r.Admin(), r.Public(hooks()), r.Both(hooks())} {
		if w := serve(h, request(http.MethodGet, "/healthz", "", "Host", "probe.example")); w.Code != 200 || w.Body.String() != "ok\n" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
