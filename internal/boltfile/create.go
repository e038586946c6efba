package boltfile

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/internal/folder"
)

// Infixes of the temporary files; what follows them is random.
const (
	tempNew     = ".new-"
	tempRewrite = ".rewrite-"
)

// place is where a file lies, and how it is opened there.
type place struct {
	Options        // with a folder
	own     bool   // the folder is closed with the file
	name    string // in the folder
}

func (p *place) path() string { return p.Folder.File(p.name) }

// create puts a sound, empty file at the name, or nothing: a crash in between
// leaves a temporary file that the next Open removes.
func (p *place) create() error {
	p.removeLeftovers()
	_, err := p.put("create", tempNew, nil, func(f *os.File) error {
		if err := p.at("create: before write"); err != nil {
			return errors.Join(err, f.Close())
		}
		db, err := bbolt.Open(p.path(), 0o600, boltOptions(f))
		if err != nil {
			return err
		}
		return db.Close()
	})
	return err
}

// put has fill write a new file, syncs it, gives it the name and syncs the
// directory. fill closes the file. The name has to lead to old, which goes; nil:
// to nothing. made is the new file once it has the name, also when what followed
// failed.
func (p *place) put(what, infix string, old fs.FileInfo, fill func(*os.File) error) (made fs.FileInfo, err error) {
	tmp := p.name + infix + strconv.FormatUint(rand.Uint64(), 36)
	f, err := p.Folder.Create(tmp)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Folder.Remove(tmp)) }() // unless renamed
	id, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err = fill(f); err != nil {
		return nil, err
	}
	if f, err = p.Folder.Open(tmp, os.O_RDWR); err != nil {
		return nil, err
	}
	if _, err = examine(f); err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close(), p.Folder.Same(tmp, id), p.at(what+": before rename"))
	if err == nil {
		err = p.rename(tmp, old)
	}
	if err != nil {
		return nil, err
	}
	return id, errors.Join(p.at(what+": before directory sync"), p.Folder.Sync())
}

// rename gives tmp the file's name; old is as in put.
func (p *place) rename(tmp string, old fs.FileInfo) error {
	if err := p.Folder.Check(); err != nil {
		return err
	}
	if old != nil {
		if err := p.Folder.Same(p.name, old); err != nil {
			return err
		}
		return p.Folder.Rename(tmp, p.name)
	}
	// A link, unlike a rename, takes the name from nobody.
	err := p.Folder.Link(tmp, p.name)
	if err == nil {
		return p.Folder.Remove(tmp)
	}
	_, taken := p.Folder.Info(p.name)
	switch {
	case errors.Is(taken, fs.ErrNotExist): // a file system without links
		return p.Folder.Rename(tmp, p.name)
	case errors.Is(err, fs.ErrExist):
		return &folder.LostError{Path: p.path(), Replaced: true}
	}
	return err
}

// removeLeftovers removes the temporary files of a creation or a copy that did
// not end. They never had the file's name, so nothing was acknowledged in them.
func (p *place) removeLeftovers() {
	names, _ := p.Folder.Names()
	for _, name := range names {
		if !strings.HasPrefix(name, p.name+tempNew) && !strings.HasPrefix(name, p.name+tempRewrite) {
			continue
		}
		if err := p.Folder.Remove(name); err != nil {
			p.Logger.Warn("temporary file of an unfinished copy could not be removed", "file", p.Folder.File(name), "error", err)
		}
	}
}

// boltOptions are the settings every file is opened with. bbolt has to use f.
func boltOptions(f *os.File) *bbolt.Options {
	return &bbolt.Options{
		Timeout:        time.Second,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		NoStatistics:   true,
		OpenFile:       func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	}
}
