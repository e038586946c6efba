// Package folder is a directory that is known by its handle, with files that are
// known by what was opened. Whoever keeps data there learns from it when a name
// leads to something else: somebody moved the directory, removed a file, or put
// another one in its place.
//
// What it promises:
//
//   - Every name is looked up in the directory that was opened, wherever its path
//     leads later. So nothing is renamed, removed or written in somebody else's.
//   - A file is opened when it is a regular one of this directory. A symbolic link
//     is refused, and a pipe or device is neither opened nor waited for. The
//     directory itself may be reached by a link.
//   - Check and Same tell what a path or name leads to now. Between a look and what
//     follows somebody can still change it: look again afterwards before you say
//     that something is done.
//
// A file with more than one name is fine (a snapshot by hard links); Links tells
// how many, for who would write over it. Nothing is kept in memory that a crash
// could lose.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// LostError says that a name no longer leads to what was opened.
type LostError struct {
	Path string // of the file or the directory
	Dir  bool   // it is the directory itself, or what keeps others out of it
	// Replaced: something else is there now. Otherwise nothing is.
	Replaced bool
	// Removed: the directory is gone with all that it held, as far as the system
	// tells it. Otherwise it is somewhere else.
	Removed bool
}

func (e *LostError) Error() string {
	switch {
	case e.Dir && e.Replaced:
		return "another folder or lock has taken the place of " + e.Path
	case e.Dir:
		return e.Path + " was " + e.Deed() + " while it was in use"
	case e.Replaced:
		return "another file has taken the place of " + e.Path + " while it was in use"
	}
	return e.Path + " was removed while it was in use"
}

// Deed says what happened to the directory.
func (e *LostError) Deed() string {
	if e.Removed {
		return "removed"
	}
	return "moved"
}

// ErrNotRegular is returned for a name that is no regular file.
var ErrNotRegular = errors.New("not a regular file")

// Folder is an open directory. It is safe for concurrent use.
type Folder struct {
	path string
	root *os.Root
	self fs.FileInfo

	mu    sync.Mutex
	locks map[string]fs.FileInfo
}

// Open opens the directory at path, which has to exist.
func Open(path string) (*Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	// With the dot a pipe is refused too, instead of waited for.
	root, err := os.OpenRoot(path + string(filepath.Separator) + ".")
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	return opened(path, root)
}

func opened(path string, root *os.Root) (*Folder, error) {
	self, err := root.Stat(".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open folder %s: %w", path, err), root.Close())
	}
	return &Folder{path: path, root: root, self: self, locks: map[string]fs.FileInfo{}}, nil
}

// Sub opens a directory in this one, by the handle of this one.
func (f *Folder) Sub(name string) (*Folder, error) {
	root, err := f.root.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("open folder %s: %w", f.File(name), err)
	}
	return opened(f.File(name), root)
}

// Close gives up the handle. What is open in the directory stays open.
func (f *Folder) Close() error { return f.root.Close() }

// Root is the handle, for what else is to be done in the directory.
func (f *Folder) Root() *os.Root { return f.root }

// Path is the absolute path by which the directory was opened.
func (f *Folder) Path() string { return f.path }

// File is the path of a file, for who can't open it by its handle.
func (f *Folder) File(name string) string { return filepath.Join(f.path, name) }

