//go:build unix

package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Links is how many names a file has; 0 when it was removed, 1 when the system
// does not tell.
func Links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink) // its type differs between systems
	}
	return 1
}

func syncHandle(dir *os.File, path string) error {
	err := dir.Sync()
	if err == nil || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return fmt.Errorf("sync %s: %w", path, err)
}
