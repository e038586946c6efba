package web

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/internal/config"
	"stockroom/internal/notify"
)

// nothingKept keeps nothing.
type nothingKept struct{}

func (nothingKept) Get(string, string) ([]byte, bool) { return nil, false }
func (nothingKept) Put(string, string, []byte) error  { return nil }

// messages go to a server that answers with a status, and are kept until got is called.
func messages(t *testing.T, status int) (n *notify.Notifier, got func() string) {
	t.Helper()
	bodies := make(chan string, 9)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	targets, err := notify.Parse(config.NewSecret("generic+" + srv.URL + "/hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	n = notify.New(notify.Options{Targets: targets, After: time.Minute, Keeper: nothingKept{}, Metrics: metrics.NewSet(), Logger: slog.New(slog.DiscardHandler)})
	return n, func() string { return <-bodies }
}

func TestTheButtonAndTheAPISendATestMessageAndSayWhatBecameOfIt(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusOK:        "Sent; look whether it has arrived.",
		http.StatusForbidden: "It refuses the user name, the password or the token (status 403).",
	} {
		n, got := messages(t, status)
		r := newRig(t, func(o *Options) { o.Notify = n })
		_, text := checkPage(t, r.admin(200, "GET", r.click("/settings/notify", nil), ""))
		if !strings.Contains(text, want) || !strings.Contains(text, n.Targets()[0]) || strings.Contains(text, "hunter2") {
			t.Errorf("%d: %q is missing in %s", status, want, text)
		}
		api := r.admin(200, "POST", "/api/v1/notify/test", "")
		if !strings.Contains(api, `"target":"`+n.Targets()[0]+`"`) || strings.Contains(api, "hunter2") {
			t.Error(api)
		}
		for range 2 {
			if body := got(); !strings.Contains(body, "Nothing is wrong") {
				t.Error(body)
			}
		}
	}
	r := newRig(t, nil)
	if api := r.admin(409, "POST", "/api/v1/notify/test", ""); !strings.Contains(api, "--notify-file") {
		t.Error(api)
	}
	if _, text := checkPage(t, r.admin(200, "GET", "/settings", "")); !strings.Contains(text, "Nobody is told when something is wrong.") {
		t.Error(text)
	}
}
