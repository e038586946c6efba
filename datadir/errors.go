package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// ErrNoServer is returned by ReadAdmin when no server runs on the data dir.
var ErrNoServer = errors.New("no server is running on this data dir")

// LockedError says that another process holds the data dir.
type LockedError struct {
	Path string // the data dir
	PID  int    // the holder, 0 when it could not be learnt
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another process is using the data dir %s; stop it first, or choose another dir with --data", e.Path)
	}
	return fmt.Sprintf("process %d is using the data dir %s; stop it first, or choose another dir with --data", e.PID, e.Path)
}

// DirError says why a data dir can't be used and what to do.
type DirError struct {
	Path string
	Do   string // what to do, one phrase
	Err  error
}

func (e *DirError) Error() string {
	return fmt.Sprintf("can't use the data dir %s: %v; %s", e.Path, e.Err, e.Do)
}

func (e *DirError) Unwrap() error { return e.Err }

// dirError adds to err what helps against it.
func dirError(path string, err error) error {
	do := "choose another with --data"
	switch {
	case errors.Is(err, fs.ErrPermission):
		do = "give it to the user that runs Stockroom (chown), or choose another with --data"
	case errors.Is(err, syscall.EROFS):
		do = "mount its file system writable, or choose another with --data"
	case errors.Is(err, syscall.ENOSPC):
		do = "make room on its disk"
	case errors.Is(err, syscall.ENOTDIR):
		do = "a file is where a folder should be, choose another path with --data"
	}
	return &DirError{Path: path, Do: do, Err: err}
}
