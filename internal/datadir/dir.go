package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/folder"
)

// Names of the files in a data dir.
const (
	StateFile    = "state.db"
	QueueFile    = "queue.db"
	ProductsFile = "products.db"
	LogFile      = "stockroom.log" // of a server whose log nobody else keeps; beside it the one before, .1
	OpenPage     = "open.html"     // leads a browser to a one-time link
	Certificates = "certificates"  // a folder, of package certs
	// BackupsFolder is where backups lie that are made by schedule.
	BackupsFolder = "backups"

	workPrefix  = ".export-" // of a folder with copies of stores on their way out or in
	lockFile    = "lock"
	adminFile   = "admin.json"
	ballastFile = "ballast"
	probeFile   = "probe"
)

var stores = []string{StateFile, QueueFile, ProductsFile}

// Options says how to open a data dir. The zero value is ready to use.
type Options struct {
	// Wait is how long to wait for the lock, at most. Default 1 s (zero).
	Wait time.Duration
	// Ballast is the size of the ballast file in bytes. Default 4 MiB (zero);
	// negative: none.
	Ballast int64
}

func (o Options) withDefaults() Options {
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Ballast == 0 {
		o.Ballast = 4 << 20
	}
	return o
}

// Dir is a data dir that this process holds. It is safe for concurrent use.
type Dir struct {
	// Warnings are sentences for the log, about things that are not as they
	// should be and do not stop us.
	Warnings []string

	made   bool
	folder *folder.Folder
	lock   *os.File
	opts   Options

	mu       sync.Mutex // guards what follows
	closed   bool
	released bool   // the ballast was given up and not made again
	admin    []byte // admin.json as announced
}

// Open makes the data dir at path if there is none, locks it, and looks after
// its ballast. The error is a LockedError or a DirError; callers exit with
// code 4. On a full disk the ballast is released at once, so that the stores
// can open.
func Open(path string, o Options) (*Dir, error) {
	d := &Dir{opts: o.withDefaults()}
	err := d.make(path)
	if err == nil {
		err = d.acquire()
	}
	if err != nil {
		if d.folder != nil {
			path = d.Path()
			_ = d.folder.Close()
		}
		var locked *LockedError
		if errors.As(err, &locked) {
			return nil, err
		}
		return nil, dirError(path, err)
	}
	if err := d.endReplacing(); err != nil {
		return nil, errors.Join(dirError(d.Path(), err), d.Close())
	}
	d.removeLeftovers()
	d.openBallast()
	return d, nil
}

// Folder is the dir by its handle, for the stores. Its Check says whether the dir
// and its lock are still those that were opened; Lost has the words for it. Close
// ends it.
func (d *Dir) Folder() *folder.Folder { return d.folder }

// Path returns the absolute path of the dir.
func (d *Dir) Path() string { return d.folder.Path() }

// Made reports whether Open made the dir because there was none.
func (d *Dir) Made() bool { return d.made }

// File returns the path of a file in the dir.
func (d *Dir) File(name string) string { return d.folder.File(name) }

// Missing reports whether there is no such file in the dir.
func (d *Dir) Missing(name string) bool {
	_, err := d.folder.Info(name)
	return errors.Is(err, fs.ErrNotExist)
}

// Close removes admin.json and gives up the lock. Close the stores first.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	id, err := d.lock.Stat()
	if err == nil && d.folder.Same(lockFile, id) == nil { // else admin.json is another server's
		if _, none := d.folder.Info(adminFile); none == nil {
			err = d.folder.Remove(adminFile)
		}
	}
	// Who finds the lock held next must not read our PID.
	_ = writePID(d.lock, 0)
	if err := errors.Join(err, d.lock.Close(), d.folder.Close()); err != nil {
		return fmt.Errorf("close data dir: %w", err)
	}
	return nil
}

// make makes the dir, durably, or checks the one that is there.
func (d *Dir) make(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := makeAll(path); err != nil {
			return err
		}
		d.made = true
	case err == nil && !info.IsDir():
		return fmt.Errorf("%w", syscall.ENOTDIR)
	}
	if d.folder, err = folder.Open(path); err != nil {
		return err
	}
	info, err = d.folder.Root().Stat(".")
	if err != nil {
		return err
	}
	if err := d.refuseForeign(); err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := d.folder.Root().Chmod(".", 0o700); err != nil {
			d.warn("other users can look into %s, and that can't be changed: %v", path, err)
		}
	}
	if owner, other := otherOwner(info); other {
		d.warn("%s belongs to user %d and this is user %d: files made now may be closed to that user later", path, owner, os.Geteuid())
	}
	return nil
}

