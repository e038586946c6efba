package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrUnavailable says that the catalogue can't take a change now although the
// change itself may be good: it is locked, full, read-only, being reopened or
// closed. Nothing of the change is kept; the caller may try again or keep the
// change elsewhere.
var ErrUnavailable = errors.New("the catalogue can't be written now")

// ErrOtherShop says that another shop's row holds the product's id.
var ErrOtherShop = errors.New("another shop's product has this id")

// ErrNotFound says that there is no such row.
var ErrNotFound = errors.New("not found")

// UnavailableError is an ErrUnavailable with its cause. Transient ones are
// worth another try within seconds.
type UnavailableError struct {
	Cause     Cause
	Transient bool
	Err       error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%v: %s: %v", ErrUnavailable, e.Cause, e.Err)
}

func (e *UnavailableError) Unwrap() []error { return []error{ErrUnavailable, e.Err} }

// Cause is why the catalogue can't be written, from a closed set that serves
// as a metric label.
type Cause string

// The causes.
const (
	CauseLocked   Cause = "locked"    // another process holds the write lock
	CauseFull     Cause = "disk_full" // no space, no inodes or a file size limit
	CauseReadOnly Cause = "read_only" // rights, read-only mount, immutable file
	CauseIO       Cause = "io_error"  // a read, write or fsync failed
	CauseDamaged  Cause = "damaged"   // the file is no sound database
	CauseLost     Cause = "lost"      // a file was removed or replaced, or the folder was moved, while in use
	CauseClosed   Cause = "closed"    // the store is closed or being reopened
	CauseSlow     Cause = "slow_disk" // the disk has not finished a sync for longer than the caller waits
	CauseTimeout  Cause = "timeout"   // no commit for as long as the caller waits, and nothing known behind it
)

// Words says the cause to a person.
func (c Cause) Words() string {
	if text, ok := causeWords[c]; ok {
		return text
	}
	return "the catalogue is being opened"
}

var causeWords = map[Cause]string{
	CauseLocked:   "another program holds products.db locked",
	CauseFull:     "the disk is full",
	CauseReadOnly: "products.db can't be written (rights or a read-only disk)",
	CauseIO:       "the disk reported an error",
	CauseDamaged:  "products.db is damaged",
	CauseLost:     "a file of the catalogue was moved, removed or replaced while it was in use",
	CauseSlow:     "the disk is too slow to answer in time",
	CauseTimeout:  "the catalogue did not answer in time",
}

// classify turns an SQLite error into an UnavailableError when the cause lies
// with the file, the disk or another process. Other errors concern the one
// change and are returned as they are. It goes by result code, never by text.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var already *UnavailableError
	if errors.As(err, &already) {
		return err
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return err
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return &UnavailableError{Cause: CauseLocked, Transient: true, Err: err}
	case sqlite3.SQLITE_FULL:
		return &UnavailableError{Cause: CauseFull, Err: err}
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN:
		return &UnavailableError{Cause: CauseReadOnly, Err: err}
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_NOMEM:
		return &UnavailableError{Cause: CauseIO, Err: err}
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return &UnavailableError{Cause: CauseDamaged, Err: err}
	case sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_ABORT:
		return &UnavailableError{Cause: CauseClosed, Transient: true, Err: err}
	}
	return err
}

// CauseOf returns the cause of an unavailable catalogue, "" for any other
// error.
func CauseOf(err error) Cause {
	var u *UnavailableError
	if errors.As(err, &u) {
		return u.Cause
	}
	return ""
}

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
