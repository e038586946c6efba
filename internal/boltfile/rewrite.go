package boltfile

import (
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

// copyBytes is how much rewrite copies in one transaction.
const copyBytes = 4 << 20

// rewrite copies what the open file holds into a new file, syncs that, gives it
// the name and returns it opened; the old handle is closed. It serves two
// purposes: a smaller file, and a file all of whose pages are known to be on
// disk after a failed sync has left that open for the old one. It also puts the
// file back when it was removed; a name that something else has taken is left
// to that, with an error. On error the old handle stays as it was. No
// transaction may be open.
func (o Opened) rewrite() (_ Opened, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy bolt file: %w", err)
		}
	}()
	h, old := o.h, o.h.id
	err = h.look()
	switch {
	case Removed(err):
		old = nil
	case errors.Is(err, errUnsure):
		old = h.copied
	case err != nil:
		return Opened{}, err
	}
	made, err := h.put("rewrite", tempRewrite, old, func(f *os.File) error {
		if err := h.at("rewrite: before copy"); err != nil {
			return errors.Join(err, f.Close())
		}
		return o.copyTo(f)
	})
	if made != nil && err != nil {
		h.copied = made // it has the name, but that may not be on disk
	}
	if err != nil {
		return Opened{}, err
	}
	fresh, err := h.openSound(false)
	if err == nil && !os.SameFile(fresh.h.id, made) {
		err = errors.Join(h.Folder.Same(h.name, made), fresh.closeFile())
	}
	if err != nil {
		h.copied = made
		return Opened{}, err
	}
	if old == nil {
		h.Logger.Error(h.name+" was removed while Stockroom ran; it was put back with all that it held", "file", h.path())
	}
	if err := o.closeFile(); err != nil {
		h.Logger.Warn("old handle did not close cleanly", "file", h.path(), "error", err)
	}
	return fresh, nil
}

func (o Opened) copyTo(f *os.File) (err error) {
	opt := boltOptions(f)
	opt.NoSync = true // put syncs once, before the file gets its name
	var dst *bbolt.DB
	if err = Guard(func() (err error) { dst, err = bbolt.Open(o.h.path(), 0o600, opt); return err }); err != nil {
		return err
	}
	err = Guard(func() error { return bbolt.Compact(dst, o.DB, copyBytes) })
	if errors.Is(err, ErrDamaged) {
		return err // dst may still hold its locks; the file goes with its name
	}
	return errors.Join(err, dst.Close())
}
