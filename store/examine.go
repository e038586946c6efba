package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	examineAtOnce = 64 << 20         // bytes of a file that is looked through right after Open
	examineLater  = 10 * time.Second // a larger one has to wait for the first rush to be over
)

// examine looks through the whole file once after Open, beside the readers and
// the writer. SQLite finds damage only when it comes to the page, which for a
// product that nobody asks for may be never. A file found damaged is replaced
// by the writer, as if the writer had met the damage.
func (s *Store) examine() {
	size := s.files.size("")
	if size == 0 {
		return // not open yet, or just being replaced
	}
	if size > examineAtOnce {
		select {
		case <-time.After(examineLater):
		case <-s.life.Done():
			return
		}
	}
	before := s.Health().Quarantined
	found := s.integrity(s.life)
	if CauseOf(found) != CauseDamaged {
		if found != nil && s.life.Err() == nil {
			s.log.Debug("the file could not be looked through", "error", found.Error())
		}
		return
	}
	err := s.write(s.life, s.urgent, 1, func(t *tx) error {
		if s.Health().Quarantined != before {
			return nil // another file by now
		}
		return found
	})
	if err != nil && CauseOf(err) != CauseDamaged {
		s.log.Warn("damage was found and the file could not be replaced yet", "error", found.Error())
	}
}

// Check reads the whole file and returns an error whose CauseOf is CauseDamaged
// when SQLite's own check finds fault with it. It takes a while for a large one.
func (s *Store) Check(ctx context.Context) error { return s.integrity(ctx) }

// integrity returns a CauseDamaged error for a file that fails SQLite's own
// check, indexes against tables included.
func (s *Store) integrity(ctx context.Context) (err error) {
	s.ownReads.Add(1)
	defer s.ownReads.Add(-1)
	db := sql.OpenDB(connector{s.files, readerQuery()})
	defer func() { err = errors.Join(err, db.Close()) }()
	var text string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&text); err != nil {
		return classify(fmt.Errorf("check products.db: %w", err))
	}
	if text != "ok" {
		return &UnavailableError{Cause: CauseDamaged, Err: fmt.Errorf("check products.db: %s", text)}
	}
	return nil
}
