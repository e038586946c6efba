package web

import (
	"errors"
	"net/http"
	"testing"

	"stockroom/queue"
	"stockroom/status"
)

func TestReadyzIs200WhileEitherStoreCanMakeADeliveryDurable(t *testing.T) {
	r := newRig(t, nil)
	h := r.Public(hooks())
	ask := func() (int, status.Readiness) {
		w := serve(h, request(http.MethodGet, "/readyz", ""))
		return w.Code, decode[status.Readiness](t, w.Body.String())
	}
	if code, got := ask(); code != 200 || got.Status != "ready" || len(got.Checks) != 2 {
		t.Errorf("healthy: %d %+v", code, got)
	}
	r.closed = true
	if code, got := ask(); code != 200 || got.Status != "degraded" {
		t.Errorf("catalogue closed: %d %+v", code, got)
	}
	r.watch.Commit(queue.Commit{Err: errors.New("no space left on device")})
	if code, got := ask(); code != 503 || got.Status != "unavailable" {
		t.Errorf("both failing: %d %+v", code, got)
	}
	r.closed = false
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

func TestHealthzIsOpenUnderAnyName(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Account = newTestAccount("linen and wool") })
	for _, h := range []http.Handler{r.Admin(), r.Public(hooks()), r.Both(hooks())} {
		if w := serve(h, request(http.MethodGet, "/healthz", "", "Host", "probe.example")); w.Code != 200 || w.Body.String() != "ok\n" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