// Rights are what is amiss with the rights of the dir and what is in it.
type Rights struct {
	Open    bool     // other users can look into the dir
	Exposed []string // what they could read or write then
	Foreign []string // what belongs to another user
}

// Rights looks at the rights of all files. Windows has no such rights; there nothing is amiss.
func (d *Dir) Rights() (r Rights, err error) {
	if runtime.GOOS == "windows" {
		return r, nil
	}
	err = fs.WalkDir(d.folder.Root().FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it went meanwhile
			return nil
		}
		info, ierr := e.Info()
		if err != nil || ierr != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		if _, other := otherOwner(info); other {
			r.Foreign = append(r.Foreign, name)
		}
		switch open := info.Mode().Perm()&0o077 != 0; {
		case open && name == ".":
			r.Open = true
		case open:
			r.Exposed = append(r.Exposed, name)
		}
		return nil
	})
	return r, err
}

func (d *Dir) warn(format string, args ...any) {
	d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...))
}

// makeAll makes path and the folders above it, each synced into its parent
// before anything is put into it.
func makeAll(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := makeAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return folder.SyncPath(parent)
}

// refuseForeign keeps us from taking over, and closing to others, a folder that
// is used for something else, such as a home directory, and one in which a store
// would be written elsewhere, by a link, or wait for ever, for a pipe.
func (d *Dir) refuseForeign() error {
	names, err := d.folder.Names()
	if err != nil {
		return err
	}
	ours, foreign := false, ""
	for _, name := range names {
		switch name {
		case StateFile, QueueFile, ProductsFile, ProductsFile + "-wal", ProductsFile + "-shm", lockFile:
			if _, err := d.folder.Info(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			ours = true
		case "lost+found", ballastFile, config.FileName, Certificates, LogFile, LogFile + ".1":
		default:
			if !strings.HasPrefix(name, ".") && name != BackupsFolder && !Kept(name) {
				foreign = name
			}
		}
	}
	if foreign != "" && !ours {
		return fmt.Errorf("it holds other files (%s) and no data of Stockroom", foreign)
	}
	return nil
}

// removeLeftovers removes what a dead process left. Of a folder it removes our
// files and then the folder, unless somebody put something else there.
func (d *Dir) removeLeftovers() {
	names, err := d.folder.Names()
	if err != nil {
		d.warn("files of an earlier run can't be looked for: %v", err)
	}
	for _, name := range names {
		number, work := strings.CutPrefix(name, workPrefix)
		switch {
		case work && number != "" && strings.Trim(number, "0123456789") == "":
			err = d.removeWork(name)
		case name == probeFile, name == adminFile, strings.HasPrefix(name, adminFile+"."), name == OpenPage, strings.HasPrefix(name, OpenPage+"."):
			err = removeOurs(d.folder, name)
		default:
			continue
		}
		if err != nil {
			d.warn("a file of an earlier run can't be removed: %v", err)
		}
	}
}

// Work is a folder in a data dir for copies of stores.
type Work struct {
	*folder.Folder
	in   *folder.Folder
	name string
}

// MakeWork makes one. Whoever made it ends it; the next Open removes that of a process
// that died.
func MakeWork(in *folder.Folder) (*Work, error) {
	name := workPrefix + strconv.FormatUint(rand.Uint64(), 10)
	if err := in.Root().Mkdir(name, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for copies: %w", err)
	}
	work, err := in.Sub(name)
	if err != nil {
		return nil, errors.Join(err, in.Remove(name))
	}
	return &Work{work, in, name}, nil
}

// End removes the folder with what is in it. A second call does nothing.
func (w *Work) End() error { return errors.Join(w.in.Root().RemoveAll(w.name), w.Close()) }

func (d *Dir) removeWork(name string) error {
	if info, err := d.folder.Root().Lstat(name); err != nil || !info.IsDir() {
		return err // or not ours
	}
	work, err := d.folder.Sub(name)
	if err != nil {
		return err
	}
	defer work.Close()
	files, err := work.Names()
	for _, file := range files {
		if isStore(file) || file == config.FileName {
			err = errors.Join(err, removeOurs(work, file))
		}
	}
	return errors.Join(err, d.folder.Remove(name))
}

// removeOurs removes a file that we may have made: a regular one. One that is not
// there is fine.
func removeOurs(f *folder.Folder, name string) error {
	_, err := f.Info(name)
	if err == nil {
		return f.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%w; move it away", err)
}
