package appliance

import (
	"context"
	"time"
)

const (
	upkeepEvery = 5 * time.Second
	pruneEvery  = 24 * time.Hour
)

// upkeep does from time to time what nobody waits for, until ctx ends: it notes
// the end of the change feed in state.db, so that a catalogue that lost commits
// is found out at the next start; makes the disk reserve again when there is
// space; tells the catalogue what it could not be told; and drops the secrets
// of shops removed long ago.
func (a *Appliance) upkeep(ctx context.Context) {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	noted, pruned := int64(-1), time.Now()
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-tick.C:
		}
		if a.dir.BallastReleased() {
			if err := a.dir.RestoreBallast(); err != nil {
				a.log.Debug("the reserve can't be made again yet", "error", err.Error())
			}
		}
		a.mirrorAgain(ctx)
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
