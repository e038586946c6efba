package appliance

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"stockroom/internal/folder"
	"stockroom/internal/status"
)

// Work starts what works on the data dir: deliveries that wait, fetches, syncs
// and upkeep. ended is done when a worker ends by itself; stop ends them all and
// says why one failed. They outlive ctx, which only hands its values on.
func (a *Appliance) Work(ctx context.Context) (ended context.Context, stop func() error) {
	workers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	work, wctx := errgroup.WithContext(workers)
	work.Go(func() error { return a.intake.Run(wctx) })
	work.Go(func() error { return a.syncer.Run(wctx) })
	work.Go(func() error { return a.watchDir(wctx) })
	also := []func(context.Context){a.limiterRest, a.upkeep, a.watchSpace, a.watchFiles}
	if !a.opt.Manual { // a command says itself what it found
		also = append(also, a.watchStatus, a.notify.Run)
		if a.schedule.Every > 0 {
			also = append(also, a.schedule.Run)
		}
	}
	for _, do := range also {
		work.Go(func() error {
			do(wctx)
			return nil
		})
	}
	return wctx, func() error {
		cancel()
		return work.Wait()
	}
}

// statusEvery is how often the log looks whether the headline has changed, at most a
// hundredth of the time: with very many shops it looks less often.
const statusEvery = time.Second

// watchStatus writes a line whenever the headline says something else, in the
// words of the page, and shows whoever sends messages each account, until ctx ends. It looks first when the workers that begin
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
		if ctx.Err() == nil {
			a.notify.See(account)
		}
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

const (
	upkeepEvery = 5 * time.Second
	pruneEvery  = 24 * time.Hour
	filesEvery  = 2 * time.Second // between two looks at the names of the open files
)

// watchFiles looks whether the names of queue.db and state.db still lead to the
// open files, until ctx ends, so that a removed one is put back and a replaced one
// is said although nothing is written. It is apart from the other upkeep, which
// waits for the catalogue.
func (a *Appliance) watchFiles(ctx context.Context) {
	every(ctx, filesEvery, func() {
		look, cancel := context.WithTimeout(ctx, filesEvery)
		defer cancel()
		var taken []string
		for _, err := range []error{a.queue.Look(look), a.state.Look()} {
			if lost, ok := errors.AsType[*folder.LostError](err); ok && !lost.Dir && lost.Replaced {
				taken = append(taken, filepath.Base(lost.Path))
			}
		}
		a.taken.Store(taken)
	})
}

// every calls do again and again until ctx ends.
func every(ctx context.Context, pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// Taken are the files of which another one has taken the place.
func (a *Appliance) Taken() []string {
	taken, _ := a.taken.Load().([]string)
	return taken
}

// upkeep does from time to time what nobody waits for, until ctx ends: it notes
// the end of the change feed in state.db, so that a catalogue that lost commits
// is found out at the next start; puts right the disk reserve and admin.json;
// tells the catalogue what it could not be told; and drops the secrets
// of shops removed long ago.
func (a *Appliance) upkeep(ctx context.Context) {
	noted, pruned := int64(-1), time.Now()
	var unmended error
	every(ctx, upkeepEvery, func() {
		now := time.Now()
		err := a.dir.Mend()
		if err != nil && unmended == nil {
			a.log.Warn("a file of the data dir can't be put right", "error", err.Error())
		}
		unmended = err
		a.mirrorAgain(ctx)
		a.forgetHealed()
		a.settleRestore()
		if a.proved.Swap(false) {
			a.raise(ctx)
		} else if err := a.stores().NoteJobs(); err != nil {
			a.log.Debug("the end of the queue can't be noted now", "error", err.Error())
		}
		if seq := a.store.LastSeq(); seq != noted {
			if err := a.state.RaiseWatermark(seq, now); err != nil {
				a.log.Warn("the watermark can't be noted now", "error", err.Error())
			} else {
				noted = seq
			}
		}
		if now.Sub(pruned) < pruneEvery {
			return
		}
		pruned = now
		if err := a.state.Prune(now); err != nil {
			a.log.Warn("old secrets stay until tomorrow", "error", err.Error())
			return
		}
		a.refreshDirectory()
	})
}
