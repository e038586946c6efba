package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
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

// CheckRows compares each product with the hash that was stored with it. It waits as
// long as it reads, so that whoever uses the file gets half of the disk at least.
func (s *Store) CheckRows(ctx context.Context) (read int64, unsound []string, err error) {
	s.ownReads.Add(1)
	defer s.ownReads.Add(-1)
	c, err := s.files.connect(ctx, readerQuery())
	if err != nil {
		return 0, nil, classify(fmt.Errorf("check the rows: %w", err))
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for last := int64(0); ctx.Err() == nil; {
		began := time.Now()
		var ids []int64
		// Both reads of a row are of one moment.
		err := c.script("BEGIN")
		if err == nil {
			err = c.each(`SELECT id FROM products WHERE id > ? ORDER BY id LIMIT 100`, 1, func(row []driver.Value) error {
				ids = append(ids, asInt(row[0]))
				return nil
			}, last)
		}
		for _, id := range ids {
			if _, e := readSalvaged(c, id); e != nil {
				unsound = append(unsound, e.Error())
			}
		}
		if err = errors.Join(err, c.script("COMMIT")); err != nil || len(ids) == 0 {
			return read, unsound, classify(err)
		}
		read, last = read+int64(len(ids)), ids[len(ids)-1]
		select {
		case <-time.After(time.Since(began)):
		case <-ctx.Done():
		}
	}
	return read, unsound, ctx.Err()
}

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
