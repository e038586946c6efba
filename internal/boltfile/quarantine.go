package boltfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"stockroom/internal/folder"
)

// aside is what stands between a file's name and the time it was set aside.
const aside = ".damaged-"

// asideName returns "<name>.damaged-<UTC time>", with a number behind it when
// that is taken. One process owns the directory, so nobody takes it meanwhile.
func (p *place) asideName(now time.Time) (string, error) {
	base := p.name + aside + now.UTC().Format("20060102T150405Z")
	name := base
	for i := 2; ; i++ {
		_, err := p.Folder.Info(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil && !errors.Is(err, folder.ErrNotRegular) {
			return "", err
		}
		name = fmt.Sprintf("%s-%d", base, i)
	}
}

// quarantine gives the damaged file id another name, syncs the directory and
// returns the new path. It never deletes, overwrites or changes a file, and
// renames none that is not id.
func (p *place) quarantine(id fs.FileInfo, now time.Time) (path string, err error) {
	name, err := p.asideName(now)
	if err == nil {
		err = errors.Join(p.Folder.Check(), p.Folder.Same(p.name, id))
	}
	if err == nil {
		err = p.Folder.Rename(p.name, name)
	}
	if err == nil {
		err = errors.Join(p.Folder.Same(name, id), p.Folder.Sync())
	}
	if err != nil {
		return "", fmt.Errorf("set damaged file aside: %w", err)
	}
	return p.Folder.File(name), nil
}

// KeepCopy puts a copy of the file as it is beside it, under the name of one that
// was set aside, and returns its path. No transaction may be open.
func (o Opened) KeepCopy(now time.Time) (path string, err error) {
	h := o.h
	var f *os.File
	name, err := h.asideName(now)
	if err == nil {
		f, err = h.Folder.Create(name)
	}
	if err != nil {
		return "", fmt.Errorf("keep a copy of %s: %w", h.name, err)
	}
	if err = errors.Join(o.CopyTo(f), f.Sync(), f.Close(), h.Folder.Sync()); err != nil {
		return "", errors.Join(fmt.Errorf("keep a copy of %s: %w", h.name, err), h.Folder.Remove(name))
	}
	return h.Folder.File(name), nil
}

// CopyTo writes the file as it is. No commit may be going on; an open transaction may.
func (o Opened) CopyTo(w io.Writer) error {
	_, err := io.Copy(w, io.NewSectionReader(o.h.file, 0, 1<<62))
	return err
}

// NewestAside returns the path of the file that was set aside last, "" for none.
func (o Opened) NewestAside() string { return o.h.newestAside() }

func (p *place) newestAside() (newest string) {
	names, _ := p.Folder.Names()
	for _, name := range names { // in their order, and so of time
		if strings.HasPrefix(name, p.name+aside) {
			newest = p.Folder.File(name)
		}
	}
	return newest
}
