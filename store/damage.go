package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"time"
)

// replaceDamaged moves a damaged file aside, makes a fresh one and takes over
// what is sound in the old one. The file is never deleted.
func (s *Store) replaceDamaged(cause error) error {
	now := time.Now().UTC()
	if runtime.GOOS == "windows" {
		s.dropConn() // what is open has to keep its name there
	}
	// SQLite copies no log into a file that was renamed, so what is left of a log
	// that was cut does no harm when the connections are closed.
	moved, err := s.quarantine(now)
	if CauseOf(err) == CauseLost {
		return err
	}
	s.dropConn()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.health.Quarantined, s.health.Reason, s.health.At = moved, cause.Error(), now
	s.mu.Unlock()
	s.metrics.quarantines.Inc()
	s.log.Error("products.db is damaged; it was moved aside and a fresh one is made", "moved_to", moved, "error", cause.Error())
	if s.replacing == nil {
		s.replacing = &replacement{known: s.settings}
	}
	s.replacing.moved = moved
	return s.openConn()
}

// replacement is what has to be done with the fresh file that takes a damaged
// one's place. It is kept until it was done: on a full disk the fresh file can
// only be made later.
type replacement struct {
	moved string   // where the damaged file is now
	known settings // the shops and selections that were in force
}

// replace finishes a replacement after the fresh file was opened.
func (s *Store) replace() error {
	r := s.replacing
	if r == nil {
		return nil
	}
	if err := s.keepSettings(r.known); err != nil {
		s.dropConn()
		return err
	}
	s.replacing = nil
	s.keepNumbering(r.moved)
	s.background.Go(func() { s.salvage(r.moved) })
	return nil
}

// keepSettings writes the shops and selections that were in force into the
// fresh file, so that nothing is synced under a wrong selection, and asks for a
// full sync of each shop. At the start of the process there are none; then the
// caller of Open knows them.
func (s *Store) keepSettings(known settings) error {
	if len(known.merchants) == 0 {
		return nil
	}
	if err := s.alone(s.conn, "keep shops", func(t *tx) error { return t.keep(known) }); err != nil {
		return err
	}
	known.touched, known.open = false, map[productKey]difference{} // the fresh file has none
	s.settings = known
	return nil
}

// alone changes the file in a transaction of its own, before requests are served.
func (s *Store) alone(c *conn, what string, change func(t *tx) error) error {
	t := &tx{conn: c, s: s, now: time.Now().UnixMilli()}
	_, err := t.exec(`BEGIN IMMEDIATE`)
	if err == nil {
		err = change(t)
	}
	if err == nil {
		_, err = t.exec(`COMMIT`)
	}
	if err != nil {
		_, _ = t.exec(`ROLLBACK`) // it may have been done already
		return classify(fmt.Errorf("%s: %w", what, err))
	}
	return nil
}

func (t *tx) keep(known settings) error {
	for shop, merchant := range known.merchants {
		if _, err := t.exec(`INSERT INTO shops (shop, merchant_id, added_at) VALUES (?, ?, ?)`, shop, orNull(merchant), t.now); err != nil {
			return err
		}
		if err := t.want(Wanted{Shop: shop, Kind: WantSync, Reason: "products.db was damaged and replaced"}); err != nil {
			return err
		}
	}
	for shop, sel := range known.selections {
		text, err := json.Marshal(sel)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO selections (shop, selection, changed_at) VALUES (?, ?, ?)`, shop, string(text), t.now); err != nil {
			return err
		}
	}
	return nil
}

// quarantine renames products.db with its journals; the shared-memory file is only
// an index and is removed.
func (s *Store) quarantine(now time.Time) (string, error) {
	dir, name := s.files.dir, s.files.name
	if _, err := s.files.look(false); err != nil {
		return "", err
	}
	base := name + ".damaged-" + now.Format(damagedAt)
	if _, err := dir.Info(base); !errors.Is(err, fs.ErrNotExist) {
		return "", &UnavailableError{Cause: CauseIO, Err: fmt.Errorf("%s exists already", base)}
	}
	if err := dir.Rename(name, base); err != nil {
		return "", fileError("move the damaged products.db", err)
	}
	s.files.forget(suffixes)
	if err := s.moveJournals(base); err != nil {
		return "", err
	}
	return dir.File(base), fileError("sync the data dir", dir.Sync())
}

const damagedAt = "20060102T150405.000000000Z"

// moveOrphans moves aside the journals that were left without their database, and
// drops the shared-memory file.
func (s *Store) moveOrphans() error {
	defer s.files.forget(suffixes)
	return s.moveJournals(s.files.name + ".damaged-" + time.Now().UTC().Format(damagedAt))
}

// moveJournals moves the write-ahead log, and the rollback journal that another program
// may have made: SQLite puts either into whatever has the name of the database.
func (s *Store) moveJournals(base string) error {
	dir, name := s.files.dir, s.files.name
	for _, suffix := range []string{logSuffix, "-journal"} {
		if err := dir.Rename(name+suffix, base+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError("move the journal of a database that was damaged or is gone", err)
		}
	}
	return fileError("remove the shared-memory file", dir.Remove(name+indexSuffix))
}

// dropConn throws the writer's connection and the readers away. After an I/O
// error nothing on the old handle can be trusted, and a moved file would still
// be written through it. The next connection may have another log and index:
// without a writer they are nobody's.
func (s *Store) dropConn() {
	s.files.forget(suffixes[1:])
	if s.conn != nil {
		if err := s.conn.close(); err != nil {
			s.log.Warn("closing a failed connection", "error", err.Error())
		}
		s.conn = nil
	}
	if db := s.readers.Swap(nil); db != nil {
		if err := db.Close(); err != nil {
			s.log.Warn("closing the readers of a failed file", "error", err.Error())
		}
	}
}
