package store

import (
	"errors"
	"io/fs"
	"syscall"
)

// causeOfFile maps an error of the operating system to a cause.
func causeOfFile(err error) Cause {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return CauseFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return CauseReadOnly
	}
	return CauseIO
}
