package appliance

import (
	"context"
	"log/slog"
	"time"

	"stockroom/internal/status"
)

// statusEvery is how often the log looks whether the headline has changed, at most a
// hundredth of the time: with very many shops it looks less often.
const statusEvery = time.Second

// watchStatus writes a line whenever the headline says something else, in the
// words of the page, until ctx ends. It looks first when the workers that begin
// beside it have planned what they do.
func (a *Appliance) watchStatus(ctx context.Context) {
	var was status.Line
	t := time.NewTimer(statusEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		began := time.Now()
		account := a.status.Read(ctx, time.Now())
		if h := account.Head; ctx.Err() == nil && (h.Code != was.Code || h.Shop != was.Shop) {
			level := slog.LevelInfo
			switch h.Mood {
			case status.Wait:
				level = slog.LevelWarn
			case status.Bad:
				level = slog.LevelError
			}
			a.log.Log(ctx, level, "status", "code", h.Code, "says", h.Sentence(account.Now), "next", h.Next.Text(account.Now), "was", was.Code)
			was = h
		}
		t.Reset(max(statusEvery, 100*time.Since(began)))
	}
}
