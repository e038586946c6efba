package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"stockroom/boltfile"
)

// Peek returns the shops that are connected in the state.db at path, without
// changing it. It waits that long for the file; boltfile.ErrLocked says that
// another process has it.
func Peek(path string, wait time.Duration) (shops []string, err error) {
	// A look first: opening a pipe would block.
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrNotExist)
	}
	err = boltfile.Guard(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: wait})
		if errors.Is(err, bolterrors.ErrTimeout) {
			return boltfile.ErrLocked
		}
		if err != nil {
			return err
		}
		return errors.Join(db.View(func(tx *bbolt.Tx) error {
			rows := newTable[shopRecord]("shops")
			root := tx.Bucket([]byte(rootBucket))
			if root == nil || root.Bucket([]byte(rows.name)) == nil {
				return nil
			}
			return root.Bucket([]byte(rows.name)).ForEach(func(domain, raw []byte) error {
				var r shopRecord
				if err := decodeRecord(rows.name, string(domain), raw, &r); err != nil {
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
