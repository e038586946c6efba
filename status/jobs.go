package status

import (
	"context"
	"errors"
	"sync"
	"time"

	"stockroom/queue"
	"stockroom/store"
)

// DeliveryKind is the kind of a queued delivery.
const DeliveryKind = "webhook"

// Jobs are the jobs of one shop in numbers.
type Jobs struct {
	Waiting, Dead int  // leased ones are among the waiting
	Misfits       int  // of the dead: deliveries that do not fit their topic or shop
	Updates       int  // of the waiting: deliveries
	Unworked      int  // of the waiting: work that nobody does
	AtLeast       bool // there are more jobs than were counted
	Oldest        time.Time
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

// jobsLooked bounds the jobs that are read to count them by shop.
const jobsLooked = 1000

// jobsKept is how long they stay counted, and at most a twentieth of the time is
// spent on it.
const jobsKept = 250 * time.Millisecond

// lookMost is how long an account waits for jobs that are read; a file that does not
// answer is one that can't be used.
const lookMost = time.Second

// jobCounter keeps the last count for a moment.
type jobCounter struct {
	mu   sync.Mutex
	last map[string]Jobs
	err  error
	cut  bool
	at   time.Time
	// numbers of the queue at the last count: waiting, leased, dead
	numbers [3]int
	took    time.Duration
}

// get counts again when the numbers of the queue are others than at the last count,
// so that two numbers on one page agree.
func (c *jobCounter) get(ctx context.Context, q *queue.Queue, s *store.Store, in Queue, now time.Time) (map[string]Jobs, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	numbers := [3]int{in.Waiting, in.Leased, in.Dead}
	age := now.Sub(c.at)
	if c.last != nil && age >= 0 && (age < 20*c.took || age < jobsKept && numbers == c.numbers) {
		return c.last, c.cut, c.err
	}
	began := time.Now()
	c.numbers = numbers
	ctx, cancel := context.WithTimeout(ctx, lookMost)
	defer cancel()
	c.last, c.cut, c.err = countJobs(ctx, q, s)
	c.at, c.took = now, time.Since(began)
	return c.last, c.cut, c.err
}

// countJobs counts the jobs of each shop among the first jobsLooked of each
// state; cut: there are more. Work that a commit asked for and that is no job yet
// counts as one.
func countJobs(ctx context.Context, q *queue.Queue, s *store.Store) (byShop map[string]Jobs, cut bool, err error) {
	byShop = map[string]Jobs{}
	for _, state := range []queue.State{queue.Waiting, queue.Leased, queue.Dead} {
		jobs, next, err := q.List(ctx, queue.Filter{State: state, Limit: jobsLooked})
		if err != nil {
			return byShop, true, err
		}
		cut = cut || next != 0
		for _, j := range jobs {
			n := byShop[j.Labels["shop"]]
			n.add(j, q.HasWorker(j.Kind))
			byShop[j.Labels["shop"]] = n
		}
	}
	wants, err := s.WantedProducts(ctx)
	for _, w := range wants {
		n := byShop[w.Shop]
		n.Reads = max(n.Reads, w.Count)
		n.ReadSince = earlier(n.ReadSince, time.UnixMilli(w.Oldest))
		byShop[w.Shop] = n
	}
	if cut {
		for shop, n := range byShop {
			n.AtLeast = true
			byShop[shop] = n
		}
	}
	return byShop, cut, err
}

func (n *Jobs) add(j queue.Job, worked bool) {
	if j.State == queue.Dead {
		n.Dead++
		if j.Kind == DeliveryKind && j.Class == queue.ClassValidation {
			n.Misfits++
		}
		return
	}
	n.Waiting++
	n.Oldest = earlier(n.Oldest, j.EnqueuedAt)
	switch {
	case j.Kind == DeliveryKind:
		n.Updates++
	case !worked:
		n.Unworked++
	case j.Kind == string(store.WantProduct) || j.Kind == string(store.WantInventoryItem):
		n.Reads++
		if n.ReadSince.IsZero() || j.EnqueuedAt.Before(n.ReadSince) {
			n.ReadSince, n.Waits = j.EnqueuedAt, j.Reason
		}
		if j.LastError != "" {
			n.Failed++
			n.LastError, n.Retry = j.LastError, earlier(n.Retry, j.DueAt)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// jobsOf are the jobs of one shop; of those beyond what is counted only that
// there are some.
func (r *Reader) jobsOf(ctx context.Context, shop string, byShop map[string]Jobs, cut bool) (Jobs, error) {
	n, ok := byShop[shop]
	if ok || !cut {
		return n, nil
	}
	jobs, _, err := r.o.Queue.List(ctx, queue.Filter{Label: "shop", Value: shop, Limit: 1})
	for _, j := range jobs {
		n.add(j, r.o.Queue.HasWorker(j.Kind))
		n.AtLeast = true
	}
	return n, err
}

func (r *Reader) queue(ctx context.Context, now time.Time) Queue {
	f := Queue{OK: true}
	stats := r.o.Queue.Stats()
	f.Waiting, f.Leased, f.Dead = stats.Waiting, stats.Leased, stats.Dead
	for name, k := range stats.Kinds {
		f.Oldest = earlier(f.Oldest, k.OldestEnqueuedAt)
		// A kind that nobody works has no next try.
		if k.Workers > 0 {
			f.Next = earlier(f.Next, k.NextDue)
		}
		switch n := k.Waiting + k.Leased; {
		case name == DeliveryKind:
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
