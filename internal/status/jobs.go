package status

import (
	"context"
	"errors"
	"sync"
	"time"

	"stockroom/queue"
	"stockroom/store"
)

// Jobs are the jobs of one shop in numbers.
type Jobs struct {
	Waiting, Dead int // leased ones are among the waiting
	Misfits       int // of the dead: deliveries that do not fit their topic or shop
	Updates       int // of the waiting: deliveries
	Unworked      int // of the waiting: work that nobody does
	// Known changes of products that are still to be read: how many, since when
	// the oldest waits, and why it does, "" when it is being read.
	Reads     int
	ReadSince time.Time
	Waits     string
	// Failed of them failed at their last try, with LastError; the next try is due
	// at Retry.
	Failed    int
	LastError string
	Retry     time.Time

	first, failed uint64 // the jobs that tell Waits and LastError
	givenUp       int    // reads of products that ended as dead letters
}

// Queue is whether the retry queue takes jobs, and what it holds.
type Queue struct {
	OK                    bool
	Reason                string
	Waiting, Leased, Dead int
	Misfits               int       // of the dead: see Jobs
	Updates               int       // of the waiting and leased: deliveries
	Reads                 int       // of them: other work that is being done
	Unworked              int       // of them: work that nobody does
	Oldest                time.Time // when the oldest waiting job was enqueued
	Next                  time.Time // when the next one is due
	Stuck                 int       // jobs that do not end though they were told to
	StuckKind             string    // the kind of the one that began first
	StuckSince            time.Time // and when it did
}

// lookMost is how long an account waits for jobs that are read; a file that does not
// answer is one that can't be used.
const lookMost = time.Second

// wishes keeps the last count of what commits asked for, and spends at most a
// twentieth of the time on counting: it reads every row.
type wishes struct {
	mu   sync.Mutex
	last []store.WantedCount
	at   time.Time
	took time.Duration
}

func (w *wishes) count(ctx context.Context, s *store.Store, now time.Time) ([]store.WantedCount, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if age := now.Sub(w.at); age >= 0 && age < 20*w.took {
		return w.last, nil
	}
	began := time.Now()
	list, err := s.WantedProducts(ctx)
	if err == nil {
		w.last, w.at, w.took = list, now, time.Since(began)
	}
	return list, err
}

// jobs are the jobs of each shop. Work that a commit asked for and that is no job yet
// counts as one.
func (r *Reader) jobs(ctx context.Context, now time.Time) (map[string]Jobs, error) {
	ctx, cancel := context.WithTimeout(ctx, lookMost)
	defer cancel()
	byShop := map[string]Jobs{}
	for _, g := range r.o.Queue.Groups() {
		n := byShop[g.Shop]
		n.add(g, r.o.Queue.HasWorker(g.Kind))
		byShop[g.Shop] = n
	}
	var errs []error
	for shop, n := range byShop {
		errs = append(errs, n.read(ctx, r.o.Queue))
		byShop[shop] = n
	}
	wants, err := r.wishes.count(ctx, r.o.Store, now)
	for _, w := range wants {
		n := byShop[w.Shop]
		// What ended as a dead letter is not being read; it is counted there.
		if left := w.Count - n.givenUp; left > 0 {
			n.Reads = max(n.Reads, left)
			n.ReadSince = earlier(n.ReadSince, time.UnixMilli(w.Oldest))
			byShop[w.Shop] = n
		}
	}
	return byShop, errors.Join(append(errs, err)...)
}

func (n *Jobs) add(g queue.Group, worked bool) {
	n.Dead += g.Dead
	todo := g.Waiting + g.Leased
	n.Waiting += todo
	if g.Kind == string(store.WantProduct) {
		n.givenUp += g.Dead
	}
	switch {
	case g.Kind == store.DeliveryJob:
		n.Misfits += g.Invalid
		n.Updates += todo
	case !worked:
		n.Unworked += todo
	case g.Kind == string(store.WantProduct) || g.Kind == string(store.WantInventoryItem):
		n.Reads += todo
		n.Failed += g.Failed
		for _, m := range []queue.Mark{g.Waits, g.InHand} {
			if n.ReadSince = earlier(n.ReadSince, m.At); m.ID != 0 && n.ReadSince.Equal(m.At) {
				n.first = m.ID
			}
		}
		if n.Retry = earlier(n.Retry, g.Fails.At); g.Fails.ID != 0 && n.Retry.Equal(g.Fails.At) {
			n.failed = g.Fails.ID
		}
	}
}

// read reads what the jobs say of themselves. One that has ended meanwhile says
// nothing.
func (n *Jobs) read(ctx context.Context, q *queue.Queue) error {
	get := func(id uint64) (j queue.Job, err error) {
		if id != 0 {
			j, err = q.Get(ctx, id)
		}
		if errors.Is(err, queue.ErrNotFound) {
			err = nil
		}
		return j, err
	}
	first, err := get(n.first)
	failed, err2 := get(n.failed)
	n.Waits, n.LastError = first.Reason, failed.LastError
	return errors.Join(err, err2)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (r *Reader) queue(ctx context.Context, now time.Time) Queue {
	stats := r.o.Queue.Stats()
	f := Queue{OK: true, Waiting: stats.Waiting, Leased: stats.Leased, Dead: stats.Dead}
	for _, g := range r.o.Queue.Groups() {
		f.Oldest = earlier(f.Oldest, g.Waits.At)
	}
	for name, k := range stats.Kinds {
		if k.Workers > 0 { // a kind that nobody works has no next try
			f.Next = earlier(f.Next, k.NextDue)
		}
		switch n := k.Waiting + k.Leased; {
		case name == store.DeliveryJob:
			f.Updates += n
			f.Misfits = k.Invalid
		case k.Workers > 0:
			f.Reads += n
		default:
			f.Unworked += n
		}
		if f.Stuck += k.Stuck; k.Stuck > 0 && (f.StuckKind == "" || k.StuckSince.Before(f.StuckSince)) {
			f.StuckKind, f.StuckSince = name, k.StuckSince
		}
	}
	// Counts come from memory; a list shows whether the file can be read.
	look, cancel := context.WithTimeout(ctx, lookMost)
	defer cancel()
	if _, _, err := r.o.Queue.List(look, queue.Filter{Limit: 1}); err != nil && ctx.Err() == nil {
		f.OK, f.Reason = false, "its file can't be read"
		if errors.Is(err, queue.ErrClosed) {
			f.Reason = "Stockroom is stopping"
		}
		return f
	}
	if failure, failed := r.o.QueueWatch.failing(now); failed {
		f.OK, f.Reason = false, failure
	}
	return f
}

// QueueWatch learns from the queue's commits whether the queue can be written.
// Give its Commit to queue.Options.OnCommit. The zero value is ready.
type QueueWatch struct {
	mu     sync.Mutex
	failed string // why the newest commit failed, "" when it did not
	at     time.Time
}

// forgetFailure is after how long a failed commit that no other one followed
// says nothing any more.
const forgetFailure = time.Minute

// Commit notes one commit.
func (q *QueueWatch) Commit(c queue.Commit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed, q.at = "", time.Now()
	if c.Err != nil {
		q.failed = "its file can't be written"
		if cause := store.CauseOfFile(c.Err); cause != store.CauseIO {
			q.failed += ": " + cause.Words()
		}
	}
}

// failing reports whether the newest commit failed, and why. A nil watch knows
// of no failure.
func (q *QueueWatch) failing(now time.Time) (string, bool) {
	if q == nil {
		return "", false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failed, q.failed != "" && now.Sub(q.at) < forgetFailure
}
