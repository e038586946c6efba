//go:build unix

package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestALogThatNobodyReadsHoldsUpNothing: both outputs are pipes that are not read
// any more, or whose reader is gone. Deliveries are answered, and a signal stops.
func TestALogThatNobodyReadsHoldsUpNothing(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]os.Signal{"not read": syscall.SIGTERM, "closed": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			cmd := exec.Command(binary(t), "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json")
			cmd.Env = cleanEnv(shopEnv()...)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd.Stdout, cmd.Stderr = w, w
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
			s := &server{tb: t, Dir: dir, PID: cmd.Process.Pid, client: &http.Client{Timeout: patience}}
			in := bufio.NewReader(r)
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(line, `"serving"`) {
					s.announced(line)
					break
				}
			}
			if name == "closed" {
				r.Close()
			}
			const deliveries = 1500 // far more lines than a pipe holds
			for i := range deliveries {
				if got := s.post(delivery{Body: fmt.Appendf(nil, `{"id":%d,"title":"T","updated_at":"2026-01-01T00:00:00Z","variants":[]}`, i+1)}); got.Status != http.StatusOK {
					t.Fatalf("delivery %d: %s", i, got)
				}
			}
			_ = cmd.Process.Signal(stop)
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("it does not stop")
			}
			if code := cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
