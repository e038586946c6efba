//go:build !unix || solaris || aix

package boltfile

import (
	"os"
	"time"
)

// lock does nothing here: bbolt's own lock, taken a moment later, has to do.
func lock(*os.File, time.Duration) error { return nil }

func unlock(*os.File) {}
