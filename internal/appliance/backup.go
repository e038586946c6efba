package appliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/backup"
	"stockroom/internal/datadir"
)

// takeBackup copies all stores at one moment, one backup at a time: each takes as much
// room in the data dir as they do.
func (a *Appliance) takeBackup(ctx context.Context, secrets bool) (*backup.Copies, error) {
	if !a.backing.TryLock() {
		return nil, &answer.Refusal{Status: http.StatusServiceUnavailable, RetryAfter: 10,
			Title:  "Another backup is being made",
			Detail: "Another backup is being made; try again when it is done."}
	}
	defer a.backing.Unlock()
	return backup.Take(ctx, backup.Source{
		Stores: a.stores(), Folder: a.dir.Folder(), Version: a.opt.Version,
		Space: func() (datadir.Space, error) { return a.dir.Space(datadir.SpaceWarn{}) },
	}, secrets)
}

// openSchedule says when backups are made, and where.
func (a *Appliance) openSchedule() {
	s, own := a.opt.Settings, a.dir.File(datadir.BackupsFolder)
	a.schedule.Every, a.schedule.Keep, a.schedule.Log = s.BackupEvery, s.BackupKeep, a.log
	a.schedule.Dir, a.schedule.Own, a.schedule.Data = cmp.Or(s.BackupDir, own), own, a.dir.Path()
	a.schedule.Take, a.schedule.Need = a.takeBackup, a.store.Size
	if s.BackupEvery <= 0 {
		return
	}
	a.set.NewGauge(`stockroom_backup_age_seconds`, func() float64 {
		if last := a.schedule.Standing().Last; !last.IsZero() {
			return time.Since(last).Seconds()
		}
		return math.Inf(1)
	})
	a.set.NewGauge(`stockroom_backup_bytes`, func() float64 { return float64(a.schedule.Standing().Bytes) })
	a.set.NewGauge(`stockroom_backups_failed_total`, func() float64 { return float64(a.schedule.Standing().Failed) })
}

func (a *Appliance) stores() backup.Stores {
	return backup.Stores{Store: a.store, Queue: a.queue, State: a.state, Version: a.opt.Version}
}

// olderWords says what became of a file of which an earlier copy was put in its place.
const olderWords = "it is older than the other files, so an earlier copy was put in its place"

// lookForRollBack looks whether a store was replaced by an older copy of itself, and has
// that healed as other losses are.
func (a *Appliance) lookForRollBack(ctx context.Context) error {
	older, seq, err := a.stores().RolledBack(ctx)
	if err != nil {
		a.agesUnknown = true
		a.log.Warn("whether a file was replaced by an older copy can't be told before the next start",
			"error", err.Error())
	}
	for _, name := range older {
		a.log.Error("a file is older than the others: an earlier copy was put in its place", "file", a.dir.File(name))
		switch name {
		case datadir.ProductsFile:
			a.loss = a.started.UnixMilli()
			a.productsLost = "products.db lacks what was stored since: " + olderWords + "."
			err = errors.Join(a.state.RaiseWatermark(seq, a.started), a.store.NumberFrom(ctx, seq))
		case datadir.QueueFile:
			err = a.queue.NoteLoss(ctx, olderWords)
		case datadir.StateFile:
			a.stateOlder = !slices.Contains(older, datadir.ProductsFile)
			err = a.state.NoteOlder(olderWords, a.started)
		}
		if err != nil {
			return fmt.Errorf("note that %s was replaced by an older copy: %w", name, err)
		}
	}
	return nil
}

// unclosedWords say why the shops are compared after products.db lost its log.
const unclosedWords = "Stockroom had ended unexpectedly, and the log of products.db is gone, as after another file " +
	"was put in its place, so what was stored last may be missing"

// hasLog reports whether changes lie beside products.db. A program that only read it leaves
// an empty log.
func (a *Appliance) hasLog() bool {
	info, err := a.dir.Folder().Info(datadir.ProductsFile + "-wal")
	return err == nil && info.Size() > 0
}

// settleUnclosed has the shops compared when products.db is not as the last run left it.
func (a *Appliance) settleUnclosed() {
	if _, restored := backup.RestoredFrom(a.state); !a.unclosed || restored {
		a.unclosed = false
		return
	}
	err := a.syncer.Owe(unclosedWords, time.Now())
	a.unclosed = err != nil
	if err != nil {
		a.log.Warn("that products.db has to be compared can't be noted now", "error", err.Error())
	}
}

// noteOpen notes that products.db is in use, now that its log has something in it.
func (a *Appliance) noteOpen() {
	if err := backup.NoteOpen(a.state, true); err != nil {
		a.log.Warn("a products.db that is replaced might not be noticed at the next start", "error", err.Error())
	}
}

// closeCatalogue closes products.db and notes it.
func (a *Appliance) closeCatalogue() error {
	err := a.store.Close()
	if err == nil && a.state != nil && !a.unclosed {
		err = backup.NoteOpen(a.state, false)
	}
	return err
}

// raiseFor is how long a stop waits for a new generation.
const raiseFor = 2 * time.Second

// raise begins a new generation of the stores, see backup.Stores.
func (a *Appliance) raise(ctx context.Context) {
	if a.agesUnknown { // it would hide what could not be told
		return
	}
	if err := a.stores().Raise(ctx); err != nil {
		a.log.Warn("an older copy of a file might not be noticed at the next start", "error", err.Error())
	}
}

// settleRestore does what follows from a restore, if there was one since the last start:
// everything has to be compared with the shops. What can't be noted now is tried again.
func (a *Appliance) settleRestore() {
	at, restored := backup.RestoredFrom(a.state)
	if !restored {
		return
	}
	err := a.syncer.Restored(at, time.Now())
	if err == nil {
		err = backup.Settled(a.state)
	}
	if err != nil {
		a.log.Warn("what has to be compared after a restore can't be noted now", "error", err.Error())
		return
	}
	a.log.Info("restored from a backup: everything is compared with the shops", "made_at", at.Format(time.RFC3339))
}
