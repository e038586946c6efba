package queue

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrUnavailable is returned when the file can't take or give anything right
	// now (disk full, failed sync, damage just found). The cause is wrapped. The
	// queue recovers; the caller may try again.
	ErrUnavailable = errors.New("queue is unavailable")
	// ErrClosed is returned after Close was called.
	ErrClosed = errors.New("queue is closed")
	// ErrNotFound is returned for an id that names no job (any more).
	ErrNotFound = errors.New("no such job")
	// ErrInvalid is returned for a job whose kind, key, labels or payload break
	// the limits of NewJob.
	ErrInvalid = errors.New("invalid job")
)

// Class says what kind of failure made a dead letter. The set is closed.
type Class string

const (
	ClassUpstream   Class = "upstream"   // the other side failed or did not answer
	ClassAuth       Class = "auth"       // the other side refused our credentials or scope
	ClassValidation Class = "validation" // the other side understood and refused
	ClassConflict   Class = "conflict"   // the state on one side does not allow it
	ClassStorage    Class = "storage"    // our own store failed
	ClassBug        Class = "bug"        // a handler panicked
	ClassCrash      Class = "crash"      // the process ended three times with the job leased
	ClassPoison     Class = "poison"     // the payload can't be understood
	ClassDamaged    Class = "damaged"    // the payload on disk is not what was written
	ClassUnknown    Class = "unknown"    // a handler's error carried no class
	ClassTimeout    Class = "timeout"    // a handler took longer than a job of its kind may
)

// classes are the classes by their number on disk; only ever append.
var classes = [...]Class{"", ClassUpstream, ClassAuth, ClassValidation, ClassConflict, ClassStorage,
	ClassBug, ClassCrash, ClassPoison, ClassDamaged, ClassUnknown, ClassTimeout}

func (c Class) number() byte {
	if i := slices.Index(classes[:], c); i >= 0 {
		return byte(i)
	}
	return ClassUnknown.number()
}

// permanentError is an error with a class that no further try can mend.
type permanentError struct{ classError }

// Permanent marks an error that no further try can mend: the job is dead at
// once. Without a class it is the class err carries (see WithClass), else
// ClassValidation.
func Permanent(err error, class ...Class) error {
	c := classOf(err, ClassValidation)
	if len(class) > 0 {
		c = class[0]
	}
	return &permanentError{classError{err, c}}
}

// classError is an error with a class.
type classError struct {
	err   error
	class Class
}

func (e *classError) Error() string { return e.err.Error() }
func (e *classError) Unwrap() error { return e.err }

// WithClass gives an error the class its dead letter will have when the last
// attempt ends with it. The job is retried as with any other error.
func WithClass(err error, class Class) error {
	return &classError{err: err, class: class}
}

func classOf(err error, otherwise Class) Class {
	var ce *classError
	if errors.As(err, &ce) {
		return ce.class
	}
	return otherwise
}

type snoozeError struct {
	until  time.Time
	reason string
}

func (e *snoozeError) Error() string {
	return fmt.Sprintf("snoozed until %s: %s", e.until.UTC().Format(time.RFC3339), e.reason)
}

// Snooze puts the job back until the given time without spending an attempt.
// The reason is shown to people. A time less than 100 ms away is taken as
// 100 ms, so that a handler that keeps snoozing can't spin.
func Snooze(until time.Time, reason string) error {
	return &snoozeError{until: until, reason: reason}
}
