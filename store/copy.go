package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
)

// CopyTo writes one consistent copy of the catalogue to path while it is in
// use, mode 0600, synced. The file must not exist; an unfinished copy is
// removed. Readers and the writer go on meanwhile. It returns how many products
// are in it.
func (s *Store) CopyTo(ctx context.Context, path string) (products int64, err error) {
	// query_only would refuse to write the copy, so this takes a connection of
	// its own.
	s.ownReads.Add(1)
	defer s.ownReads.Add(-1)
	db := sql.OpenDB(connector{s.files, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(250)"}}})
	db.SetMaxOpenConns(1) // the copy is attached to it below
	defer func() { err = errors.Join(err, db.Close()) }()
	err = intoNew(path, func() error {
		// VACUUM INTO accepts an existing empty file, so its rights hold.
		if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, `ATTACH ? AS made`, path); err != nil {
			return fmt.Errorf("look into the copy: %w", err)
		}
		return db.QueryRowContext(ctx, `SELECT count(*) FROM made.products`).Scan(&products)
	})
	return products, err
}
