package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/internal/folder"
)

// Snapshot is what the store held at one moment: its own records, none of the buckets
// that others keep in the file.
type Snapshot struct{ tables map[string]stored }

// Snapshot takes what is in memory now, which is no work of the disk. secret are the
// namespaces of values that are no one else's business; with them, and with credentials
// and tokens, only when all is asked for.
func (s *Store) Snapshot(all bool, secret ...string) Snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := Snapshot{map[string]stored{}}
	for name, t := range s.tables {
		n.tables[name] = t.only(func(table, key string) bool {
			namespace, _, _ := strings.Cut(key, "/")
			hidden := table == s.credentials.name || table == s.tokens.name ||
				table == s.values.name && slices.Contains(secret, namespace)
			return all || !hidden
		})
	}
	return n
}

// WriteTo makes a state.db of a new name in a folder. What was dropped is in no page of it.
func (n Snapshot) WriteTo(dir *folder.Folder, name string) error {
	opened, err := boltfile.Open(dir.File(name), boltfile.Options{Folder: dir})
	if err == nil {
		err = opened.Update(func(tx *bbolt.Tx) error {
			_, err := saveAll(tx, n.tables)
			return err
		})
		err = errors.Join(err, opened.Close())
	}
	if err != nil {
		return fmt.Errorf("copy state.db: %w", err)
	}
	return nil
}
