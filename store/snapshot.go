package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"stockroom/internal/folder"
)

// Snapshot is the catalogue as it was at one moment. Readers and the writer go on
// meanwhile; the write-ahead log can't be cut until Close.
type Snapshot struct {
	s *Store
	c *conn
}

// Snapshot makes a snapshot between two commits, and calls also, which takes as short
// as can be, before the next commit begins.
func (s *Store) Snapshot(ctx context.Context, also func() error) (*Snapshot, error) {
	s.ownReads.Add(1)
	snap := &Snapshot{s: s}
	// query_only would refuse to write the copy.
	c, err := s.files.connect(ctx, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(250)"}})
	if err != nil {
		s.ownReads.Add(-1)
		return nil, classify(fmt.Errorf("read products.db: %w", err))
	}
	snap.c = c
	// What has begun is waited for: whoever called must not give up what also uses.
	err = s.writeAlone(context.WithoutCancel(ctx), func(*tx) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.do("begin to read products.db", `BEGIN`); err != nil {
			return err
		}
		// From here on it reads what is there now.
		if _, err := c.count(`SELECT count(*) FROM sqlite_schema`); err != nil {
			return err
		}
		return also()
	})
	if err != nil {
		return nil, errors.Join(err, snap.Close())
	}
	return snap, nil
}

// Close ends the snapshot.
func (n *Snapshot) Close() error {
	n.s.ownReads.Add(-1)
	return n.c.close()
}

// copyPages is how many pages are copied between two looks at the context.
const copyPages = 1024

// CopyTo writes the snapshot to path, a database of its own, mode 0600, synced. The
// file must not exist; an unfinished copy is removed.
func (n *Snapshot) CopyTo(ctx context.Context, path string) error {
	return intoNew(path, func() error {
		base, err := n.c.dc.(interface {
			NewBackup(to string) (*sqlite.Backup, error)
		}).NewBackup(dsn(path, url.Values{"mode": {"rw"}, "_pragma": {"journal_mode(OFF)", "synchronous(OFF)"}}))
		for more := err == nil; more && err == nil; {
			if err = ctx.Err(); err == nil {
				more, err = base.Step(copyPages)
			}
		}
		if base != nil {
			err = errors.Join(err, base.Finish())
		}
		return err
	})
}

// intoNew has write fill a new file at path, which no name may lead to yet, and syncs
// it; after an error there is none.
func intoNew(path string, write func() error) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already; choose another name", path)
	}
	if err != nil {
		return fmt.Errorf("create the copy: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	if err := write(); err != nil {
		return classify(fmt.Errorf("copy products.db: %w", err))
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the copy: %w", err)
	}
	return folder.SyncPath(filepath.Dir(path))
}

// Copied is what a copy of the catalogue holds.
type Copied struct {
	Schema   int64 // number of the newest migration in it
	Products int64
	Seq      int64 // of the newest change
	Shops    []string
}

// Examine reads a whole copy of the catalogue, which nobody uses, and tells what it
// holds. The error's CauseOf is CauseDamaged when it is not sound; a *folder.NewerError.
func Examine(ctx context.Context, dir *folder.Folder, name string) (found Copied, err error) {
	files := newDatabase(dir, name)
	c, err := files.connect(ctx, url.Values{"mode": {"ro"}, "immutable": {"1"}})
	if err != nil {
		return found, classify(fmt.Errorf("look into %s: %w", name, err))
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for _, q := range []struct {
		sql string
		to  *int64
	}{
		{`PRAGMA user_version`, &found.Schema},
		{`SELECT count(*) FROM products`, &found.Products},
		{`SELECT coalesce(max(seq), 0) FROM changes`, &found.Seq},
	} {
		if *q.to, err = c.count(q.sql); err != nil {
			return found, classify(fmt.Errorf("look into %s: %w", name, err))
		}
	}
	err = c.each(`SELECT shop FROM shops ORDER BY shop`, 1, func(row []driver.Value) error {
		found.Shops = append(found.Shops, asText(row[0]))
		return nil
	})
	if err != nil {
		return found, classify(fmt.Errorf("look into %s: %w", name, err))
	}
	if found.Schema > int64(Format()) {
		return found, c.newer()
	}
	var word [1]driver.Value
	if _, err := c.one(`PRAGMA integrity_check(1)`, word[:]); err != nil {
		return found, classify(fmt.Errorf("check %s: %w", name, err))
	}
	if text := asText(word[0]); text != "ok" {
		return found, &UnavailableError{Cause: CauseDamaged, Err: fmt.Errorf("check %s: %s", name, text)}
	}
	return found, nil
}
