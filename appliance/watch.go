package appliance

import (
	"context"
	"log/slog"
	"time"

	"stockroom/status"
)

// statusEvery is how often the log looks whether the headline has changed.
const statusEvery = time.Second

// watchStatus writes a line whenever the headline says something else, in the
// words of the page, until ctx ends.
func (a *Appliance) watchStatus(ctx context.Context) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	var was status.Line
	for {
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
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
