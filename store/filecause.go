package store

import (
	"errors"
	"io/fs"
	"syscall"
)

// CauseOfFile maps an error of the operating system to a cause, of any file, not
// only of products.db.
func CauseOfFile(err error) Cause {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return CauseFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return CauseReadOnly
	}
	return CauseIO
}
