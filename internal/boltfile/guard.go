package boltfile

import (
	"fmt"
	"runtime/debug"
)

// Guard runs fn in this goroutine and turns a memory fault (SIGBUS, SIGSEGV) or
// a panic inside it into an error for which errors.Is(err, ErrDamaged) holds.
// It does not cover goroutines that fn starts. Byte slices that point into a
// mapped file must not leave fn.
func Guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = &DamageError{Reason: reasonOfPanic(p), Stack: debug.Stack()}
		}
	}()
	return fn()
}

// reasonOfPanic keeps addresses out of the text, so that the same damage reads
// the same in every run.
func reasonOfPanic(p any) string {
	if f, ok := p.(interface{ Addr() uintptr }); ok {
		_ = f
		return "a page could not be read from memory"
	}
	s := fmt.Sprint(p)
	if len(s) > 300 {
		s = s[:300]
	}
	return s
}
