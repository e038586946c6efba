package appliance

import (
	"context"
	"net/http"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/backup"
	"stockroom/internal/datadir"
)

// takeBackup copies all stores at one moment, one backup at a time: each takes as much
// room in the data dir as they do.
func (a *Appliance) takeBackup(ctx context.Context, secrets bool) (*backup.Copies, error) {
	if !a.backing.TryLock() {
		return nil, &answer.Refusal{Status: http.StatusServiceUnavailable, Title: "Another backup is being made", RetryAfter: 10,
			Detail: "Another backup is being made; try again when it is done."}
	}
	defer a.backing.Unlock()
	return backup.Take(ctx, backup.Source{
		Store: a.store, Queue: a.queue, State: a.state, Folder: a.dir.Folder(), Version: a.opt.Version,
		Space: func() (datadir.Space, error) { return a.dir.Space(datadir.SpaceWarn{}) },
	}, secrets)
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
