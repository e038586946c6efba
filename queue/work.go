package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Handler works one job. nil: the job is done and forgotten. Permanent(err): it
// is dead. Snooze(until, reason): it waits, no attempt spent. Any other error,
// and a panic: the attempt is spent, and it waits with backoff or, after the
// last attempt, is dead. ctx ends when Work's context does or the queue closes; an
// error returned after that puts the job back as it was, no attempt spent. It ends,
// too, when the job took as long as it may; an error after that is an attempt of
// class "timeout". The job's Payload belongs to the handler.
type Handler func(ctx context.Context, j Job) error

const (
	// maxIdle is how long a worker sleeps at most, so that it notices a clock that
	// was put back.
	maxIdle = 30 * time.Second
	// maxRetryPause bounds the pause between tries to reach a file that fails.
	maxRetryPause = 2 * time.Second
	// grace is how long a handler may take to return after its context ended; then
	// it is stuck, and nobody waits for it.
	grace = 2 * time.Second
)

// worker is one call of Work.
type worker struct {
	q       *Queue
	kind    string
	most    time.Duration
	h       Handler
	places  int
	running atomic.Int64  // handlers that have a place
	wake    chan struct{} // a token: something may have become due, or a handler ended
}

// free is how many handlers may be started now. One that is stuck has no place; as
// many of them as there are places cost none.
func (w *worker) free() int {
	return min(w.places, 2*w.places-len(w.q.kind(w.kind).stuck)) - int(w.running.Load())
}

// poke leaves a token, unless there is one.
func poke(tokens chan struct{}) {
	select {
	case tokens <- struct{}{}:
	default:
	}
}

// Work hands due jobs of a kind to h, up to concurrency at a time and each for most
// at the longest, until ctx ends; then it cancels the handlers' context and returns
// nil when they have returned or are stuck (see KindStats). It returns ErrClosed when
// the queue is closed. It may be called for a kind more than once.
func (q *Queue) Work(ctx context.Context, kind string, concurrency int, most time.Duration, h Handler) error {
	if concurrency < 1 || most <= 0 {
		return fmt.Errorf("work %s: it takes a place and some time", kind)
	}
	w := &worker{q: q, kind: kind, most: most, h: h, places: concurrency, wake: make(chan struct{}, 1)}
	q.mu.Lock()
	if q.closing {
		q.mu.Unlock()
		return ErrClosed
	}
	q.workers.Add(1)
	k := q.mem.kind(kind)
	k.workers = append(k.workers, w)
	q.mu.Unlock()
	defer q.workers.Done()
	defer q.forgetWorker(w)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.ctx, cancel)()

	var running sync.WaitGroup
	w.dispatch(ctx, &running)
	cancel()
	running.Wait()
	if q.isClosing() {
		return ErrClosed
	}
	return nil
}

func (q *Queue) forgetWorker(w *worker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.mem.kind(w.kind)
	k.workers = slices.DeleteFunc(slices.Clone(k.workers), func(other *worker) bool { return other == w })
}

// HasWorker reports whether a call of Work for the kind is running.
func (q *Queue) HasWorker(kind string) bool { return len(q.kind(kind).workers) > 0 }

// dispatch leases what is due and starts handlers until ctx ends.
func (w *worker) dispatch(ctx context.Context, running *sync.WaitGroup) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := time.Duration(0)
	last := time.Now()
	for ctx.Err() == nil {
		now := time.Now()
		if clockWentBack(last, now) {
			w.q.clockWentBack(ctx)
		}
		last = now
		sleep := maxIdle
		if w.free() > 0 {
			if due := w.q.kind(w.kind).next; due > stamp(now) {
				sleep = min(sleep, time.Duration(due-stamp(now)))
			} else if err := w.leaseAndStart(ctx, running); err != nil {
				if errors.Is(err, ErrClosed) {
					return
				}
				pause = min(max(2*pause, 100*time.Millisecond), maxRetryPause)
				sleep = pause
				select { // what woke us is part of the failure
				case <-w.wake:
				default:
				}
			} else {
				pause = 0
				continue
			}
		}
		timer.Reset(sleep)
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-timer.C:
		}
	}
}

// leaseAndStart leases as many due jobs as there are free handlers when
// the writer comes to it, in one commit, and starts them.
func (w *worker) leaseAndStart(ctx context.Context, running *sync.WaitGroup) error {
	var jobs []Job
	// Not bound to ctx: leases that were committed must be known.
	o := newOp("lease", 4096, func(t *txn) error {
		jobs = t.lease(w.kind, w.free())
		return nil
	})
	if !w.q.in.put(o) {
		return ErrClosed
	}
	if err := <-o.done; err != nil {
		return err
	}
	for _, j := range jobs {
		w.running.Add(1)
		running.Go(func() { w.handle(ctx, j) })
	}
	return nil
}

// handle runs the handler and sees to it that its outcome is on disk, now or, when it
// is stuck, whenever it returns.
func (w *worker) handle(ctx context.Context, j Job) {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, w.most, tooLongError(w.most))
	defer cancel()
	out := outcome{verdict: returned}
	ended := make(chan struct{})
	if ctx.Err() == nil {
		// What stands if the handler ends its goroutine, which is one of its own so
		// that this one goes on.
		out = outcome{verdict: failed, text: "handler ended its goroutine", class: ClassBug}
		go func() {
			defer close(ended)
			out = w.q.call(ctx, w.h, j)
		}()
	} else {
		close(ended)
	}
	select {
	case <-ended:
	case <-ctx.Done():
		select {
		case <-ended:
		case <-time.After(grace):
			w.q.log.Error("a job does not end although it was told to; a restart ends it, and it is tried again then",
				"kind", j.Kind, "id", j.ID, "since", began)
			w.q.setStuck(j.Kind, j.ID, stuck{j.ID, began, judge(ctx, context.Cause(ctx))})
			w.running.Add(-1)
			poke(w.wake)
			go func() {
				<-ended
				w.settle(j, out, func() { w.q.setStuck(j.Kind, j.ID) })
			}()
			return
		}
	}
	w.settle(j, out, func() { w.running.Add(-1) })
}

// setStuck notes that a job's handler does not return although its context ended, or
// that it has returned.
func (q *Queue) setStuck(kind string, id uint64, now ...stuck) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.mem.kind(kind)
	others := slices.DeleteFunc(slices.Clone(k.stuck), func(s stuck) bool { return s.id == id })
	k.stuck = append(others, now...)
}

// settle sees to it that the outcome of a job is on disk. It calls free when another
// job may have the place.
func (w *worker) settle(j Job, out outcome, free func()) {
	finish := func() *op {
		return newOp("finish", 1024, func(t *txn) error { t.finish(j.ID, out); return nil })
	}
	o := finish()
	ok := w.q.in.put(o)
	// Only now: a lease that this frees is in the inbox behind the outcome, and
	// both share a commit.
	free()
	poke(w.wake)
	for pause := 100 * time.Millisecond; ok && <-o.done != nil; pause = min(2*pause, maxRetryPause) {
		// The job stays leased until its outcome is on disk; should the process
		// end before, it runs again.
		if w.q.isClosing() {
			return // Close puts it back
		}
		select {
		case <-time.After(pause):
		case <-w.q.ctx.Done():
		}
		o = finish()
		ok = w.q.in.put(o)
	}
}

// clockWentBack reports whether the wall clock moved back by more than a second.
func clockWentBack(last, now time.Time) bool {
	return now.Round(0).Before(last.Round(0).Add(-time.Second))
}
