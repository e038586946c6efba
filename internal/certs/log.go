package certs

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"stockroom/internal/telemetry"
)

// logInto returns a log for certmagic that writes to ours. Strangers can cause lines by
// handshakes that fail, so all are lines of one message. Its debug lines are left out:
// they hold what goes between an authority and us.
func logInto(log *slog.Logger) *zap.Logger {
	return zap.New(core{telemetry.Lines(log)})
}

// core is what zap writes to.
type core struct{ log *slog.Logger }

func (c core) Enabled(level zapcore.Level) bool { return level > zapcore.DebugLevel }

func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{slog.New(c.log.Handler().WithAttrs(attrs(fields)))}
}

func (c core) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write writes what is of use to a person as a warning: that a certificate came, or why
// none did, we say ourselves.
func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelDebug
	if e.Level > zapcore.InfoLevel {
		level = slog.LevelWarn
	}
	all := append([]slog.Attr{slog.String("says", e.Message)}, attrs(fields)...)
	c.log.LogAttrs(context.Background(), level, "what certmagic has to say", all...)
	return nil
}

func (core) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	values := zapcore.NewMapObjectEncoder()
	var all []slog.Attr
	for _, f := range fields {
		f.AddTo(values)
		if value, is := values.Fields[f.Key]; is {
			all = append(all, slog.Any(f.Key, value))
		}
	}
	return all
}
