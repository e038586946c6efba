package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Options says how to open a file. The zero value is ready to use.
type Options struct {
	// Logger gets a line for each quarantine, copy and remark. Nil: none.
	Logger *slog.Logger
	// OpenTimeout is how long to wait for another process's lock. Default 1 s
	// (zero); negative: don't wait.
	OpenTimeout time.Duration
	// CompactAbove is the file size in bytes above which a file is copied to a
	// smaller one at Open when more than half of its pages are free. Default
	// 1 MiB (zero); negative: never.
	CompactAbove int64

	// fault is called at named steps in tests; an error stands for the step's
	// failure.
	fault func(step string) error
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OpenTimeout == 0 {
		o.OpenTimeout = time.Second
	}
	if o.CompactAbove == 0 {
		o.CompactAbove = 1 << 20
	}
	return o
}

func (o Options) at(step string) error {
	if o.fault == nil {
		return nil
	}
	return o.fault(step)
}

// Opened is an open file. Use Update and View, not the methods of DB of the
// same names; the package comment says why.
type Opened struct {
	DB *bbolt.DB
	// Fresh: the file was made just now and holds no buckets.
	Fresh bool
	// Quarantined is the path the damaged file was renamed to and Reason what
	// was wrong with it; "" when there was no damage.
	Quarantined, Reason string
	// Suspect says that the file is sound and in use but its newest commit may
	// be missing: one of its two meta pages was damaged. "" otherwise.
	Suspect string
	// Compacted: the file was mostly free and was copied to a smaller one.
	Compacted bool

	h *handle
}

// handle is what all copies of an Opened share.
type handle struct {
	path string
	file *os.File
	id   fs.FileInfo   // which file path named when it was opened
	txid atomic.Uint64 // newest commit known to be in the file

	// copied is a copy of ours that got the name although Rewrite failed, nil for
	// none. It is no stranger to be set aside.
	copied fs.FileInfo
}

// Open opens the file at path, making it when there is none. It returns an
// error, and changes nothing, when the file can't be reached: ErrLocked, rights,
// a full or read-only disk, a path that is not a regular file. A file of length
// zero is damaged, not new: something cut it, as new files get their name only
// when they are whole.
func Open(path string, o Options) (Opened, error) {
	o = o.withDefaults()
	path = filepath.Clean(path)
	opened, err := openSound(path, o)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A damaged file without a fresh one beside it: a start that set it aside
		// ended before it could say so.
		left := newestAside(path)
		opened, err := openNew(path, o)
		if left != "" {
			opened.Quarantined, opened.Reason = left, "set aside by an earlier start that did not finish"
		}
		return opened, err
	case errors.Is(err, ErrDamaged):
		reason := reasonOf(err)
		moved, err := Quarantine(path, time.Now())
		if err != nil {
			return Opened{}, fmt.Errorf("open bolt file %s (%s): %w", path, reason, err)
		}
		o.Logger.Error("damaged file set aside", "file", path, "renamed_to", moved, "reason", reason)
		opened, err = openNew(path, o)
		opened.Quarantined, opened.Reason = moved, reason
		return opened, err
	case err != nil:
		return Opened{}, fmt.Errorf("open bolt file %s: %w", path, err)
	}
	return opened, nil
}

// openNew makes the file at path and opens it.
func openNew(path string, o Options) (Opened, error) {
	err := create(path, o)
	var opened Opened
	if err == nil {
		opened, err = openSound(path, o)
	}
	if err != nil {
		return Opened{}, fmt.Errorf("open bolt file %s: %w", path, err)
	}
	opened.Fresh = true
	return opened, nil
}

// openSound locks, checks and opens an existing file.
func openSound(path string, o Options) (_ Opened, err error) {
	f, id, err := openLocked(path, o.OpenTimeout)
	if err != nil {
		return Opened{}, err
	}
	defer func() {
		if err != nil {
			unlock(f)
			_ = f.Close()
		}
	}()
	removeLeftovers(path, o)
	if id.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			o.Logger.Warn("file is readable by others and that can't be changed", "file", path, "error", err)
		}
	}
	var found findings
	if err = Guard(func() (err error) { found, err = examine(f); return err }); err != nil {
		return Opened{}, err
	}
	opened := Opened{h: &handle{path: path, file: f, id: id}, Suspect: found.remark}
	opened.h.txid.Store(found.txid)
	if found.remark != "" {
		o.Logger.Warn("file is sound but a part of it was damaged", "file", path, "remark", found.remark)
	}
	if err = Guard(func() (err error) { opened.DB, err = bbolt.Open(path, 0o600, boltOptions(f)); return err }); err != nil {
		return Opened{}, err
	}
	if o.CompactAbove >= 0 && found.size > o.CompactAbove && found.used < uint64(found.size/found.pageSize)/2 {
		smaller, err := opened.Rewrite(o)
		if err != nil {
			if opened.quickCheck(true) != nil { // the copy has the name by now
				_ = opened.Close()
				return Opened{}, err
			}
			// It is only larger than it could be.
			o.Logger.Warn("file could not be compacted", "file", path, "error", err)
			return opened, nil
		}
		smaller.Suspect, smaller.Compacted = opened.Suspect, true
		return smaller, nil
	}
	return opened, nil
}

// openLocked opens the file that path names and takes its lock. A file that is
// renamed away while we wait for its lock is not the one that was asked for.
func openLocked(path string, timeout time.Duration) (*os.File, fs.FileInfo, error) {
	for {
		// A look first: opening a pipe would block.
		if st, err := os.Stat(path); err != nil {
			return nil, nil, err
		} else if !st.Mode().IsRegular() {
			return nil, nil, fmt.Errorf("%s is not a regular file", path)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, nil, err
		}
		if err = lock(f, timeout); err != nil {
			_ = f.Close()
			return nil, nil, err
		}
		id, err := f.Stat()
		if err == nil {
			var now fs.FileInfo
			if now, err = os.Stat(path); err == nil && os.SameFile(id, now) {
				return f, id, nil
			}
		}
		_ = f.Close()
		if err != nil {
			return nil, nil, err
		}
	}
}

// Close closes the file; it waits for open transactions. A handle that has
// shown damage must be given up with Release instead.
func (o Opened) Close() error {
	return Guard(o.DB.Close)
}

// Release gives up a handle that has shown damage: the descriptor and with it
// the lock are released, the mapping stays until the process ends, and every
// later transaction fails. DB.Close could wait for ever for a lock that a
// broken transaction still holds.
func (o Opened) Release() {
	unlock(o.h.file)
	_ = o.h.file.Close()
}
