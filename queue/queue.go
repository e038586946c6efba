package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/boltfile"
)

// Options says how to open a queue.
type Options struct {
	// Path of the file, made when there is none. Required.
	Path string
	// RetryDelay is the wait after the first failure; it doubles with each
	// further one. Default 60 s (zero or less).
	RetryDelay time.Duration
	// MaxAttempts is the number of tries before a job is dead. Default 5 (zero or
	// less).
	MaxAttempts int
	// CloseTimeout is how long Close waits for handlers that are still running.
	// Default 5 s (zero or less).
	CloseTimeout time.Duration
	// CompactAbove: see boltfile.Options. Default 1 MiB (zero); negative: never.
	CompactAbove int64
	// Logger gets deaths, reclaims, damage. Never a payload. Nil: none.
	Logger *slog.Logger
	// OnCommit, when set, is told of each commit by the goroutine that writes; it
	// must return at once and must not call the queue.
	OnCommit func(Commit)
	// OnQuarantine, when set, is told when a damaged file was set aside, at Open
	// or while running, under the same rules. What the file held has to be found
	// again elsewhere (a full reconcile).
	OnQuarantine func(path, reason string)

	// fault is called in tests before and after each commit with the names of the
	// operations in it; an error stands for a failure there.
	fault func(step string) error
}

// Commit describes one commit, for metrics.
type Commit struct {
	Operations int           // that shared it
	Took       time.Duration // from the start of the transaction to the end of its last sync
	Err        error         // nil when it succeeded
}

