package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/internal/status"
	"stockroom/store"
	"stockroom/web"
)

// The words of a refusal may be any: the exit code goes by its code, or by its status.
func TestTheExitCodeOfARefusalGoesByItsCodeAndNotByItsWords(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   int
	}{
		{409, answer.CodeDeclared, config.ExitConfig},
		{409, answer.CodeNoPublicAddress, config.ExitConfig},
		{400, answer.CodeCredentials, config.ExitConfig},
		{502, answer.CodeUnreachable, config.ExitUnreachable},
		{409, answer.CodeRefused, config.ExitFailed},
		{503, answer.CodeNotNow, config.ExitFailed},
		{404, answer.CodeUnknownShop, config.ExitFailed},
		{409, answer.CodeSyncRuns, config.ExitFailed},
		{400, "", config.ExitUsage},
		{404, "", config.ExitFailed},
		{503, "", config.ExitFailed},
		{409, "a code of a later version", config.ExitFailed},
	} {
		for _, words := range []string{"", "Shopify can't be reached", "Another sync runs", "Not a shop's name"} {
			server := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				(&answer.Refusal{Status: tt.status, Code: tt.code, Title: words, Detail: words}).Write(w)
			})
			cl := &client{base: "http://localhost", http: &http.Client{Transport: inProcess(server)}}
			err := cl.call(t.Context(), http.MethodGet, "/api/v1/status", nil, nil)
			if got := exitCode(err); err == nil || got != tt.want {
				t.Errorf("%d %q %q: exit %d, want %d (%v)", tt.status, tt.code, words, got, tt.want, err)
			}
		}
	}
}

// What is in the way of a sync is waited for by its code, whatever the words.
func TestASyncWaitsByTheCodeOfWhatIsInItsWay(t *testing.T) {
	done := web.Run{SyncRun: store.SyncRun{ID: 7, Kind: store.RunReconcile, State: store.RunDone}}
	for _, tt := range []struct {
		status int
		code   string
		times  int
		begins bool
		within time.Duration
	}{
		{409, answer.CodeSyncRuns, 3, true, 3 * behindEvery},
		{503, answer.CodeSyncNotBegun, 3, true, 3 * behindEvery},
		{409, answer.CodeNothingWorks, 3, true, time.Second},
		{409, answer.CodeNothingWorks, 1_000_000, false, workersBegin + time.Second},
		{409, "", 1, false, 0},
	} {
		t.Run(fmt.Sprintf("%s %d times", tt.code, tt.times), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, began := 0, time.Now()
				server := standIn{
					status: func() status.Sync { return status.Sync{} },
					start: func() (int, string) {
						if asked++; asked <= tt.times {
							return tt.status, tt.code
						}
						return http.StatusAccepted, ""
					},
					current: func() web.Run { return done },
				}
				e := &env{Process: Process{Stdout: io.Discard, Stderr: new(bytes.Buffer)}, ctx: t.Context()}
				cl := &client{base: "http://localhost", http: &http.Client{Transport: inProcess(server)}}
				_, _, err := e.syncShop(cl, "my-shop.myshopify.com", false, func(status.Sync) wish { return wish{kind: store.RunReconcile, drift: false} })
				if (err == nil) != tt.begins || time.Since(began) > tt.within {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}
