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
)

// CopyTo writes one consistent copy of the catalogue to path while it is in
// use, mode 0600, synced. The file must not exist; an unfinished copy is
// removed. Readers and the writer go on meanwhile.
func (s *Store) CopyTo(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already; choose another name", path)
	}
	// query_only would refuse to write the copy, so this takes a connection of
	// its own.
	db, err := sql.Open("sqlite", dsn(s.path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(250)"}}))
	if err != nil {
		return fmt.Errorf("open products.db: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("create the copy: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, removeAll(path))
		}
	}()
	// VACUUM INTO accepts an existing empty file, so the rights above hold.
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return classify(fmt.Errorf("copy products.db: %w", err))
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the copy: %w", err)
	}
	return syncDir(filepath.Dir(path))
}
