package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"stockroom/internal/folder"
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
	var lost *folder.LostError
	if errors.As(e.Err, &lost) && lost.Dir {
		return lostWords(e.Path, lost)
	}
	return fmt.Sprintf("can't use the data dir %s: %v; %s", e.Path, e.Err, e.Do)
}

func (e *DirError) Unwrap() error { return e.Err }

// Lost returns the error that says that the data dir is not there any more, and
// what to do, when err has that for its cause; else nil.
func Lost(path string, err error) *DirError {
	var lost *folder.LostError
	if !errors.As(err, &lost) || !lost.Dir {
		return nil
	}
	return &DirError{Path: path, Err: err}
}

func lostWords(path string, lost *folder.LostError) string {
	if lost.Path != path {
		return "the lock file of the data dir " + path + " was removed or replaced while Stockroom ran, so another server may " +
			"have started there; it stops. What it acknowledged is in that dir. Start Stockroom again when no other server runs there"
	}
	what, next := "the data dir "+path, " What it acknowledged is in the moved dir. Move it back, or start Stockroom with --data and its new path"
	if lost.Replaced {
		what = "another folder is at " + path + " now: the data dir"
	}
	if lost.Removed {
		next = " What it held is gone with it. Bring it back from a backup, or start Stockroom again with an empty dir and connect the shops again"
	}
	return what + " was " + lost.Deed() + " while Stockroom ran; it stops." + next
}

// dirError adds to err what helps against it.
func dirError(path string, err error) error { return &DirError{Path: path, Do: Mend(err), Err: err} }

// Mend says what helps against an error of a data dir.
func Mend(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "give it to the user that runs Stockroom (chown), or choose another with --data"
	case errors.Is(err, syscall.EROFS):
		return "mount its file system writable, or choose another with --data"
	case errors.Is(err, syscall.ENOSPC):
		return "make room on its disk"
	case errors.Is(err, folder.ErrNotRegular):
		return "Stockroom keeps a file of its own under that name: put the file itself in the place of a link " +
			"(the whole dir may be a link), move anything else away, and start again"
	case errors.Is(err, syscall.ENOTDIR):
		return "a file is where a folder should be, choose another path with --data"
	}
	return "choose another with --data"
}
