package appliance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
)

// slowly returns options of an appliance whose products.db takes its time to
// open, and its log.
func slowly(t *testing.T, wait func()) (Options, *bytes.Buffer) {
	t.Helper()
	settings, err := config.Load(config.Sources{Flags: map[string]string{
		"data": t.TempDir(), "listen": "127.0.0.1:0", "admin-listen": "127.0.0.1:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	return Options{
		Settings: settings, Logger: slog.New(slog.NewTextHandler(log, nil)), Opening: new(Opening),
		StoreFault: func(point string) error {
			if point == "before open" {
				wait()
			}
			return nil
		},
	}, log
}

func TestASlowStartSaysWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, log := slowly(t, func() { time.Sleep(40 * time.Second) })
		var told []string
		o.Opening.Waiting = func(text string, next time.Duration) { told = append(told, text+", "+next.String()) }
		a, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		const text = "opening products.db: waiting for the disk, "
		if !strings.Contains(log.String(), text+"2s so far") {
			t.Errorf("no line after two seconds:\n%s", log)
		}
		if n := strings.Count(log.String(), text); n != 4 || len(told) != 4 || told[3] != text+"30s so far, 32s" {
			t.Errorf("%d lines in 40 s, told %q", n, told)
		}
	})
}

func TestAQuickStartSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, log := slowly(t, func() {})
		a, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "waiting") {
			t.Errorf("a line of a start that took no time:\n%s", log)
		}
	})
}

// I11: a disk that does not answer does not keep the process from ending.
func TestAStopDuringASlowStartEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := slowly(t, func() { time.Sleep(time.Minute) })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		began := time.Now()
		_, err := Open(ctx, o)
		if took := time.Since(began) - 5*time.Second; took > 8*time.Second || !errors.Is(err, context.Canceled) {
			t.Errorf("ended %s after the stop: %v", took, err)
		}
		time.Sleep(2 * time.Minute) // the disk answers at last; what was opened is closed again
	})
}

func TestRequestsDuringAStartAreAnsweredWithWhatItWaitsFor(t *testing.T) {
	began, answers := make(chan struct{}), make(chan struct{})
	o, _ := slowly(t, func() { close(began); <-answers })
	l, err := Listen(o.Settings)
	if err != nil {
		t.Fatal(err)
	}
	l.AnswerStarting(o.Opening, slog.New(slog.DiscardHandler))
	opened := make(chan *Appliance)
	go func() {
		a, err := Open(t.Context(), o)
		if err != nil {
			t.Error(err)
		}
		opened <- a
	}()
	<-began
	public := "http://" + l.Public.Addr().String()
	ask := func(method, url, accept string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	for _, q := range []struct{ method, url, accept, kind string }{
		{http.MethodPost, public + "/webhooks/shopify/products", "*/*", "application/problem+json"},
		{http.MethodGet, public + "/readyz", "*/*", "application/problem+json"},
		{http.MethodGet, l.AdminURL() + "/api/v1/status", "application/json", "application/problem+json"},
		{http.MethodGet, l.AdminURL() + "/", "text/html,*/*", "text/html; charset=utf-8"},
	} {
		res, body := ask(q.method, q.url, q.accept)
		h := res.Header
		if res.StatusCode != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || h.Get("Content-Type") != q.kind ||
			!strings.Contains(body, "opening products.db") {
			t.Errorf("%s %s: %d %v %s", q.method, q.url, res.StatusCode, h, body)
		}
	}
	if res, body := ask(http.MethodGet, public+"/healthz", "*/*"); res.StatusCode != http.StatusOK {
		t.Errorf("healthz %d %s", res.StatusCode, body)
	}
	close(answers)
	a := <-opened
	if a == nil {
		t.FailNow()
	}
	ready := make(chan struct{})
	l.Ready = func() {
		if found, err := datadir.ReadAdmin(a.dir.Path()); err != nil || found.URL != l.AdminURL() {
			t.Errorf("a command given now finds no server: %+v, %v", found, err)
		}
		close(ready)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, l) }()
	<-ready
	if res, body := ask(http.MethodGet, public+"/readyz", "*/*"); res.StatusCode != http.StatusOK {
		t.Errorf("readyz %d %s after the start", res.StatusCode, body)
	}
	if res, _ := ask(http.MethodPost, public+"/webhooks/shopify/products", "*/*"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("an unsigned delivery is answered %d after the start", res.StatusCode)
	}
	cancel()
	if err := errors.Join(<-ended, a.Close()); err != nil {
		t.Error(err)
	}
}
