//go:build unix

package datadir

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock, alone or shared with others who only look, without
// waiting.
func tryLock(f *os.File, alone bool) error {
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errHeld
		}
		return err
	}
}

// isFull reports whether err means that the disk, its inodes or a quota are
// used up.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// otherOwner returns the owner of a file, and whether that is not us.
func otherOwner(info fs.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), int(st.Uid) != os.Geteuid()
}

// stored returns how many bytes a file takes on the disk: less than its length
// when it has holes.
func stored(info fs.FileInfo) int64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Size()
	}
	return st.Blocks * 512
}

// room returns how many bytes can still be written below path, and how many the
// disk holds in all of what we may use.
func room(path string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, err
	}
	// The types of the fields differ between systems. What is kept back for root
	// is neither free nor part of the whole.
	block := int64(st.Bsize)
	free = int64(st.Bavail) * block
	return free, int64(st.Blocks-st.Bfree)*block + free, nil
}