// Hold has Check hold, from now on, that name leads to the open file: the lock
// that keeps others out of the directory.
func (f *Folder) Hold(name string, file *os.File) error {
	id, err := file.Stat()
	if err != nil {
		return fmt.Errorf("look at %s: %w", f.File(name), err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locks[name] = id
	return nil
}

// Check returns nil when the path leads to this directory and each name given to
// Hold to its file. Otherwise the error is a *LostError with Dir set, or what the
// system said when it can't be told. It costs a look or two at names, and no disk.
func (f *Folder) Check() error {
	now, err := os.Stat(f.path)
	if err := lost(f.path, true, f.self, now, err); err != nil {
		if lost, ok := errors.AsType[*LostError](err); ok {
			self, err := f.root.Stat(".")
			lost.Removed = err == nil && Links(self) == 0
		}
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, id := range f.locks {
		now, err := f.root.Lstat(name)
		if err := lost(f.File(name), true, id, now, err); err != nil {
			return err
		}
	}
	return nil
}

// Same returns nil when name leads to the file id; otherwise a *LostError, or what
// the system said when it can't be told.
func (f *Folder) Same(name string, id fs.FileInfo) error {
	now, err := f.root.Lstat(name)
	return lost(f.File(name), false, id, now, err)
}

func lost(path string, dir bool, id, now fs.FileInfo, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return &LostError{Path: path, Dir: dir}
	case err != nil:
		return fmt.Errorf("look at %s: %w", path, err)
	case !os.SameFile(id, now):
		return &LostError{Path: path, Dir: dir, Replaced: true}
	}
	return nil
}

// Info tells what a name leads to. The error is fs.ErrNotExist when there is
// nothing, ErrNotRegular for all that is no regular file, a link too.
func (f *Folder) Info(name string) (fs.FileInfo, error) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", f.File(name), err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %w", f.File(name), ErrNotRegular)
	}
	return info, nil
}

// Open opens a file that exists, for reading (os.O_RDONLY) or for both
// (os.O_RDWR). Errors are those of Info, and a *LostError when the name changed
// meanwhile.
func (f *Folder) Open(name string, flag int) (*os.File, error) {
	id, err := f.Info(name)
	if err != nil {
		return nil, err
	}
	// Should a pipe have come meanwhile, it must not be waited for.
	file, err := f.root.OpenFile(name, flag&(os.O_RDONLY|os.O_RDWR)|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.File(name), err)
	}
	now, err := file.Stat()
	if err := lost(f.File(name), false, id, now, err); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Create makes a new file, mode 0600. The error is fs.ErrExist when the name is
// taken, by whatever.
func (f *Folder) Create(name string) (*os.File, error) {
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", f.File(name), err)
	}
	return file, nil
}

// Rename gives a file another name; what had that name is gone.
func (f *Folder) Rename(from, to string) error { return f.root.Rename(from, to) }

// Link gives a file a second name; fs.ErrExist when that is taken.
func (f *Folder) Link(from, to string) error { return f.root.Link(from, to) }

// Remove removes a name; one that is not there is fine.
func (f *Folder) Remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveDatabase removes a database of SQLite with what SQLite keeps beside it. The
// database goes first: it is not whole without its journal or log. A death in between
// leaves one of these, which SQLite would put into the next database of that name, so
// whoever makes one calls this before.
func (f *Folder) RemoveDatabase(name string) error {
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := f.Remove(name + suffix); err != nil {
			return err
		}
	}
	return nil
}

// Names returns the names in the directory, in their order.
func (f *Folder) Names() ([]string, error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", f.path, err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Sync makes names durable. Some file systems can't sync a directory and say so;
// there is nothing more to do there.
func (f *Folder) Sync() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return fmt.Errorf("sync %s: %w", f.path, err)
	}
	defer dir.Close()
	return syncHandle(dir, f.path)
}

// Replace puts content at name as a whole, mode 0600: after a crash there is the
// old file or the new one. What is no regular file is left alone: ErrNotRegular.
func (f *Folder) Replace(name string, content []byte) error {
	unfinished := name + ".unfinished"
	for _, name := range []string{name, unfinished} {
		if _, err := f.Info(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := f.Remove(unfinished); err != nil { // of a process that died
		return fmt.Errorf("write %s: %w", f.File(name), err)
	}
	file, err := f.Create(unfinished)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = f.Rename(unfinished, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", f.File(name), err), f.Remove(unfinished))
	}
	return f.Sync()
}

// SyncPath makes the names in the directory at path durable, as Sync does.
func SyncPath(path string) error {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // one that we may enter but not read
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	defer dir.Close()
	return syncHandle(dir, path)
}
