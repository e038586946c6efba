//go:build !unix

package folder

import (
	"io/fs"
	"os"
)

// Links is how many names a file has; 0 when it was removed, 1 when the system
// does not tell.
func Links(fs.FileInfo) uint64 { return 1 }

// syncHandle does nothing: a directory can't be synced here.
func syncHandle(*os.File, string) error { return nil }
