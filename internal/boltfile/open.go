package boltfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/internal/folder"
)

// Options says how to open a file. The zero value is ready to use.
type Options struct {
	// Folder is the directory of the file, which its owner closes later. Nil: it
	// is opened, and closed with the file.
	Folder *folder.Folder
	// Logger gets a line for each quarantine, copy and remark. Nil: none.
	Logger *slog.Logger

	// For tests: fault is called at named steps, and an error stands for the step's
	// failure; compactAbove replaces the constant when it is not zero.
	fault        func(step string) error
	compactAbove int64
}

// compactAbove is the size in bytes above which a file is copied to a smaller one at
// Open when more than half of its pages are free.
const compactAbove = 1 << 20

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

	h *handle
}

// handle is what all copies of an Opened share.
type handle struct {
	*place
	file   *os.File
	id     fs.FileInfo
	txid   atomic.Uint64         // newest commit known to be in the file
	broken atomic.Bool           // a transaction met damage
	cause  atomic.Pointer[error] // why it has to be mended, nil while it is sound
	closed atomic.Bool
	lost   atomic.Pointer[error] // see look

	// copied is a copy of ours that got the name although rewrite failed, nil for
	// none. It is no stranger.
	copied fs.FileInfo
}

// Open opens the file at path, making it when there is none. It returns an
// error, and changes nothing, when the file can't be reached: ErrLocked, rights,
// a full or read-only disk, a name that is no regular file (a link, say). A file
// of length zero is damaged, not new: something cut it, as new files get their
// name only when they are whole.
func Open(path string, o Options) (Opened, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &place{Options: o, own: o.Folder == nil, name: filepath.Base(path)}
	if p.own {
		var err error
		if p.Folder, err = folder.Open(filepath.Dir(path)); err != nil {
			return Opened{}, fmt.Errorf("open bolt file %s: %w", path, err)
		}
	}
	opened, err := p.open()
	if err != nil && p.own {
		_ = p.Folder.Close()
	}
	return opened, err
}

func (p *place) open() (Opened, error) {
	opened, err := p.openSound(true)
	damage, damaged := errors.AsType[*DamageError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A damaged file without a fresh one beside it: a start that set it aside
		// ended before it could say so.
		left := p.newestAside()
		opened, err = p.openNew()
		if left != "" {
			opened.Quarantined, opened.Reason = left, "set aside by an earlier start that did not finish"
		}
	case damaged:
		reason, moved := damage.Reason, ""
		if moved, err = p.quarantine(opened.h.id, time.Now()); err != nil {
			err = fmt.Errorf("%s: %w", reason, err)
			break
		}
		p.Logger.Error("damaged file set aside", "file", p.path(), "renamed_to", moved, "reason", reason)
		opened, err = p.openNew()
		opened.Quarantined, opened.Reason = moved, reason
	}
	if err != nil {
		opened.DB, opened.h = nil, nil
		return opened, fmt.Errorf("open bolt file %s: %w", p.path(), err)
	}
	return opened, nil
}

// openNew makes the file and opens it.
func (p *place) openNew() (Opened, error) {
	if err := p.create(); err != nil {
		return Opened{}, err
	}
	opened, err := p.openSound(false)
	opened.Fresh = err == nil
	return opened, err
}

// openSound locks, checks and opens an existing file. With ErrDamaged the result
// tells which file that is. compact: one that is mostly free is copied.
func (p *place) openSound(compact bool) (_ Opened, err error) {
	f, id, err := p.openLocked()
	if err != nil {
		return Opened{}, err
	}
	defer func() {
		if err != nil {
			unlock(f)
			_ = f.Close()
		}
	}()
	p.removeLeftovers()
	if id.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			p.Logger.Warn("file is readable by others and that can't be changed", "file", p.path(), "error", err)
		}
	}
	opened := Opened{h: &handle{place: p, file: f, id: id}}
	var found findings
	if err = Guard(func() (err error) { found, err = examine(f); return err }); err != nil {
		return opened, err
	}
	opened.Suspect = found.remark
	opened.h.txid.Store(found.txid)
	if found.remark != "" {
		p.Logger.Warn("file is sound but a part of it was damaged", "file", p.path(), "remark", found.remark)
	}
	if err = Guard(func() (err error) { opened.DB, err = bbolt.Open(p.path(), 0o600, boltOptions(f)); return err }); err != nil {
		return opened, err
	}
	if !compact || found.size <= cmp.Or(p.compactAbove, compactAbove) || found.used >= uint64(found.size/found.pageSize)/2 {
		return opened, nil
	}
	smaller, err := opened.rewrite()
	switch {
	case err == nil:
		smaller.Suspect = opened.Suspect
		return smaller, nil
	case opened.h.look() != nil: // the copy has the name by now
		_ = opened.closeFile()
		return Opened{}, err
	}
	// It is only larger than it could be.
	p.Logger.Warn("file could not be compacted", "file", p.path(), "error", err)
	return opened, nil
}

