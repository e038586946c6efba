package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// minSnooze keeps a handler that snoozes until now from spinning.
const minSnooze = 100 * time.Millisecond

// verdict is what a handler's return means for its job.
type verdict int

const (
	done     verdict = iota // forget the job
	failed                  // retry with backoff, or dead when no attempt is left
	final                   // dead
	snoozed                 // later, no attempt spent
	returned                // as it was before, no attempt spent
)

type outcome struct {
	verdict verdict
	text    string
	class   Class
	until   time.Time
}

// tooLongError is why a handler's context ends: the job took as long as it may.
type tooLongError time.Duration

func (e tooLongError) Error() string { return "it was not done within " + time.Duration(e).String() }

// judge reads a handler's error. An error that comes after the handler's context
// has ended says nothing of the job, unless the handler says it does or it took too
// long.
func judge(ctx context.Context, err error) outcome {
	var pe *permanentError
	var se *snoozeError
	var late tooLongError
	switch {
	case err == nil:
		return outcome{verdict: done}
	case errors.As(err, &pe):
		return outcome{verdict: final, text: err.Error(), class: pe.class}
	case errors.As(err, &se):
		return outcome{verdict: snoozed, text: se.reason, until: se.until}
	case errors.As(context.Cause(ctx), &late):
		return outcome{verdict: failed, text: late.Error(), class: ClassTimeout}
	case ctx.Err() != nil:
		return outcome{verdict: returned}
	default:
		return outcome{verdict: failed, text: err.Error(), class: classOf(err, ClassUnknown)}
	}
}

// call runs a handler; a panic is an attempt of class "bug".
func (q *Queue) call(ctx context.Context, h Handler, j Job) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = outcome{verdict: failed, text: fmt.Sprintf("panic: %v", p), class: ClassBug}
			q.log.Error("handler panicked", "id", j.ID, "kind", j.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	return judge(ctx, h(ctx, j))
}

// finish records what became of a leased job.
func (t *txn) finish(id uint64, out outcome) {
	before, ok := t.q.held[id]
	if !ok {
		return // returned at Close, or answered before
	}
	defer t.letGo(before)
	r, ok := t.get(id)
	if !ok || r.state != Leased {
		// The file was set aside meanwhile, or this is the second try of a commit
		// that was stored though it failed.
		if out.verdict == done && !ok {
			t.counts.Done++
		}
		return
	}
	switch out.verdict {
	case done:
		t.remove(&r)
		t.counts.Done++
	case failed:
		if int(r.attempts) >= t.q.opt.MaxAttempts {
			r.reclaims = 0
			t.bury(&r, out.class, out.text)
			return
		}
		t.change(&r, func(r *record) {
			r.reclaims, r.class = 0, out.class
			r.fail(out.text)
			t.waitUntil(r, t.ns+int64(Backoff(t.q.opt.RetryDelay, r.failures(), rand.Float64())), "")
		})
		t.counts.Retried++
	case final:
		r.reclaims = 0
		t.bury(&r, out.class, out.text)
	case snoozed:
		t.change(&r, func(r *record) {
			r.giveBack(&before)
			r.reclaims = 0
			r.snoozes++
			reason := Clip(out.text, maxText)
			if reason == "" {
				reason = "snoozed"
			}
			t.waitUntil(r, max(stamp(out.until), t.ns+int64(minSnooze)), reason)
		})
		t.counts.Snoozed++
	case returned:
		t.restore(&r, &before)
	}
}

// giveBack takes the present attempt back.
func (r *record) giveBack(before *record) {
	r.attempts, r.firstAt, r.lastAt = before.attempts, before.firstAt, before.lastAt
}

// restore makes a leased job wait as it did before.
func (t *txn) restore(r, before *record) {
	t.change(r, func(r *record) {
		r.giveBack(before)
		r.state, r.setAt, r.dueAt, r.reason = Waiting, before.setAt, before.dueAt, before.reason
	})
}

// returnAll puts back every leased job. One that had its time and is stuck has
// failed.
func (t *txn) returnAll() {
	for id, before := range t.q.held {
		out := outcome{verdict: returned}
		for _, s := range t.q.kind(before.kind).stuck {
			if s.id == id {
				out = s.out
			}
		}
		t.finish(id, out)
	}
}

// maxBackoff bounds the wait before one try.
const maxBackoff = 24 * time.Hour

// Backoff returns the wait after the given number of failures in a row, 1 or
// more: base, doubled with each further one, at most 24 h, and then lengthened
// by up to a tenth. jitter is a random number in [0, 1). With a base of 60 s and
// five failures: 60, 120, 240, 480 and 960 s.
func Backoff(base time.Duration, failures int, jitter float64) time.Duration {
	d := base
	for range failures - 1 {
		if d >= maxBackoff/2 {
			d = maxBackoff
			break
		}
		d *= 2
	}
	d = min(d, maxBackoff)
	return d + time.Duration(jitter*float64(d)/10)
}
