package telemetry

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	linesBurst   = 10
	linesSecond  = 2
	linesCounted = time.Minute // after which what was left out is counted automatically
	longestValue = 2 << 10
)

// Lines returns a logger for lines that a stranger can cause, so that no one of
// them fills the disk. Each message has ten lines at once, then two a second. The
// next one tells how many were left out as not_listed_before; when none follows, a
// line says so within a minute. Long values are cut. A message must be a constant.
func Lines(to *slog.Logger) *slog.Logger {
	return slog.New(lines{to.Handler(), new(sync.Map)})
}

// ErrorLog returns a log for what net/http has to say, as lines of one message.
func ErrorLog(to *slog.Logger, message string) *log.Logger {
	return log.New(errorLog{Lines(to), message}, "", 0)
}

type errorLog struct {
	lines   *slog.Logger
	message string
}

func (e errorLog) Write(p []byte) (int, error) {
	e.lines.Warn(e.message, "says", strings.TrimSpace(string(p)))
	return len(p), nil
}

type lines struct {
	slog.Handler
	kinds *sync.Map // message -> *lineKind
}

// lineKind is what is known of one message.
type lineKind struct {
	limit *rate.Limiter

	mu    sync.Mutex
	left  int  // out, since the last line
	armed bool // they will be counted automatically
}

func (l lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lines{l.Handler.WithAttrs(attrs), l.kinds}
}

func (l lines) WithGroup(name string) slog.Handler { return lines{l.Handler.WithGroup(name), l.kinds} }

// Handle writes a line, or counts it.
func (l lines) Handle(ctx context.Context, r slog.Record) error {
	found, _ := l.kinds.LoadOrStore(r.Message, &lineKind{limit: rate.NewLimiter(linesSecond, linesBurst)})
	k := found.(*lineKind)
	k.mu.Lock()
	if !k.limit.AllowN(time.Now(), 1) {
		k.left++
		if !k.armed {
			k.armed = true
			time.AfterFunc(linesCounted, func() { l.count(k, r.Level, r.Message) })
		}
		k.mu.Unlock()
		return nil
	}
	left := k.left
	k.left = 0
	k.mu.Unlock()
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.Kind() == slog.KindString && len(a.Value.String()) > longestValue {
			a.Value = slog.StringValue(a.Value.String()[:longestValue])
		}
		out.AddAttrs(a)
		return true
	})
	if left > 0 {
		out.AddAttrs(slog.Int("not_listed_before", left))
	}
	return l.Handler.Handle(ctx, out)
}

// count tells how many lines were left out when no other line did.
func (l lines) count(k *lineKind, level slog.Level, message string) {
	k.mu.Lock()
	left := k.left
	k.left, k.armed = 0, false
	k.mu.Unlock()
	if left > 0 {
		slog.New(l.Handler).Log(context.Background(), level, "lines were left out of this log",
			"which_say", message, "not_listed_before", left)
	}
}
