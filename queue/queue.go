package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"stockroom/internal/boltfile"
)

// allReaders is more readers than there ever are.
const allReaders = 1 << 30

// Queue is an open queue. All methods may be called from any goroutine.
type Queue struct {
	opt Options
	log *slog.Logger

	// file is the open file. The writer swaps it and holds all of fileLock for that,
	// which takes as long as the disk does; each reader holds one while it uses the
	// file, and waits no longer for it than its caller does.
	fileLock *semaphore.Weighted
	file     boltfile.Opened
	ready    bool // the file has all it needs

	// Owned by the writer.
	stale     bool              // what is in memory has to be read again before the next commit
	held      map[uint64]record // leases of running handlers: the job as it was before
	busy      map[string]uint64 // kind 0 key of held jobs
	failUntil time.Time         // calls fail until then with failure, to spare a sick disk
	failure   error
	restarted bool // leases found in the file are those of an earlier process

	in      inbox
	stopped chan struct{} // closed when the writer has ended

	mu         sync.Mutex // guards what follows
	mem        memory
	commits    int64 // how often mem has changed as the file has
	quarantine quarantine
	closing    bool
	workers    sync.WaitGroup // Work calls and their handlers, but for stuck ones
	ctx        context.Context
	cancel     context.CancelFunc
	closed     chan struct{} // closed when Close has ended
}

// Open opens the queue's file, making it when there is none. Jobs that were
// leased when the last process ended are due at once. A damaged file is set aside
// (see Quarantined). Errors: *folder.NewerError, boltfile.ErrLocked, and what the system
// says when the file can't be reached.
func Open(o Options) (*Queue, error) {
	q, err := open(o, time.Now())
	if err != nil {
		return nil, err
	}
	go q.write()
	return q, nil
}

func (q *Queue) lockFile() { _ = q.fileLock.Acquire(context.Background(), allReaders) }

// open is Open at a given time and without the writer.
func open(o Options, now time.Time) (*Queue, error) {
	o = o.withDefaults()
	if o.Path == "" {
		return nil, errors.New("open queue: no path")
	}
	q := &Queue{
		opt: o, log: o.Logger,
		held: map[uint64]record{}, busy: map[string]uint64{},
		in:      inbox{wake: make(chan struct{}, 1)},
		stopped: make(chan struct{}), closed: make(chan struct{}),
		restarted: true, fileLock: semaphore.NewWeighted(allReaders),
		mem: newMemory(),
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	var err error
	q.file, err = boltfile.Open(o.Path, boltfile.Options{Folder: o.Folder, Logger: o.Logger})
	if err == nil {
		q.noteOpened(now, q.file.Fresh && o.Existing)
		err = q.load(now)
	}
	if errors.Is(err, boltfile.ErrDamaged) {
		err = q.mend(now)
	}
	if boltfile.WroteNothing(err) && q.ready {
		q.log.Warn("jobs of the last run can't be put back yet", "error", err)
		err = nil
	}
	if err != nil {
		q.cancel()
		_ = q.file.Close()
		return nil, fmt.Errorf("open queue: %w", err)
	}
	return q, nil
}

// Close refuses new calls, cancels the contexts of running handlers, waits for
// those that are not stuck, puts back the jobs still leased without an attempt,
// unless they had their time, and closes the file. A handler that returns later is
// not heard.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closing {
		q.mu.Unlock()
		<-q.closed
		return nil
	}
	q.closing = true
	q.mu.Unlock()
	defer close(q.closed)

	q.cancel()
	q.workers.Wait()
	back := newOp("return", 0, func(t *txn) error { t.returnAll(); return nil })
	q.in.put(back)
	if err := <-back.done; err != nil {
		// The next Open finds them.
		q.log.Warn("leased jobs could not be put back", "error", err)
	}
	q.in.close()
	<-q.stopped

	q.lockFile()
	defer q.fileLock.Release(allReaders)
	if err := q.file.Close(); err != nil {
		return fmt.Errorf("close queue: %w", err)
	}
	return nil
}
