package queue

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"stockroom/internal/boltfile"
)

// failPause is how long calls fail at once after a failed commit, so that a
// full disk is not asked by every caller.
const failPause = 200 * time.Millisecond

// write is the one goroutine that writes. It takes what is waiting into one
// transaction and never waits for more.
func (q *Queue) write() {
	defer close(q.stopped)
	for {
		// Let the callers just answered hand in their next operation: groups become
		// half as large again at no cost to a lone caller.
		for range 2 {
			runtime.Gosched()
		}
		ops := q.in.take()
		if ops == nil {
			return
		}
		q.commit(ops, time.Now())
	}
}

// commit runs operations in one transaction and answers their callers.
func (q *Queue) commit(ops []*op, now time.Time) {
	err := q.heal(now)
	if err != nil {
		q.committed(Commit{Operations: len(ops), Err: err})
	} else {
		err = q.transact(ops, now)
	}
	for _, o := range ops {
		if err != nil {
			o.done <- err
		} else {
			o.done <- o.err
		}
	}
}

// transact returns nil when the operations are on disk; each has its own result.
func (q *Queue) transact(ops []*op, now time.Time) error {
	start := time.Now()
	var t *txn
	err := q.update(func(tx *txn) error {
		t = tx
		for _, o := range ops {
			o.err = o.run(t)
		}
		if t.doubt {
			if err := q.file.Verify(); err != nil {
				return err
			}
		}
		if !t.dirty {
			return errNothing
		}
		return q.at("before", ops)
	}, now)
	if err == nil {
		err = q.at("after", ops)
	}
	if errors.Is(err, errNothing) {
		err = nil
	} else {
		q.committed(Commit{Operations: len(ops), Took: time.Since(start), Err: err})
	}
	if err != nil {
		if t != nil {
			t.rollback()
		}
		q.failed(err, now)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	q.apply(t)
	q.stale = t.doubt
	return nil
}

func (q *Queue) committed(c Commit) {
	if q.opt.OnCommit != nil {
		q.opt.OnCommit(c)
	}
}

// at calls the fault hook for each operation of a commit.
func (q *Queue) at(when string, ops []*op) error {
	if q.opt.Fault == nil {
		return nil
	}
	for _, o := range ops {
		if err := q.opt.Fault(when + " " + o.name); err != nil {
			return err
		}
	}
	return nil
}

// rollback takes back what the operations changed in memory.
func (t *txn) rollback() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
	}
}

// apply makes the changes of a committed transaction known and wakes workers.
func (q *Queue) apply(t *txn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mem.counts, q.mem.lastID = t.counts, t.lastID
	q.mem.damaged += t.setBad
	for _, m := range t.moves {
		q.mem.count(&m.r, m.by)
	}
	q.mem.coming = nil
	q.commits++
	for name, d := range t.kinds {
		k := q.mem.kind(name)
		if k.next, k.due = d.next, d.due; k.Waiting == 0 {
			k.next = never
		}
		for _, w := range k.workers {
			poke(w.wake)
		}
	}
}

// failed decides what has to happen to the file after a failed transaction.
func (q *Queue) failed(err error, now time.Time) {
	if boltfile.WroteNothing(err) {
		q.log.Error("queue can't be written", "error", err)
		q.pause(now, err)
		return
	}
	// A sync may have failed. What the system says is on disk need not be, so
	// nothing may be acknowledged on this file any more.
	q.file.Doubt(err)
	if d, ok := errors.AsType[*boltfile.DamageError](err); ok {
		q.log.Error("damage met in the queue file", "reason", d.Reason, "stack", string(d.Stack))
	} else if !boltfile.Lost(err) { // which the log has from boltfile
		q.log.Error("queue commit failed; the file is copied", "error", err)
	}
	if err := q.heal(now); err != nil && !boltfile.Lost(err) {
		q.log.Error("queue can't be mended yet", "error", err)
	}
}

func (q *Queue) pause(now time.Time, err error) {
	q.failUntil, q.failure = now.Add(failPause), err
}

// heal makes the file usable for writing again. It returns nil when it is.
func (q *Queue) heal(now time.Time) error {
	if q.failure != nil {
		if now.Before(q.failUntil) && q.failUntil.Sub(now) <= failPause {
			return fmt.Errorf("%w: %w", ErrUnavailable, q.failure)
		}
		q.failure = nil
	}
	if !q.stale && q.file.Sound() {
		return nil
	}
	err := q.mend(now)
	if errors.Is(err, boltfile.ErrDamaged) { // sound by every check, and yet it can't be read
		err = q.mend(now)
	}
	if err != nil {
		q.pause(now, err)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// mend has boltfile mend the file, and reads it again.
func (q *Queue) mend(now time.Time) error {
	q.lockFile()
	fresh, err := q.file.Mend()
	changed := err == nil && fresh != q.file
	if changed {
		q.file, q.ready, q.stale = fresh, false, true
	}
	q.fileLock.Release(allReaders)
	if err != nil {
		return err
	}
	if changed {
		q.noteOpened(now, false)
	}
	return q.load(now)
}
