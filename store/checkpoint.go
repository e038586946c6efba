package store

import (
	"context"
	"database/sql/driver"
	"time"
)

const (
	checkpointLook  = 64                     // groups between two looks at the WAL
	checkpointAt    = 4 << 20                // bytes of WAL below which it may stay
	checkpointPause = 250 * time.Millisecond // least time between two checkpoints
	walKept         = 64 << 20               // bytes of WAL file left on disk after a burst
	checkpointIdle  = 5 * time.Second        // after which any WAL is copied back
)

// walLimits are walKept and checkpointIdle.
type walLimits struct {
	kept int64
	idle time.Duration
}

func (l walLimits) withDefaults() walLimits {
	if l.kept <= 0 {
		l.kept = walKept
	}
	if l.idle <= 0 {
		l.idle = checkpointIdle
	}
	return l
}

// checkpointer copies the WAL back into the database on a connection of its
// own, beside the writer, so that a commit never waits for it. What the writer
// added meanwhile is small; the writer copies that last bit itself when
// nothing waits, after which SQLite starts the WAL from its beginning again.
func (s *Store) checkpointer() {
	idle := time.NewTicker(s.opt.wal.idle)
	defer idle.Stop()
	done := int64(-1) // groups that were committed before the last checkpoint
	for {
		least := int64(checkpointAt)
		select {
		case <-s.life.Done():
			return
		case <-s.wakeCheckpoint:
		case <-idle.C:
			least = 1
			// When nothing came since, only a WAL that is held or could not be cut is of interest.
			if s.groups.Load() == done && !s.logHeld() && s.walSize() <= s.opt.wal.kept {
				continue
			}
		}
		groups, size := s.groups.Load(), s.walSize()
		if size < least {
			continue
		}
		err := s.checkpoint(patience, `PRAGMA wal_checkpoint(PASSIVE)`)
		if err == nil && size > checkpointAt {
			err = s.checkpoint(patience, `PRAGMA wal_checkpoint(PASSIVE)`) // what came meanwhile, so that the writer's part stays small
		}
		if err != nil {
			s.noteLog(false, err)
			continue
		}
		done = groups
		select {
		case s.finishCheckpoint <- struct{}{}:
		case <-s.life.Done():
			return
		}
		select {
		case <-time.After(checkpointPause):
		case <-s.life.Done():
			return
		}
	}
}

func (s *Store) walSize() int64 { return s.files.size(logSuffix) }

// Size is how many bytes a copy of the catalogue takes at most.
func (s *Store) Size() int64 { return s.files.size("") + s.walSize() }

func (s *Store) logHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health.Log.Held
}

// checkpoint runs pragma on a connection of its own, which waits so long for locks.
func (s *Store) checkpoint(busy time.Duration, pragma string) error {
	c, err := s.files.connect(context.Background(), writerQuery(busy))
	if err != nil {
		return err
	}
	var row [3]driver.Value
	_, err = c.one(pragma, row[:])
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
	s.progress.to(stepSync)
	defer s.progress.to(stepIdle)
	var row [3]driver.Value
	err := s.check(0)
	if err == nil {
		_, err = s.conn.one(`PRAGMA wal_checkpoint(PASSIVE)`, row[:])
	}
	if err != nil {
		if err := classify(err); CauseOf(err) != CauseLocked {
			s.noteFailure(err)
			s.recoverFrom(err)
		}
		return
	}
	s.noteLog(asInt(row[0]) != 0 || asInt(row[2]) < asInt(row[1]), nil)
	if quiet := time.Since(time.UnixMilli(s.commitAt.Load())); quiet <= checkpointPause || s.walSize() <= s.opt.wal.kept {
		return
	}
	// The writer's own connection would wait for a reader, and with it the
	// deliveries. A cut that a reader stops is tried again.
	if err := s.fault("before log cut"); err != nil {
		return
	}
	// Whether a reader stopped it is known already.
	if err := s.checkpoint(0, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		s.noteLog(false, err)
	}
}

// Log is the write-ahead log of products.db, and what keeps it long.
type Log struct {
	Bytes int64
	// Held: since then, when not before, a reader of another program keeps it from
	// being copied whole. Litestream is one; it copies and cuts the log itself.
	Held       bool
	Litestream bool
	Since      time.Time
	Cause      Cause // why copying it fails, "" when it does not
}

// noteLog notes how a copy of the log ended; only the writer, when all others are
// done, learns whether a reader held it. Readers of our own end.
func (s *Store) noteLog(held bool, err error) {
	db := s.readers.Load()
	if held && (s.ownReads.Load() > 0 || db != nil && db.Stats().InUse > 0) {
		return
	}
	l := Log{Held: held, Cause: CauseOf(classify(err)), Since: time.Now()}
	if held {
		n, err := s.conn.count(`SELECT count(*) FROM sqlite_schema WHERE name IN ('_litestream_seq', '_litestream_lock')`)
		l.Litestream = err == nil && n > 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if was := s.health.Log; was.Held == held && was.Cause == l.Cause && was.Litestream == l.Litestream {
		return
	}
	s.health.Log = l
}
