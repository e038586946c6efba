package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// replaceDamaged moves a damaged file aside, makes a fresh one and takes over
// what is sound in the old one. The file is never deleted.
func (s *Store) replaceDamaged(cause error) error {
	s.dropConn()
	now := time.Now().UTC()
	moved, err := s.quarantine(now)
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
	t := &tx{conn: s.conn, s: s, now: time.Now().UnixMilli()}
	if _, err := t.exec(`BEGIN IMMEDIATE`); err != nil {
		return classify(fmt.Errorf("keep shops: %w", err))
	}
	if err := t.keep(known); err != nil {
		s.rollback()
		return classify(fmt.Errorf("keep shops: %w", err))
	}
	if _, err := t.exec(`COMMIT`); err != nil {
		return classify(fmt.Errorf("keep shops: %w", err))
	}
	known.touched, known.open = false, map[productKey]difference{} // the fresh file has none
	s.settings = known
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

// quarantine renames products.db with its WAL; the shared-memory file is only
// an index and is removed.
func (s *Store) quarantine(now time.Time) (string, error) {
	base := s.path + ".damaged-" + now.Format("20060102T150405.000000000Z")
	if _, err := os.Stat(base); err == nil {
		return "", &UnavailableError{Cause: CauseIO, Err: fmt.Errorf("%s exists already", filepath.Base(base))}
	}
	if err := os.Rename(s.path, base); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fileError("move the damaged products.db", err)
	}
	if err := os.Rename(s.path+"-wal", base+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fileError("move the damaged write-ahead log", err)
	}
	if err := removeAll(s.path + "-shm"); err != nil {
		return "", fileError("remove the shared-memory file", err)
	}
	return base, fileError("sync the data dir", syncDir(filepath.Dir(s.path)))
}

// moveOrphans moves aside a WAL that was left without its database, and drops
// the shared-memory file.
func (s *Store) moveOrphans() error {
	if _, err := os.Stat(s.path + "-wal"); err == nil {
		base := s.path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000Z")
		if err := os.Rename(s.path+"-wal", base+"-wal"); err != nil {
			return fileError("move a write-ahead log without its database", err)
		}
	}
	return fileError("remove the shared-memory file", removeAll(s.path+"-shm"))
}

// dropConn throws the writer's connection and the readers away. After an I/O
// error nothing on the old handle can be trusted, and a moved file would still
// be written through it.
func (s *Store) dropConn() {
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
