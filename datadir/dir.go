package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"stockroom/folder"
)

// Names of the files in a data dir.
const (
	StateFile    = "state.db"
	QueueFile    = "queue.db"
	ProductsFile = "products.db"
	OpenPage     = "open.html" // leads a browser to a one-time link
	ExportPrefix = ".export-"  // of a folder with a copy of products.db, which is being exported

	lockFile    = "lock"
	adminFile   = "admin.json"
	ballastFile = "ballast"
	probeFile   = "probe"
)

// Options says how to open a data dir. The zero value is ready to use.
type Options struct {
	// Wait is how long to wait for the lock, at most. Default 1 s (zero).
	Wait time.Duration
	// Ballast is the size of the ballast file in bytes. Default 4 MiB (zero);
	// negative: none.
	Ballast int64
	// BallastSpare is how much must be free beyond the ballast itself before it
	// is made again, in bytes. Default three times Ballast (zero).
	BallastSpare int64
}

func (o Options) withDefaults() Options {
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Ballast == 0 {
		o.Ballast = 4 << 20
	}
	if o.BallastSpare == 0 {
		o.BallastSpare = 3 * o.Ballast
	}
	return o
}

// needed is how much must be free for the ballast to be made again.
func (o Options) needed() int64 { return o.Ballast + o.BallastSpare }

// Dir is a data dir that this process holds. It is safe for concurrent use.
type Dir struct {
	// Warnings are sentences for the log, about things that are not as they
	// should be and do not stop us.
	Warnings []string

	path   string
	made   bool
	folder *folder.Folder
	lock   *os.File
	opts   Options

	mu       sync.Mutex // guards what follows
	closed   bool
	released bool // the ballast was given up and not made again
}

// Open makes the data dir at path if there is none, locks it, and looks after
// its ballast. The error is a LockedError or a DirError; callers exit with
// code 4. On a full disk the ballast is released at once, so that the stores
// can open.
func Open(path string, o Options) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, dirError(path, err)
	}
	d := &Dir{path: path, opts: o.withDefaults()}
	if err := d.make(); err != nil {
		return nil, dirError(path, err)
	}
	if d.folder, err = folder.Open(path); err != nil {
		return nil, dirError(path, err)
	}
	if err := d.acquire(); err != nil {
		_ = d.folder.Close()
		var locked *LockedError
		if errors.As(err, &locked) {
			return nil, err
		}
		return nil, dirError(path, err)
	}
	d.removeLeftovers()
	d.openBallast()
	return d, nil
}

// Folder is the dir by its handle, for the stores. Its Check says whether the dir
// and its lock are still those that were opened. Close ends it.
func (d *Dir) Folder() *folder.Folder { return d.folder }

// Path returns the absolute path of the dir.
func (d *Dir) Path() string { return d.path }

// Made reports whether Open made the dir because there was none.
func (d *Dir) Made() bool { return d.made }

// File returns the path of a file in the dir.
func (d *Dir) File(name string) string { return filepath.Join(d.path, name) }

// Close removes admin.json and gives up the lock. Close the stores first.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	err := removeFile(d.File(adminFile))
	// Who finds the lock held next must not read our PID.
	_ = writePID(d.lock, 0)
	if cerr := errors.Join(d.lock.Close(), d.folder.Close()); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("close data dir: %w", err)
	}
	return nil
}

// make makes the dir, durably, or checks the one that is there.
func (d *Dir) make() error {
	info, err := os.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAll(d.path); err != nil {
			return err
		}
		d.made = true
		info, err = os.Stat(d.path)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w", syscall.ENOTDIR)
	}
	if err := d.refuseForeign(); err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(d.path, 0o700); err != nil {
			d.Warnings = append(d.Warnings, fmt.Sprintf("other users can look into %s, and that can't be changed: %v", d.path, err))
		}
	}
	if owner, other := otherOwner(info); other {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s belongs to user %d and this is user %d: files made now may be closed to that user later", d.path, owner, os.Geteuid()))
	}
	return nil
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
	return syncDir(parent)
}

// refuseForeign keeps us from taking over, and closing to others, a folder that
// is used for something else, such as a home directory.
func (d *Dir) refuseForeign() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	ours := []string{StateFile, QueueFile, ProductsFile, lockFile}
	foreign := ""
	for _, e := range entries {
		if slices.Contains(ours, e.Name()) {
			return nil
		}
		if e.Name() != "lost+found" && e.Name() != ballastFile && !strings.HasPrefix(e.Name(), ".") {
			foreign = e.Name()
		}
	}
	if foreign != "" {
		return fmt.Errorf("it holds other files (%s) and no data of Stockroom", foreign)
	}
	return nil
}

// removeLeftovers removes what a dead process left. Of a folder it removes our
// files and then the folder, unless somebody put something else there.
func (d *Dir) removeLeftovers() {
	old, _ := filepath.Glob(d.File(adminFile + ".*"))
	folders, _ := filepath.Glob(d.File(ExportPrefix + "*"))
	for _, path := range folders {
		number := strings.TrimPrefix(filepath.Base(path), ExportPrefix)
		if info, err := os.Lstat(path); err != nil || !info.IsDir() || strings.Trim(number, "0123456789") != "" {
			continue // not ours
		}
		file := filepath.Join(path, ProductsFile)
		old = append(old, file, file+"-journal", path)
	}
	for _, path := range append(old, d.File(adminFile), d.File(probeFile), d.File(OpenPage)) {
		if err := removeFile(path); err != nil {
			d.Warnings = append(d.Warnings, fmt.Sprintf("a file of an earlier run can't be removed: %v", err))
		}
	}
}

// removeFile removes a file; one that is not there is fine.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes names in dir durable. Some file systems can't sync a folder and
// say so; there is nothing more to do there.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil // a parent that we may enter but not read
		}
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
