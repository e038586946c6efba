package state

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
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
	path   string
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
	for retried := false; ; retried = true {
		if err := f.heal(); err != nil {
			return err
		}
		err := f.once(fn, writable)
		if err == nil && committed != nil {
			committed()
		}
		if retried || !errors.Is(err, boltfile.ErrMoved) {
			return err
		}
		// Nothing was committed, and heal puts the file back.
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
	case errors.Is(err, boltfile.ErrMoved), writable && !boltfile.WroteNothing(err):
		f.health, f.cause = unsynced, err
	}
	return err
}

// heal mends the file when it has to be; f.mu is held. On error the file stays as it is, and
// the next transaction tries again.
func (f *file) heal() error {
	var fresh boltfile.Opened
	var err error
	options := boltfile.Options{Logger: f.logger}
	switch f.health {
	case healthy:
		return nil
	case closed:
		return ErrClosed
	case unsynced:
		fresh, err = f.opened.Rewrite(options)
		if errors.Is(err, boltfile.ErrDamaged) {
			f.health = broken
			return fmt.Errorf("state.db could not be copied: %w", err)
		}
	case broken:
		f.opened.Release()
		fresh, err = boltfile.Open(f.path, options) // sets a damaged file aside
	}
	if err != nil {
		return fmt.Errorf("state.db is out of use (%w) and could not be mended: %w", f.cause, err)
	}
	f.opened = fresh
	if fresh.Quarantined != "" {
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

// keepCopy gives the file as it is a second name and goes on with a new copy of
// it. At every moment path names a whole file.
func (f *file) keepCopy(now time.Time) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base := f.path + ".damaged-" + now.UTC().Format("20060102T150405Z")
	name, err := base, fs.ErrExist
	for i := 1; errors.Is(err, fs.ErrExist); i++ {
		if i > 1 {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		err = os.Link(f.path, name)
	}
	if err != nil {
		// A file system without hard links: for a moment path names nothing.
		if name, err = boltfile.Quarantine(f.path, now); err != nil {
			return "", err
		}
	}
	return name, f.anew()
}

// rewrite puts a copy in the file's place that holds what is in use and nothing
// of its free pages. At every moment path names a whole file.
func (f *file) rewrite() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.heal(); err != nil {
		return err
	}
	err := f.anew()
	if errors.Is(err, boltfile.ErrDamaged) {
		f.health, f.cause = broken, err
	}
	return err
}

// anew goes on with a new copy of the file; f.mu is held.
func (f *file) anew() error {
	fresh, err := f.opened.Rewrite(boltfile.Options{Logger: f.logger}) // syncs the folder as well
	if err == nil {
		f.opened = fresh
	}
	return err
}

// close closes the file; later transactions get ErrClosed.
func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.health
	f.health = closed
	switch was {
	case closed:
		return nil
	case broken:
		f.opened.Release()
		return nil
	}
	return f.opened.Close()
}
