package cli

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/internal/status"
	"stockroom/store"
	"stockroom/web"
)

// standIn answers as a server whose syncs stand as the functions say.
type standIn struct {
	status  func() status.Sync
	start   func() (status int, code string)
	current func() web.Run
}

func (s standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		if status, code := s.start(); status >= 300 {
			(&answer.Refusal{Status: status, Title: "Words", Code: code, Detail: "Nobody goes by them."}).Write(w)
			return
		}
		_ = answer.JSON(w, http.StatusAccepted, s.current())
	case strings.HasSuffix(r.URL.Path, "/sync"):
		_ = answer.JSON(w, http.StatusOK, s.status())
	case r.URL.Path == "/api/v1/syncs":
		_ = answer.JSON(w, http.StatusOK, map[string]any{"syncs": []web.Run{}})
	default:
		_ = answer.JSON(w, http.StatusOK, s.current())
	}
}

// TestARunThatCannotReachShopifyEndsTheCommand follows a run that waits for
// Shopify, is in the way of the one asked for, or goes on after a while.
func TestARunThatCannotReachShopifyEndsTheCommand(t *testing.T) {
	const why = "no connection to my-shop.myshopify.com: 127.0.0.1:9 refused the connection"
	waiting := func(read int64) web.Run {
		return web.Run{SyncRun: store.SyncRun{ID: 7, Kind: store.RunFull, State: store.RunRunning, Phase: "waiting", Read: read, Cause: "network"}, Waits: why}
	}
	for _, tt := range []struct {
		name        string
		behind      bool // another run is in the way
		run         func(since time.Duration) web.Run
		code        int
		least, most time.Duration
		words       []string
	}{
		{"nothing was read", false, func(time.Duration) web.Run { return waiting(0) }, config.ExitUnreachable, shortSilence, shortSilence + time.Second, []string{why, "Sync 7 goes on"}},
		{"it has begun to read", false, func(time.Duration) web.Run { return waiting(3) }, config.ExitUnreachable, longSilence, longSilence + time.Second, []string{why}},
		{"another run is in the way", true, func(time.Duration) web.Run { return waiting(0) }, config.ExitUnreachable, shortSilence, shortSilence + 3*time.Second,
			[]string{"another sync of the shop is in the way", why, "Sync 7 goes on"}},
		{"a moment without a network", false, func(since time.Duration) web.Run {
			run := waiting(0)
			switch {
			case since > 6*time.Second:
				run.State = store.RunDone
			case since > 4*time.Second:
				run.Cause, run.Waits = "", ""
			}
			return run
		}, config.ExitOK, 6 * time.Second, 8 * time.Second, nil},
		{"points are waited for", false, func(since time.Duration) web.Run {
			run := waiting(0)
			if run.Cause = "budget"; since > time.Hour {
				run.State = store.RunDone
			}
			return run
		}, config.ExitOK, time.Hour, time.Hour + time.Second, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				now := func() web.Run { return tt.run(time.Since(began)) }
				server := standIn{
					status: func() status.Sync {
						run := now()
						return status.Sync{Running: &run.SyncRun, Waits: run.Waits}
					},
					start: func() (int, string) {
						if tt.behind {
							return http.StatusConflict, answer.CodeSyncRuns
						}
						return http.StatusAccepted, ""
					},
					current: now,
				}
				var out bytes.Buffer
				e := &env{Process: Process{Stdout: &out, Stderr: &out}, ctx: t.Context()}
				cl := &client{base: "http://localhost", http: &http.Client{Transport: inProcess(server)}}
				run, _, err := e.syncShop(cl, "my-shop.myshopify.com", false, func(status.Sync) wish { return wish{kind: store.RunReconcile, dryRun: true, drift: false} })
				code := config.ExitOK
				if err != nil {
					code = exitCode(err)
				}
				if code != tt.code || tt.code == config.ExitOK && run.State != store.RunDone {
					t.Errorf("exit %d, want %d: %v, %+v", code, tt.code, err, run)
				}
				if took := time.Since(began); took < tt.least || took > tt.most {
					t.Errorf("it took %v", took)
				}
				for _, words := range tt.words {
					if err == nil || !strings.Contains(err.Error(), words) {
						t.Errorf("%v does not say %q", err, words)
					}
				}
			})
		})
	}
}
