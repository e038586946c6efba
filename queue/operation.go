package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.etcd.io/bbolt"
)

// op is one operation on its way through the writer.
type op struct {
	name  string
	bytes int // about how much it writes
	run   func(t *txn) error
	err   error      // what run returned
	done  chan error // gets the result once
}

func newOp(name string, bytes int, run func(t *txn) error) *op {
	return &op{name: name, bytes: bytes, run: run, done: make(chan error, 1)}
}

// Bounds of one commit, so that a flood does not make one caller wait for all.
const (
	maxCommitOps   = 2048
	maxCommitBytes = 8 << 20
)

// inbox holds the operations that wait for the writer. Each belongs to a caller
// that waits for it, so its length is bounded by the callers.
type inbox struct {
	mu     sync.Mutex
	ops    []*op
	closed bool
	wake   chan struct{} // holds a token while there may be something to take
}

// put hands an operation in; false when the inbox is closed.
func (in *inbox) put(o *op) bool {
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return false
	}
	in.ops = append(in.ops, o)
	in.mu.Unlock()
	poke(in.wake)
	return true
}

// take waits for operations and returns those for one commit, in order; nil when
// the inbox is closed and empty.
func (in *inbox) take() []*op {
	for {
		in.mu.Lock()
		if n := len(in.ops); n > 0 {
			take, bytes := 0, 0
			for take < n && take < maxCommitOps && (take == 0 || bytes+in.ops[take].bytes <= maxCommitBytes) {
				bytes += in.ops[take].bytes
				take++
			}
			batch := in.ops[:take:take]
			in.ops = in.ops[take:]
			in.mu.Unlock()
			return batch
		}
		in.ops = nil
		if in.closed {
			in.mu.Unlock()
			return nil
		}
		in.mu.Unlock()
		<-in.wake
	}
}

func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	poke(in.wake)
}

func (q *Queue) isClosing() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closing
}

// do runs an operation in the writer and waits for its commit. When ctx ends
// first it returns ctx's error, though the commit may still happen.
func (q *Queue) do(ctx context.Context, name string, bytes int, run func(t *txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.isClosing() {
		return ErrClosed
	}
	o := newOp(name, bytes, run)
	return q.wait(ctx, o)
}

// wait hands an operation to the writer and waits for its result, until ctx ends.
func (q *Queue) wait(ctx context.Context, o *op) error {
	if !q.in.put(o) {
		return ErrClosed
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call is do for an operation with a result, which is zero on error.
func call[T any](ctx context.Context, q *Queue, name string, bytes int, run func(t *txn) T) (T, error) {
	var v, zero T
	if err := q.do(ctx, name, bytes, func(t *txn) error { v = run(t); return nil }); err != nil {
		return zero, err // v may still be written
	}
	return v, nil
}

// view runs fn in a read transaction.
func (q *Queue) view(ctx context.Context, fn func(tx *bbolt.Tx) error) error {
	if err := q.fileLock.Acquire(ctx, 1); err != nil {
		return err
	}
	err, ready := ErrUnavailable, q.ready
	if ready {
		var own error // what fn says is the caller's business
		if err = q.file.View(func(tx *bbolt.Tx) error { own = fn(tx); return own }); err != nil && own == nil {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		ready = q.file.Readable()
	}
	q.fileLock.Release(1)
	if ready {
		return err
	}
	// Let the writer mend the file before we answer, so that the next call works.
	if e := q.wait(ctx, newOp("repair", 0, func(*txn) error { return nil })); errors.Is(e, ErrClosed) {
		return e
	}
	return err
}

// Look finds out whether the queue can be used, and mends what can be mended: it
// puts a file back that was removed. An error for which boltfile.Lost holds lasts
// until the process ends: another file has taken the place of this one, which can
// only be read from now on.
func (q *Queue) Look(ctx context.Context) error {
	return q.do(ctx, "look", 0, func(*txn) error { return nil })
}

// CopyTo writes the file to w as it is at one moment: from before held is called until
// all is written, nothing is committed. It ends when held or the copying has, whatever
// becomes of ctx meanwhile; one that ended before its turn calls nothing.
func (q *Queue) CopyTo(ctx context.Context, w io.Writer, held func()) error {
	return q.do(context.WithoutCancel(ctx), "copy", 0, func(*txn) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		held()
		return q.file.CopyTo(w)
	})
}

// doubt has the writer check the file because a reader met content that is not
// what was written. A damaged file is set aside by the time it returns; in a
// sound one, what can't be understood has been by the next write.
func (q *Queue) doubt(ctx context.Context) {
	_ = q.wait(ctx, newOp("doubt", 0, func(t *txn) error { t.doubt = true; return nil }))
}
