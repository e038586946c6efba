package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// aside is what stands between a file's name and the time it was set aside.
const aside = ".damaged-"

// Quarantine renames the file at path to "<path>.damaged-<UTC time>", with a
// number behind it when that name is taken, syncs the directory and returns the
// new name. It never deletes, overwrites or changes a file. One process owns
// the directory, so nobody takes the name between the look and the rename.
func Quarantine(path string, now time.Time) (newPath string, err error) {
	base := path + aside + now.UTC().Format("20060102T150405Z")
	for i := 1; ; i++ {
		newPath = base
		if i > 1 {
			newPath = fmt.Sprintf("%s-%d", base, i)
		}
		if _, err = os.Lstat(newPath); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", fmt.Errorf("set damaged file aside: %w", err)
		}
	}
	if err = os.Rename(path, newPath); err != nil {
		return "", fmt.Errorf("set damaged file aside: %w", err)
	}
	if err = syncDir(filepath.Dir(path)); err != nil {
		return newPath, fmt.Errorf("set damaged file aside: %w", err)
	}
	return newPath, nil
}

// newestAside returns the file that was set aside last, "" for none.
func newestAside(path string) (newest string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	for _, e := range entries { // in the order of their names, and so of time
		if strings.HasPrefix(e.Name(), filepath.Base(path)+aside) {
			newest = filepath.Join(filepath.Dir(path), e.Name())
		}
	}
	return newest
}

// syncDir makes a rename in dir durable. File systems that can't sync a
// directory say so with EINVAL or ENOTSUP; there is nothing more to do there.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
