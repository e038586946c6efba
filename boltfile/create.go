package boltfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Infixes of the temporary files; what follows them is random.
const (
	tempNew     = ".new-"
	tempRewrite = ".rewrite-"
)

// create puts a sound, empty file at path, or nothing: a crash in between
// leaves a temporary file that the next Open removes.
func create(path string, o Options) (err error) {
	removeLeftovers(path, o)
	tmp, err := tempFile(path, tempNew)
	if err != nil {
		return fmt.Errorf("create bolt file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp)
			err = fmt.Errorf("create bolt file: %w", err)
		}
	}()
	if err = o.at("create: before write"); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, boltOptions(nil))
	if err != nil {
		return err
	}
	if err = db.Close(); err != nil {
		return err
	}
	return publish(tmp, path, o, "create")
}

// publish syncs tmp, gives it the name path and syncs the directory.
func publish(tmp, path string, o Options, what string) error {
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if _, err = examine(f); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err = o.at(what + ": before rename"); err != nil {
		return err
	}
	if err = os.Rename(tmp, path); err != nil {
		return err
	}
	if err = o.at(what + ": before directory sync"); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// tempFile makes an empty file (mode 0600) beside path and returns its name.
func tempFile(path, infix string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+infix+"*")
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// removeLeftovers removes the temporary files of a creation or a copy that did
// not end. They were never named path, so nothing was acknowledged in them.
func removeLeftovers(path string, o Options) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	base := filepath.Base(path)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), base+tempNew) || strings.HasPrefix(e.Name(), base+tempRewrite) {
			name := filepath.Join(filepath.Dir(path), e.Name())
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				o.Logger.Warn("temporary file of an unfinished copy could not be removed", "file", name, "error", err)
			}
		}
	}
}

// boltOptions are the settings every file is opened with. f, when not nil, is
// the descriptor bbolt has to use.
func boltOptions(f *os.File) *bbolt.Options {
	o := &bbolt.Options{
		Timeout:        time.Second,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		NoStatistics:   true,
	}
	if f != nil {
		o.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return f, nil }
	}
	return o
}
