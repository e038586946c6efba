package web

import (
	"errors"
	"net/http"
	"testing"

	"stockroom/internal/status"
	"stockroom/queue"
)

func TestReadyzIs200WhileEitherStoreCanMakeADeliveryDurable(t *testing.T) {
	r := newRig(t, nil)
	public, admin := r.Public(hooks()), r.Admin()
	ask := func() (int, status.Readiness) {
		w := serve(admin, request(http.MethodGet, "/readyz", "", "Authorization", "Bearer "+testToken))
		got := decode[status.Readiness](t, w.Body.String())
		// Strangers are told as much, and no more.
		w2 := serve(public, request(http.MethodGet, "/readyz", ""))
		if w2.Code != w.Code || w2.Body.String() != `{"status":"`+got.Status+`"}`+"\n" {
			t.Errorf("the public answer is %d %s, the other %d %s", w2.Code, w2.Body, w.Code, w.Body)
		}
		return w.Code, got
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
	r := newRig(t, func(o *Options) { o.Admit.Account = newTestAccount("linen and wool") })
	for _, h := range []http.Handler{r.Admin(), r.Public(hooks()), r.Both(hooks())} {
		if w := serve(h, request(http.MethodGet, "/healthz", "", "Host", "probe.example")); w.Code != 200 || w.Body.String() != "ok\n" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
