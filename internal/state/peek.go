package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"stockroom/internal/boltfile"
	"stockroom/internal/folder"
)

// Peek returns the shops that are connected in the state.db at path, without
// changing it. It waits that long for the file; boltfile.ErrLocked says that
// another process has it.
func Peek(path string, wait time.Duration) (shops []string, err error) {
	dir, err := folder.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("look into state: %w", err)
	}
	defer dir.Close()
	err = boltfile.Guard(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{
			ReadOnly: true, Timeout: wait,
			OpenFile: func(string, int, os.FileMode) (*os.File, error) { return dir.Open(filepath.Base(path), os.O_RDONLY) },
		})
		if errors.Is(err, bolterrors.ErrTimeout) {
			return boltfile.ErrLocked
		}
		if err != nil {
			return err
		}
		return errors.Join(db.View(func(tx *bbolt.Tx) error {
			root := tx.Bucket([]byte(rootBucket))
			if root == nil || root.Bucket([]byte(shopsTable)) == nil {
				return nil
			}
			return root.Bucket([]byte(shopsTable)).ForEach(func(domain, raw []byte) error {
				var r shopRecord
				if err := decodeRecord(shopsTable, string(domain), raw, &r); err != nil {
					return err
				}
				if r.RemovedAt.IsZero() {
					shops = append(shops, string(domain))
				}
				return nil
			})
		}), db.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("look into state: %w", err)
	}
	return shops, nil
}
