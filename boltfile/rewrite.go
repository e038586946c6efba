package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// copyBytes is how much Rewrite copies in one transaction.
const copyBytes = 4 << 20

// Rewrite copies what the open file holds into a new file, syncs that, puts it
// at the path and returns it opened; the old handle is closed. It serves two
// purposes: a smaller file, and a file all of whose pages are known to be on
// disk after a failed sync has left that open for the old one. It also puts the
// file back when the path was removed or given to another file, which is then
// set aside with Quarantine. On error the old handle stays as it was. No
// transaction may be open.
func (o Opened) Rewrite(opt Options) (_ Opened, err error) {
	opt = opt.withDefaults()
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy bolt file: %w", err)
		}
	}()
	if st, err := os.Stat(o.h.path); err == nil && !os.SameFile(o.h.id, st) && (o.h.copied == nil || !os.SameFile(o.h.copied, st)) {
		moved, err := Quarantine(o.h.path, time.Now())
		if err != nil {
			return Opened{}, err
		}
		opt.Logger.Error("another file had taken the place of the open one and was set aside", "file", o.h.path, "renamed_to", moved)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Opened{}, err
	}
	tmp, err := tempFile(o.h.path, tempRewrite)
	if err != nil {
		return Opened{}, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	if err = opt.at("rewrite: before copy"); err != nil {
		return Opened{}, err
	}
	if err = o.copyTo(tmp); err != nil {
		return Opened{}, err
	}
	made, err := os.Stat(tmp)
	if err != nil {
		return Opened{}, err
	}
	if err = publish(tmp, o.h.path, opt, "rewrite"); err != nil {
		if st, serr := os.Stat(o.h.path); serr == nil && os.SameFile(made, st) {
			o.h.copied = made // it has the name, but that may not be on disk
		}
		return Opened{}, err
	}
	once := opt
	once.CompactAbove = -1
	fresh, err := openSound(o.h.path, once)
	if err != nil {
		return Opened{}, err
	}
	if err := o.Close(); err != nil {
		opt.Logger.Warn("old handle did not close cleanly", "file", o.h.path, "error", err)
	}
	return fresh, nil
}

func (o Opened) copyTo(tmp string) (err error) {
	opt := boltOptions(nil)
	opt.NoSync = true // publish syncs once, before the file gets its name
	var dst *bbolt.DB
	if err = Guard(func() (err error) { dst, err = bbolt.Open(tmp, 0o600, opt); return err }); err != nil {
		return err
	}
	err = Guard(func() error { return bbolt.Compact(dst, o.DB, copyBytes) })
	if errors.Is(err, ErrDamaged) {
		return err // dst may still hold its locks; the file goes with tmp
	}
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	return err
}
