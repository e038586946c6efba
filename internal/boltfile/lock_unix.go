//go:build unix && !solaris && !aix

package boltfile

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lock takes bbolt's own lock on f before anything is read: a file that another
// process is writing would look damaged. bbolt takes it again on the same
// descriptor, which succeeds.
func lock(f *os.File) error {
	const timeout, step = time.Second, 50 * time.Millisecond
	for waited := time.Duration(0); ; waited += step {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if waited >= timeout {
			return ErrLocked
		}
		time.Sleep(step)
	}
}

// unlock releases the lock at once: closing the descriptor does not, as long as
// a mapping of the file exists.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