// openLocked opens the file and takes its lock. A file that is renamed away while
// we wait for its lock is not the one that was asked for.
func (p *place) openLocked() (*os.File, fs.FileInfo, error) {
	for {
		f, err := p.Folder.Open(p.name, os.O_RDWR)
		if err == nil {
			id, serr := f.Stat()
			if err = errors.Join(serr, p.at("open: before lock"), lock(f)); err == nil {
				err = p.Folder.Same(p.name, id)
			}
			if err == nil {
				return f, id, nil
			}
			_ = f.Close()
		}
		if !Removed(err) && !Lost(err) {
			return nil, nil, err
		}
	}
}

// Close closes the file; it waits for open transactions. A *folder.LostError says
// that the file has lost its name to nothing or to another file, and with it what
// it held, unless somebody keeps it elsewhere. That of a whole folder is no error.
func (o Opened) Close() error {
	if o.h == nil {
		return nil
	}
	err := o.h.look()
	if lost, ok := errors.AsType[*folder.LostError](err); ok && !lost.Dir {
		err = fmt.Errorf("%w; what it held is only in the old file now, if that was not deleted", err)
	} else {
		err = nil
	}
	err = errors.Join(err, o.closeFile())
	if o.h.own {
		err = errors.Join(err, o.h.Folder.Close())
	}
	return err
}

// closeFile closes the file once. Of one that has shown damage it closes the
// descriptor and with it the lock; the mapping stays until the process ends, and
// every later transaction fails: DB.Close could wait for ever for a lock that a
// broken transaction still holds.
func (o Opened) closeFile() error {
	if o.h.closed.Swap(true) {
		return nil
	}
	if !o.h.broken.Load() {
		return Guard(o.DB.Close)
	}
	unlock(o.h.file)
	_ = o.h.file.Close()
	return nil
}

// Sound reports whether the file can take the next transaction. Else it has to be
// mended.
func (o Opened) Sound() bool { return o.h.cause.Load() == nil && !o.h.closed.Load() }

// Readable reports whether the file can be read, as one of which the last commit
// failed can.
func (o Opened) Readable() bool { return !o.h.broken.Load() && !o.h.closed.Load() }

// Doubt says that what the disk holds of the file is not known any more.
func (o Opened) Doubt(cause error) { o.h.cause.CompareAndSwap(nil, &cause) }

// Mend returns the file fit for use: itself when it is sound; after a failed commit
// or when it was removed, a copy that takes its place; after damage a fresh one, the
// damaged one set aside. After an error it may be called again. No transaction may
// be open.
func (o Opened) Mend() (fresh Opened, err error) {
	if o.Sound() {
		return o, nil
	}
	giveUp := !o.Readable()
	if !giveUp {
		fresh, err = o.rewrite()
		giveUp = errors.Is(err, ErrDamaged)
	}
	if giveUp {
		o.h.broken.Store(true)
		fresh, err = o.reopen()
	}
	cause := errors.New("it was closed")
	if p := o.h.cause.Load(); p != nil {
		cause = *p
	}
	switch {
	case Lost(err):
		return o, fmt.Errorf("%s is out of use: %w", o.h.name, err)
	case err != nil:
		return o, fmt.Errorf("%s is out of use (%w) and could not be mended: %w", o.h.name, cause, err)
	}
	o.h.Logger.Warn(o.h.name+" was mended", "cause", cause)
	return fresh, nil
}

// reopen gives up a handle that has shown damage and opens the file again, which
// is set aside when it is damaged; nothing is when its name or directory lead to
// something else by now. After an error it may be called again.
func (o Opened) reopen() (Opened, error) {
	var err error
	if !o.h.closed.Load() {
		if err = o.h.look(); err != nil && !Removed(err) && !errors.Is(err, errUnsure) {
			return Opened{}, fmt.Errorf("open bolt file again: %w", err)
		}
		_ = o.closeFile()
	}
	fresh, oerr := o.h.place.open()
	if Removed(err) && fresh.Fresh {
		fresh.Quarantined, fresh.Reason = "", "the file was damaged, and then removed"
	}
	return fresh, oerr
}
