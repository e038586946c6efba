package boltfile

import (
	"errors"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"stockroom/internal/folder"
)

// Update runs fn in a write transaction and commits it. When it returns nil the
// changes are on disk. It returns
//
//   - fn's error, with nothing changed;
//   - ErrDamaged when the file turned out to be damaged: nothing was committed
//     unless the fault came after the commit;
//   - a *folder.LostError when name or directory no longer lead to this file (see
//     Look), as was found before the commit or after it;
//   - any other error when the commit failed. Unless WroteNothing it is open
//     whether the change is on disk.
//
// Sound tells whether the file has to be mended before the next transaction.
func (o Opened) Update(fn func(*bbolt.Tx) error) error {
	return o.transact(true, fn)
}

// View runs fn in a read transaction. Slices from the transaction must be
// copied before fn returns. Errors are those of Update.
func (o Opened) View(fn func(*bbolt.Tx) error) error {
	return o.transact(false, fn)
}

func (o Opened) transact(writable bool, fn func(*bbolt.Tx) error) error {
	err := o.quickCheck()
	if err == nil && writable {
		err = o.h.look()
	}
	if err != nil {
		return o.met(fmt.Errorf("begin transaction: %w", err), writable)
	}
	var tx *bbolt.Tx
	refused := false // by fn
	err = Guard(func() (err error) {
		if tx, err = o.DB.Begin(writable); err != nil {
			return err
		}
		if err = fn(tx); err != nil || !writable {
			refused = err != nil
			return err
		}
		id := uint64(tx.ID())
		if err = tx.Commit(); err != nil {
			return err
		}
		o.h.txid.Store(id)
		if err = errors.Join(o.h.at("update: before answer"), o.h.look()); err != nil {
			return fmt.Errorf("after the commit: %w", err)
		}
		return nil
	})
	// Tx.Rollback, unlike the rollback inside DB.Update, touches no page. It does
	// nothing after a commit.
	if tx != nil {
		rerr := Guard(tx.Rollback)
		if err == nil && !writable {
			err = rerr
		}
	}
	return o.met(err, writable && !refused)
}

// met notes what an error says about the file; commit: so does any error that can
// have left something on the disk.
func (o Opened) met(err error, commit bool) error {
	if damaged := errors.Is(err, ErrDamaged); damaged || commit && err != nil && !WroteNothing(err) {
		o.Doubt(err)
		if damaged {
			o.h.broken.Store(true)
		}
	}
	return err
}

// quickCheck looks for what bbolt would not survive: both meta pages invalid or
// the file cut short (it would fail while it holds its locks), the newest meta
// page invalid (it would go on from the older one with a free list that does not
// belong to it).
func (o Opened) quickCheck() error {
	st, err := o.h.file.Stat()
	if err != nil {
		return err
	}
	known := o.h.txid.Load()
	m, _, err := readMetas(o.h.file, st.Size())
	if err == nil && m.txid < known {
		err = damagef("the newest meta page was damaged while in use")
	}
	return err
}

// Look returns nil when name and directory still lead to the open file and it was
// not cut. A Removed file is put back by Mend. A Lost one is so for good: no later
// commit, rename or removal is made, whatever comes back, and the log says why.
func (o Opened) Look() error {
	err := o.h.look()
	if err == nil {
		err = o.quickCheck()
	}
	return o.met(err, true)
}

func (h *handle) look() error {
	if lost := h.lost.Load(); lost != nil {
		return *lost
	}
	err := h.Folder.Check()
	if err == nil {
		if err = h.Folder.Same(h.name, h.id); err != nil && h.copied != nil && h.Folder.Same(h.name, h.copied) == nil {
			return errUnsure
		}
	}
	if !Lost(err) {
		return err
	}
	if kept := err; !h.lost.CompareAndSwap(nil, &kept) {
		return err
	}
	if lost, _ := errors.AsType[*folder.LostError](err); !lost.Dir {
		h.Logger.Error("another file has taken the place of "+h.name+", so nothing is stored there now: "+
			"restart Stockroom to go on with the file that is there", "file", h.path())
	}
	return err
}

// Verify reads every page that can be reached, as Open did, and returns
// ErrDamaged when the structure is not sound. It is for an owner whose own
// checksums have found something wrong. No commit may be going on meanwhile; an
// open write transaction may.
func (o Opened) Verify() error {
	err := o.quickCheck()
	if err == nil {
		err = Guard(func() error { _, err := examine(o.h.file); return err })
	}
	if err != nil {
		return fmt.Errorf("verify %s: %w", o.h.path(), err)
	}
	return nil
}

// Guard runs fn in this goroutine and turns a memory fault (SIGBUS, SIGSEGV) or
// a panic inside it into an error for which errors.Is(err, ErrDamaged) holds.
// It does not cover goroutines that fn starts. Byte slices that point into a
// mapped file must not leave fn.
func Guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = &DamageError{Reason: reasonOfPanic(p), Stack: debug.Stack()}
		}
	}()
	return fn()
}

// reasonOfPanic keeps addresses out of the text, so that the same damage reads
// the same in every run.
func reasonOfPanic(p any) string {
	if _, ok := p.(interface{ Addr() uintptr }); ok {
		return "a page could not be read from memory"
	}
	s := fmt.Sprint(p)
	if len(s) > 300 {
		s = s[:300]
	}
	return s
}

// CheckPages reads every page that can be reached from the top; ErrDamaged.
func CheckPages(tx *bbolt.Tx) error {
	var found error
	for err := range tx.Check() { // to its end, for it holds a goroutine
		if found == nil {
			found = &DamageError{Reason: err.Error()}
		}
	}
	return found
}
