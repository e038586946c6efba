//go:build !unix || solaris || aix

package boltfile

import "os"

// lock does nothing here: bbolt's own lock, taken a moment later, has to do.
func lock(*os.File) error { return nil }

func unlock(*os.File) {}
