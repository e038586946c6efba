package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// pidWidth is the fixed length of the lock file. Writing over it needs no new
// space, so it also works on a full disk.
const pidWidth = 11

// lockStep is the pause between two tries for the lock.
const lockStep = 20 * time.Millisecond

// errHeld is returned by tryLock when another process holds the lock.
var errHeld = errors.New("lock is held")

// acquire opens the lock file and takes its lock.
func (d *Dir) acquire() error {
	f, err := d.openLock()
	if err != nil {
		return err
	}
	// A command that looks whether a server runs holds the lock for a moment:
	// that is why one failed try is not enough.
	for end := time.Now().Add(d.opts.Wait); ; time.Sleep(lockStep) {
		err = tryLock(f, true)
		if err == nil || !errors.Is(err, errHeld) || time.Now().After(end) {
			break
		}
	}
	if errors.Is(err, errHeld) {
		pid := readPID(f)
		_ = f.Close()
		return &LockedError{Path: d.Path(), PID: pid}
	}
	if err == nil {
		err = errors.Join(d.folder.Hold(lockFile, f), d.folder.Check())
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("lock: %w", err)
	}
	d.lock = f
	if err := writePID(f, os.Getpid()); err != nil {
		d.warn("the PID can't be written to the lock file: %v", err)
	}
	return nil
}

// openLock opens the lock file, making it when there is none. On a disk so full
// that it can't be made the ballast goes first.
func (d *Dir) openLock() (*os.File, error) {
	f, err := d.folder.Open(lockFile, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = d.folder.Create(lockFile)
	}
	if isFull(err) {
		d.dropBallast()
		f, err = d.folder.Create(lockFile)
	}
	if errors.Is(err, fs.ErrExist) { // another process has just made it
		f, err = d.folder.Open(lockFile, os.O_RDWR)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// writePID writes pid, or blanks for 0, over the whole lock file.
func writePID(f *os.File, pid int) error {
	text := ""
	if pid != 0 {
		text = strconv.Itoa(pid)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%-*s\n", pidWidth-1, text), 0); err != nil {
		return err
	}
	return f.Truncate(pidWidth)
}

// readPID reads the holder's PID. The holder writes it right after taking the
// lock; 0 means that it did not within a moment.
func readPID(f *os.File) int {
	for range 10 {
		buf := make([]byte, pidWidth)
		n, _ := f.ReadAt(buf, 0)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n]))); err == nil && pid > 0 {
			return pid
		}
		time.Sleep(lockStep)
	}
	return 0
}
