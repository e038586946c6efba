package store

import (
	"context"
	"database/sql/driver"
	"os"
	"time"

	"modernc.org/sqlite"
)

const (
	checkpointLook  = 64                     // groups between two looks at the WAL
	checkpointAt    = 4 << 20                // bytes of WAL below which it may stay
	checkpointPause = 250 * time.Millisecond // least time between two checkpoints
	walKept         = 64 << 20               // bytes of WAL file left on disk after a burst
	checkpointIdle  = 5 * time.Second        // after which any WAL is copied back
)

// checkpointer copies the WAL back into the database on a connection of its
// own, beside the writer, so that a commit never waits for it. What the writer
// added meanwhile is small; the writer copies that last bit itself when
// nothing waits, after which SQLite starts the WAL anew.
func (s *Store) checkpointer() {
	idle := time.NewTicker(checkpointIdle)
	defer idle.Stop()
	done := int64(-1) // groups that were committed before the last checkpoint
	for {
		least := int64(checkpointAt)
		select {
		case <-s.stop:
			return
		case <-s.wakeCheckpoint:
		case <-idle.C:
			least = 1
			if s.groups.Load() == done {
				continue // nothing came since; the file itself stays
			}
		}
		groups, size := s.groups.Load(), s.walSize()
		if size < least {
			continue
		}
		err := s.checkpoint()
		if err == nil && size > checkpointAt {
			err = s.checkpoint() // what came meanwhile, so that the writer's part stays small
		}
		if err != nil {
			s.log.Debug("checkpoint", "error", err.Error())
			continue
		}
		done = groups
		select {
		case s.finishCheckpoint <- struct{}{}:
		case <-s.stop:
			return
		}
		select {
		case <-time.After(checkpointPause):
		case <-s.stop:
			return
		}
	}
}

func (s *Store) walSize() int64 {
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s *Store) checkpoint() error {
	connector, err := sqlite.NewConnector(writerDSN(s.path))
	if err != nil {
		return err
	}
	c, err := connect(context.Background(), connector)
	if err != nil {
		return err
	}
	var row [3]driver.Value
	_, err = c.one(`PRAGMA wal_checkpoint(PASSIVE)`, row[:])
	if e := c.close(); err == nil {
		err = e
	}
	return err
}

// resetWAL copies the last frames back. PASSIVE never waits for a reader. When
// a burst is over, the file is cut too; during one that would stall commits.
func (s *Store) resetWAL() {
	if s.conn == nil {
		return
	}
	pragma := `PRAGMA wal_checkpoint(PASSIVE)`
	if quiet := time.Since(time.UnixMilli(s.commitAt.Load())); quiet > checkpointPause && s.walSize() > walKept {
		pragma = `PRAGMA wal_checkpoint(TRUNCATE)`
	}
	var row [3]driver.Value
	if _, err := s.conn.one(pragma, row[:]); err != nil {
		if err := classify(err); CauseOf(err) != CauseLocked {
			s.noteFailure(err)
			s.recoverFrom(err)
		}
	}
}
