package appliance

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"stockroom/internal/datadir"
	"stockroom/web"
)

// dirEvery is the pause between two looks whether the data dir is still there.
const dirEvery = time.Second

// noteLost ends the work when err says that the data dir, or its lock, is not the
// one that was opened. Nothing may be written or removed any more by its path.
func (a *Appliance) noteLost(err error) {
	if why := datadir.Lost(a.dir.Path(), err); why != nil {
		a.loseOnce.Do(func() {
			a.raw.Error(why.Error())
			a.lose(why)
		})
	}
}

// noteCatalogueLost notes in state.db that a file of the catalogue was taken away, or
// is there again. Should the process end now, the next start may open another file.
func (a *Appliance) noteCatalogueLost(lost bool) {
	if err := a.state.NoteCatalogueLost(lost); err != nil {
		a.log.Warn("what became of products.db can't be noted now", "error", err.Error())
	}
}

// afterLoss is a log without the errors that follow from the loss of the data dir:
// one line tells of that.
type afterLoss struct {
	slog.Handler
	dir *datadir.Dir
}

func (l afterLoss) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError && datadir.Lost(l.dir.Path(), l.dir.Folder().Check()) != nil {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

func (l afterLoss) WithAttrs(list []slog.Attr) slog.Handler {
	return afterLoss{l.Handler.WithAttrs(list), l.dir}
}

func (l afterLoss) WithGroup(name string) slog.Handler {
	return afterLoss{l.Handler.WithGroup(name), l.dir}
}

// unlessLost answers with h until the data dir is lost, then with 503 and why.
func (a *Appliance) unlessLost(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.lost.Err() != nil {
			web.Stopping(context.Cause(a.lost).Error()+".").ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// watchDir looks whether the data dir is still there until ctx ends, and returns
// what it says when it is not.
func (a *Appliance) watchDir(ctx context.Context) error {
	told := false
	go every(ctx, dirEvery, func() { // apart: a disk that hangs keeps no stop waiting
		err := a.dir.Folder().Check()
		if ctx.Err() != nil {
			return
		}
		a.noteLost(err)
		if err != nil && a.lost.Err() == nil && !told { // no proof
			a.log.Warn("it can't be told whether the data dir is still at its path", "error", err.Error())
		}
		told = err != nil
	})
	select {
	case <-ctx.Done():
		return nil
	case <-a.lost.Done():
		return context.Cause(a.lost)
	}
}