func (o Options) withDefaults() Options {
	if o.RetryDelay <= 0 {
		o.RetryDelay = 60 * time.Second
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 5
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Queue is an open queue. All methods may be called from any goroutine.
type Queue struct {
	opt Options
	log *slog.Logger

	// file is the open file. The writer swaps it and holds fileMu for that;
	// readers hold it for reading while they use the file.
	fileMu sync.RWMutex
	file   boltfile.Opened
	health health

	// Owned by the writer.
	held      map[uint64]record // leases of running handlers: the job as it was before
	busy      map[string]uint64 // kind 0 key of held jobs
	failUntil time.Time         // calls fail until then with failure, to spare a sick disk
	failure   error
	restarted bool // leases found in the file are those of an earlier process

	in      inbox
	stopped chan struct{} // closed when the writer has ended

	mu         sync.Mutex // guards what follows
	mem        memory
	quarantine struct {
		path, reason string
		at           time.Time
	}
	closing bool
	workers sync.WaitGroup // Work calls and their handlers
	ctx     context.Context
	cancel  context.CancelFunc
	closed  chan struct{} // closed when Close has ended
}

// health is what the writer may do with the file.
type health int

const (
	sound    health = iota // read and write
	stale                  // read; what is in memory has to be read anew
	doubtful               // read; copy to a new file before the next commit
	gone                   // nothing; open again
)

// Open opens the queue's file, making it when there is none. Jobs that were in
// hand when the last process ended are due at once. A damaged file is set aside
// (see Quarantined). Errors: ErrFormat, boltfile.ErrLocked, and what the system
// says when the file can't be reached.
func Open(o Options) (*Queue, error) {
	q, err := open(o, time.Now())
	if err != nil {
		return nil, err
	}
	go q.write()
	return q, nil
}

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
		health: gone, restarted: true,
		mem: memory{kinds: map[string]*kindState{}},
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	err := q.openFile(now)
	if err == nil {
		err = q.load(now, true)
	}
	if errors.Is(err, boltfile.ErrDamaged) {
		err = q.reopen(now, err)
	}
	if boltfile.WroteNothing(err) && q.health == stale {
		q.log.Warn("jobs of the last run can't be put back yet", "error", err)
		err = nil
	}
	if err != nil {
		q.cancel()
		if q.health != gone {
			_ = q.file.Close()
		}
		return nil, fmt.Errorf("open queue: %w", err)
	}
	return q, nil
}

// openFile opens the file and makes what it lacks. It notes a quarantine.
func (q *Queue) openFile(now time.Time) error {
	f, err := boltfile.Open(q.opt.Path, boltfile.Options{Logger: q.opt.Logger, CompactAbove: q.opt.CompactAbove})
	if f.Quarantined != "" {
		q.noteQuarantine(f.Quarantined, f.Reason, now)
	} else if f.Suspect != "" {
		q.noteQuarantine("", f.Suspect, now)
	}
	if err != nil {
		return err
	}
	// After a quarantine the ids that were given out are not known: go on above
	// any of them. Milliseconds since 1970 grow faster than ids do.
	var lastID uint64
	if path, _, _ := q.Quarantined(); f.Fresh && path != "" {
		lastID = max(q.lastID(), uint64(max(0, now.UnixMilli())))
	}
	err = f.Update(func(tx *bbolt.Tx) error {
		err := makeBuckets(tx, lastID)
		if errors.Is(err, errNothing) && f.Suspect != "" {
			// The lost commit gave out ids, too.
			b := tx.Bucket(bucketJobs)
			return b.SetSequence(b.Sequence() + idsOfACommit)
		}
		return err
	})
	if err != nil && !errors.Is(err, errNothing) {
		_ = f.Close()
		return err
	}
	q.fileMu.Lock()
	q.file, q.health = f, sound
	q.fileMu.Unlock()
	return nil
}

// idsOfACommit is more than one commit gives out.
const idsOfACommit = 1_000_000

func (q *Queue) noteQuarantine(path, reason string, now time.Time) {
	q.mu.Lock()
	q.quarantine.path, q.quarantine.reason, q.quarantine.at = path, reason, now
	q.mu.Unlock()
	if q.opt.OnQuarantine != nil {
		q.opt.OnQuarantine(path, reason)
	}
}

// Quarantined returns where the damaged file was moved to, what was wrong with
// it and when that was found, at Open or later; "" when the file was sound. An
// empty path with a reason means that the file was kept but may lack its newest
// commit. The newest event stands until the process ends.
func (q *Queue) Quarantined() (path, reason string, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.quarantine.path, q.quarantine.reason, q.quarantine.at
}

// Close refuses new calls, cancels the contexts of running handlers, waits for
// them up to Options.CloseTimeout, puts back the jobs still in hand without an
// attempt, and closes the file. A handler that returns later is not heard.
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
	ended := make(chan struct{})
	go func() { q.workers.Wait(); close(ended) }()
	timeout := time.NewTimer(q.opt.CloseTimeout)
	defer timeout.Stop()
	select {
	case <-ended:
	case <-timeout.C:
		q.log.Warn("handlers did not end in time; their jobs are put back")
	}
	back := newOp("return", 0, func(t *txn) error { t.returnAll(); return nil })
	q.in.put(back)
	err := <-back.done
	q.in.close()
	<-q.stopped

	q.fileMu.Lock()
	defer q.fileMu.Unlock()
	if q.health != gone {
		if cerr := q.file.Close(); err == nil {
			err = cerr
		}
	}
	q.health = gone
	if err != nil {
		return fmt.Errorf("close queue: %w", err)
	}
	return nil
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
	if err := ctx.Err(); err != nil {
		return err
	}
	q.fileMu.RLock()
	f, usable := q.file, q.health != gone
	err := ErrUnavailable
	if usable {
		err = f.View(fn)
	}
	q.fileMu.RUnlock()
	if usable && !errors.Is(err, boltfile.ErrDamaged) {
		return err
	}
	// Let the writer look at the file before we answer, so that the next call
	// works.
	o := newOp("repair", 0, func(*txn) error { return nil })
	if usable {
		o.damaged, o.damage = f.DB, err
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if !q.in.put(o) {
		return ErrClosed
	}
	<-o.done
	return err
}

// doubt has the writer check the file because a reader met content that is not
// what was written. A damaged file is set aside by the time it returns; in a
// sound one, what can't be understood has been by the next write.
func (q *Queue) doubt() {
	o := newOp("doubt", 0, func(t *txn) error { t.doubt = true; return nil })
	if q.in.put(o) {
		<-o.done
	}
}

// nextDue returns when the next job of a kind is due, as far as the writer knows.
func (q *Queue) nextDue(kind string) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if k := q.mem.kinds[kind]; k != nil {
		return k.next
	}
	return never
}

func (q *Queue) lastID() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.mem.lastID
}

// memory is what is known without reading the file.
type memory struct {
	kinds   map[string]*kindState
	counts  Counters
	damaged int    // records set aside, in the file
	lastID  uint64 // newest id given out
}

// kindState is what is known of a kind.
type kindState struct {
	waiting, snoozed, leased, dead int
	lowest                         uint64 // no job with a lower id waits
	entered                        uint64 // how often lowest was looked at for a job that began to wait
	next                           int64  // no job is due earlier; never when none waits
	pausedAt                       int64  // 0 when not paused
	workers                        []*worker
}

func (m *memory) kind(name string) *kindState {
	k := m.kinds[name]
	if k == nil {
		k = &kindState{lowest: noID, next: never}
		m.kinds[name] = k
	}
	return k
}
