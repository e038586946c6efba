package telemetry_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/telemetry"
)

// Ten lines of a message at once, then two a second, and each that is left out is
// counted once: by the next line, or by one of its own.
func TestLinesAreFewAndThoseLeftOutAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out sharedBuffer
		lines := telemetry.Lines(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
		step := func(want int, parts ...string) {
			t.Helper()
			synctest.Wait()
			text := out.String()
			if n := strings.Count(text, "\n"); n != want {
				t.Errorf("%d lines, want %d:\n%s", n, want, text)
			}
			for _, part := range parts {
				if !strings.Contains(text, part) {
					t.Errorf("no %q in\n%s", part, text)
				}
			}
			out.Reset()
		}
		for range 1000 {
			lines.Warn("refused", "shop", "a")
			lines.Debug("refused") // below the level: it counts for nothing
		}
		step(10, "msg=refused shop=a\n")
		lines.With("from", "b").Warn("another")
		step(1, "msg=another from=b\n")
		time.Sleep(time.Second)
		for range 500 {
			lines.Warn("refused", "shop", "a")
		}
		step(2, "msg=refused shop=a not_listed_before=990\n", "msg=refused shop=a\n")
		time.Sleep(58 * time.Second)
		step(0)
		time.Sleep(time.Second)
		step(1, `level=WARN msg="lines were left out of this log" which_say=refused not_listed_before=498`)
		time.Sleep(time.Hour)
		step(0)
		lines.Warn("refused", "path", strings.Repeat("/", 32<<10))
		if n := out.Len(); n > 3<<10 || strings.Contains(out.String(), "not_listed_before") {
			t.Errorf("%d bytes: %.100s", n, &out)
		}
		out.Reset()
		server := telemetry.ErrorLog(slog.New(slog.NewJSONHandler(&out, nil)), "the web server")
		for i := range 1000 {
			server.Printf("http: panic serving %d: no\nstack", i)
		}
		step(10, `"msg":"the web server","says":"http: panic serving 0: no\nstack"}`)
	})
}

// sharedBuffer is written to by timers too.
type sharedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sharedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sharedBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *sharedBuffer) Len() int { return len(s.String()) }

func (s *sharedBuffer) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}
