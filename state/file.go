package state

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/boltfile"
)

// health is whether the open file can be used.
type health uint8

const (
	healthy  health = iota
	unsynced        // a commit failed in a way that leaves open what the disk holds
	broken          // a transaction met damage
	closed
)

// file is state.db with what has to be done when it goes wrong while it is in
// use. It is safe for concurrent use; a transaction must not start another.
//
// There is one transaction at a time, reading ones included: bbolt panics with
// its locks held when it meets damaged meta pages, and a second transaction
// would then wait for ever.
type file struct {
	logger *slog.Logger
	// renew is called with each new file that takes the place of one that went
	// wrong, inside its first transaction.
	renew func(tx *bbolt.Tx) error
	// setAside is called after a damaged file was set aside.
	setAside func(moved, reason string)

	mu     sync.Mutex // held while a transaction runs
	opened boltfile.Opened
	health health
	cause  error // why it is not healthy
}

// ErrClosed is returned after Close.
var ErrClosed = errors.New("state.db is closed")

// update runs fn in a write transaction and returns when it is on disk. Then
// committed, if not nil, is called before the file can be exchanged.
func (f *file) update(fn func(*bbolt.Tx) error, committed func()) error {
	return f.transact(fn, true, committed)
}

// view runs fn in a read transaction.
func (f *file) view(fn func(*bbolt.Tx) error) error { return f.transact(fn, false, nil) }

func (f *file) transact(fn func(*bbolt.Tx) error, writable bool, committed func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if writable {
		f.look()
	}
	if err := f.heal(); err != nil {
		return err
	}
	err := f.once(fn, writable)
	if err == nil && committed != nil {
		committed()
	}
	return err
}

// look notes when the file's name does not lead to it any more, or it was cut; f.mu
// is held.
func (f *file) look() {
	if f.health != healthy {
		return
	}
	err := f.opened.Look()
	switch {
	case errors.Is(err, boltfile.ErrDamaged):
		f.health, f.cause = broken, err
	case err != nil:
		f.health, f.cause = unsynced, err
	}
}

// once runs one transaction and notes what it found out about the file.
func (f *file) once(fn func(*bbolt.Tx) error, writable bool) (err error) {
	refused := false // by fn itself
	run := func(tx *bbolt.Tx) error {
		err := fn(tx)
		refused = err != nil
		return err
	}
	if writable {
		err = f.opened.Update(run)
	} else {
		err = f.opened.View(run)
	}
	switch {
	case err == nil, refused:
	case errors.Is(err, boltfile.ErrDamaged):
		f.health, f.cause = broken, err
	case writable && !boltfile.WroteNothing(err):
		f.health, f.cause = unsynced, err
	}
	return err
}

// heal mends the file when it has to be; f.mu is held. On error the file stays as it is, and
// the next transaction tries again.
func (f *file) heal() error {
	var fresh boltfile.Opened
	var err error
	switch f.health {
	case healthy:
		return nil
	case closed:
		return ErrClosed
	case unsynced:
		fresh, err = f.opened.Rewrite()
		if errors.Is(err, boltfile.ErrDamaged) {
			f.health = broken
			return fmt.Errorf("state.db could not be copied: %w", err)
		}
	case broken:
		fresh, err = f.opened.Reopen() // sets a damaged file aside
	}
	if boltfile.Lost(err) {
		return fmt.Errorf("state.db is out of use: %w", err)
	}
	if err != nil {
		return fmt.Errorf("state.db is out of use (%w) and could not be mended: %w", f.cause, err)
	}
	f.opened = fresh
	if fresh.Reason != "" {
		f.setAside(fresh.Quarantined, fresh.Reason)
	}
	if err := fresh.Update(f.renew); err != nil {
		f.health, f.cause = unsynced, err
		return fmt.Errorf("state.db is new and could not be filled: %w", err)
	}
	f.logger.Warn("state.db was mended", "cause", f.cause)
	f.health, f.cause = healthy, nil
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
	fresh, err := f.opened.Rewrite() // syncs the folder as well
	if err == nil {
		f.opened = fresh
	} else if errors.Is(err, boltfile.ErrDamaged) {
		f.health, f.cause = broken, err
	}
	return err
}

// close closes the file; later transactions get ErrClosed.
func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.health = closed
	return f.opened.Close()
}
