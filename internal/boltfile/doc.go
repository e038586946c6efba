// Package boltfile opens a bbolt file so that a damaged one can neither crash
// the process nor be lost.
//
// What it promises:
//
//   - Open returns a usable handle or an error. A damaged file is renamed
//     beside itself (never deleted, never written to) and a fresh one takes its
//     place; Opened says so. A file that is merely out of reach (rights, lock,
//     full or read-only disk) is an error and is left alone.
//   - After a crash or a power cut during the very first Open the path names
//     either nothing or a sound, empty file: a new file is built under a
//     temporary name, synced, named, and the directory synced.
//   - A file is known by what was opened, in a directory that is known by its
//     handle (package folder). Nothing is renamed, removed or written before it is
//     proven to be that. Each commit looks at name, directory and lock before it
//     and after it: what is acknowledged is in a file that had its name then. A
//     file that was removed is put back; one whose name or directory lead to
//     something else is never committed to again, and the other is left alone.
//   - Before anything is mapped, every page that can be reached is read with
//     pread and checked. bbolt maps the file and rebuilds its free list in a
//     goroutine of its own; a fault or panic there could not be recovered, so
//     nothing may be left for it to find. For the same reason Tx.Check is not
//     used.
//   - Opened.Update and Opened.View turn a fault (SIGBUS, SIGSEGV) or a panic
//     inside a transaction into ErrDamaged. DB.Update and DB.View must not be
//     used: after a panic they scan the whole file in an unguarded goroutine.
//
// What it cannot promise: bbolt keeps no checksums of keys and values, so a
// flipped bit inside one is found by the owner of the records only. Two faults
// end the process, which then finds and sets aside the damage when it starts
// again: a page that turns bad while it is in use in such a way that a branch
// names its own ancestor, and a page that becomes unreadable at the moment in
// which a commit fails for another reason.
//
// Sizes are bytes, page numbers count from 0, files are created with mode 0600.
// One process owns the directory; the file itself is locked as well (flock). Of
// changes that fall between a look and what follows it, a rename of the file that
// is being set aside, in these microseconds, is the one that is not undone.
package boltfile
