package state

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
)

// file is state.db with what has to be done when it goes wrong while it is in
// use. It is safe for concurrent use; a transaction must not start another.
//
// There is one transaction at a time, reading ones included: bbolt panics with
// its locks held when it meets damaged meta pages, and a second transaction
// would then wait for ever.
type file struct {
	// renew is called with each new file that takes the place of one that went
	// wrong, inside its first transaction.
	renew func(tx *bbolt.Tx) error
	// setAside is called after a damaged file was set aside.
	setAside func(moved, reason string)

	mu     sync.Mutex // held while a transaction runs
	opened boltfile.Opened
	owed   bool // renew for the file in use
	closed bool
}

// ErrClosed is returned after Close.
var ErrClosed = errors.New("state.db is closed")

// update runs fn in a write transaction and returns when it is on disk. Then
// committed, if not nil, is called before the file can be exchanged.
func (f *file) update(fn func(*bbolt.Tx) error, committed func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.look()
	if err == nil {
		err = f.opened.Update(fn)
	}
	if err == nil && committed != nil {
		committed()
	}
	return err
}

// view runs fn in a read transaction.
func (f *file) view(fn func(*bbolt.Tx) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.heal(); err != nil {
		return err
	}
	return f.opened.View(fn)
}

// look finds out whether the file's name still leads to it, and mends what has to be;
// f.mu is held.
func (f *file) look() error {
	if !f.closed {
		_ = f.opened.Look() // what it finds is mended
	}
	return f.heal()
}

// heal mends the file when it has to be; f.mu is held. On error the file stays as
// it is, and the next transaction tries again.
func (f *file) heal() error {
	if f.closed {
		return ErrClosed
	}
	fresh, err := f.opened.Mend()
	if err != nil {
		return err
	}
	if fresh != f.opened {
		f.opened, f.owed = fresh, true
		if fresh.Reason != "" {
			f.setAside(fresh.Quarantined, fresh.Reason)
		}
	}
	if !f.owed {
		return nil
	}
	if err := fresh.Update(f.renew); err != nil {
		fresh.Doubt(err)
		return fmt.Errorf("state.db is new and could not be filled: %w", err)
	}
	f.owed = false
	return nil
}

// keepCopy puts a copy of the file as it is beside it, under the name of one that
// was set aside.
func (f *file) keepCopy(now time.Time) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened.KeepCopy(now)
}

// rewrite puts a copy in the file's place that holds what is in use and nothing
// of its free pages. At every moment path names a whole file.
func (f *file) rewrite() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.heal(); err != nil {
		return err
	}
	f.opened.Doubt(errErase)
	return f.heal()
}

// errErase is why a file that is sound is copied.
var errErase = errors.New("what was dropped is erased from it")

// close closes the file; later transactions get ErrClosed.
func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return f.opened.Close()
}
