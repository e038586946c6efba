package cli

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/config"
)

// TestAStopIsCutShortWhateverHangs: a stop that comes to its end, one that hangs, and
// one of which nobody can be told.
func TestAStopIsCutShortWhateverHangs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ends   time.Duration // when the stop comes to its end, 0 for never
		unread bool          // nobody reads what is said
		after  time.Duration // of the exit, 0 for none
		says   string
	}{
		{"it ends", 8 * time.Second, false, 0, ""},
		{"it hangs", 0, false, stopWithin, "stockroom: stopped at once, as it still waited for products.db; nothing acknowledged is lost\n"},
		{"it hangs and nobody hears of it", 0, true, stopWithin + flushFor, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				r, w := io.Pipe()
				defer r.Close()
				began, after := time.Now(), time.Duration(0)
				s := &stopper{stderr: &said, flush: func() {}, exit: func(code int) {
					if after = time.Since(began); code != config.ExitFailed {
						t.Errorf("exit code %d", code)
					}
				}}
				if tt.unread {
					s.stderr = w
				}
				s.waitsFor("requests in flight")
				time.Sleep(6 * time.Second)
				s.waitsFor("products.db")
				if tt.ends > 0 {
					time.Sleep(tt.ends - 6*time.Second)
					s.ended()
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if after != tt.after || said.String() != tt.says {
					t.Errorf("exit after %v, said %q", after, said.String())
				}
			})
		})
	}
}
