package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
)

// Update runs fn in a write transaction and commits it. When it returns nil the
// changes are on disk. It returns
//
//   - fn's error, with nothing changed;
//   - ErrDamaged when the file turned out to be damaged: nothing was committed
//     unless the fault came after the commit, and the handle must be given up
//     (Release);
//   - ErrMoved when the path no longer names this file: nothing was committed;
//   - any other error when the commit failed. WroteNothing tells whether the
//     handle is still good; if it is not, it is open whether the change is on
//     disk, and the file needs Rewrite.
func (o Opened) Update(fn func(*bbolt.Tx) error) error {
	return o.transact(true, fn)
}

// View runs fn in a read transaction. Slices from the transaction must be
// copied before fn returns. Errors are those of Update.
func (o Opened) View(fn func(*bbolt.Tx) error) error {
	return o.transact(false, fn)
}

func (o Opened) transact(writable bool, fn func(*bbolt.Tx) error) error {
	if err := o.quickCheck(writable); err != nil {
		return err
	}
	var tx *bbolt.Tx
	err := Guard(func() (err error) {
		if tx, err = o.DB.Begin(writable); err != nil {
			return err
		}
		if err = fn(tx); err != nil || !writable {
			return err
		}
		id := uint64(tx.ID())
		if err = tx.Commit(); err == nil {
			o.h.txid.Store(id)
		}
		return err
	})
	// Tx.Rollback, unlike the rollback inside DB.Update, touches no page. It does
	// nothing after a commit.
	if tx != nil {
		rerr := Guard(tx.Rollback)
		if err == nil && !writable {
			err = rerr
		}
	}
	return err
}

// quickCheck looks for what bbolt would not survive: both meta pages invalid or
// the file cut short (it would fail while it holds its locks), the newest meta
// page invalid (it would go on from the older one with a free list that does not
// belong to it). It also refuses a commit to a file that has lost its name.
func (o Opened) quickCheck(writable bool) error {
	st, err := o.h.file.Stat()
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	known := o.h.txid.Load()
	m, _, err := readMetas(o.h.file, st.Size())
	if err == nil && m.txid < known {
		err = damagef("the newest meta page was damaged while in use")
	}
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if !writable {
		return nil
	}
	now, err := os.Stat(o.h.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(o.h.id, now) {
		return fmt.Errorf("begin transaction: %w", ErrMoved)
	}
	return nil
}

// Verify reads every page that can be reached, as Open did, and returns
// ErrDamaged when the structure is not sound. It is for an owner whose own
// checksums have found something wrong. No commit may be going on meanwhile; an
// open write transaction may.
func (o Opened) Verify() error {
	err := o.quickCheck(false)
	if err == nil {
		err = Guard(func() error { _, err := examine(o.h.file); return err })
	}
	if err != nil {
		return fmt.Errorf("verify %s: %w", o.h.path, err)
	}
	return nil
}
