package datadir

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock does nothing here: the stores' own locks have to do.
func tryLock(*os.File, bool) error { return nil }

// isFull reports whether err means that the disk or a quota is used up.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

func otherOwner(fs.FileInfo) (int, bool) { return 0, false }

func stored(info fs.FileInfo) int64 { return info.Size() }

// room returns how many bytes can still be written below path, and how many the
// disk holds in all, both of what we may use.
func room(path string) (free, total int64, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	var ours, all, left uint64
	if err := windows.GetDiskFreeSpaceEx(name, &ours, &all, &left); err != nil {
		return 0, 0, err
	}
	return int64(ours), int64(all), nil
}
