package appliance

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"stockroom/internal/folder"
)

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

// every calls do time and again until ctx ends.
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
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	noted, pruned := int64(-1), time.Now()
	var unmended error
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-tick.C:
		}
		err := a.dir.Mend()
		if err != nil && unmended == nil {
			a.log.Warn("a file of the data dir can't be put right", "error", err.Error())
		}
		unmended = err
		a.mirrorAgain(ctx)
		a.forgetHealed()
		if seq := a.store.LastSeq(); seq != noted {
			if err := a.state.RaiseWatermark(seq, now); err != nil {
				a.log.Warn("the watermark can't be noted now", "error", err.Error())
			} else {
				noted = seq
			}
		}
		if now.Sub(pruned) < pruneEvery {
			continue
		}
		pruned = now
		if err := a.state.Prune(now); err != nil {
			a.log.Warn("old secrets stay until tomorrow", "error", err.Error())
			continue
		}
		a.refreshDirectory()
	}
}
