package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"stockroom/internal/folder"
)

// CopyTo writes one consistent copy of the catalogue to path while it is in
// use, mode 0600, synced. The file must not exist; an unfinished copy is
// removed. Readers and the writer go on meanwhile. It returns how many products
// are in it.
func (s *Store) CopyTo(ctx context.Context, path string) (products int64, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s exists already; choose another name", path)
	}
	// query_only would refuse to write the copy, so this takes a connection of
	// its own.
	s.ownReads.Add(1)
	defer s.ownReads.Add(-1)
	db := sql.OpenDB(connector{s.files, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(250)"}}})
	db.SetMaxOpenConns(1) // the copy is attached to it below
	defer func() { err = errors.Join(err, db.Close()) }()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return 0, fmt.Errorf("create the copy: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	// VACUUM INTO accepts an existing empty file, so the rights above hold.
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return 0, classify(fmt.Errorf("copy products.db: %w", err))
	}
	if err := f.Sync(); err != nil {
		return 0, fmt.Errorf("sync the copy: %w", err)
	}
	if _, err := db.ExecContext(ctx, `ATTACH ? AS made`, path); err != nil {
		return 0, fmt.Errorf("look into the copy: %w", err)
	}
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM made.products`).Scan(&products); err != nil {
		return 0, fmt.Errorf("look into the copy: %w", err)
	}
	return products, folder.SyncPath(filepath.Dir(path))
}
