package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"stockroom/internal/folder"
)

var (
	// ErrDamaged is what errors.Is finds when the content of a file is not what
	// was written to it.
	ErrDamaged = errors.New("damaged file")
	// ErrLocked is returned when another process holds the file.
	ErrLocked = errors.New("file is locked by another process")
	// errUnsure says that the name leads to a copy of ours that may not be on disk.
	errUnsure = errors.New("a copy has taken its name but may not be on disk")
)

// Removed reports whether err says that the name of an open file leads to
// nothing. Opened.Mend puts the file back.
func Removed(err error) bool {
	lost, ok := errors.AsType[*folder.LostError](err)
	return ok && !lost.Dir && !lost.Replaced
}

// Lost reports whether err says that the name of an open file, its directory or
// the directory's lock lead to something else, so that nothing may be done there.
func Lost(err error) bool {
	lost, ok := errors.AsType[*folder.LostError](err)
	return ok && (lost.Dir || lost.Replaced)
}

// DamageError says what is wrong with a file. errors.Is(err, ErrDamaged) holds.
type DamageError struct {
	// Reason is one plain phrase without data from the file.
	Reason string
	// Stack is where a recovered fault or panic came from, nil for a finding of
	// the page check.
	Stack []byte
}

func (e *DamageError) Error() string        { return "damaged file: " + e.Reason }
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

func damagef(format string, args ...any) error {
	return &DamageError{Reason: fmt.Sprintf(format, args...)}
}

// WroteNothing reports whether a failed commit was refused before any sync and
// before the meta page could change: the disk or the quota is full, or a size
// limit was hit. The handle is then as good as before. After any other failed
// commit it is not known what the disk holds, and the file has to be copied
// afresh before another commit may be acknowledged, which Opened.Mend does.
func WroteNothing(err error) bool {
	var pe *fs.PathError
	if !errors.As(err, &pe) || pe.Op != "write" {
		return false
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
