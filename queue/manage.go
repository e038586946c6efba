package queue

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// doubleClick is how long after a retry another one of the same job counts as the
// same click.
const doubleClick = 3 * time.Second

// sweepBatch is how many jobs the calls that touch many do in one transaction.
const sweepBatch = 500

// Retry makes jobs due now and returns how many it changed. A dead letter starts
// over with no attempts spent and keeps its history; a waiting job keeps its
// attempts. A leased job, one already due, an unknown id, and a second click
// within 3 s change nothing and are not counted.
func (q *Queue) Retry(ctx context.Context, ids ...uint64) (n int, err error) {
	return call(ctx, q, "retry", 256*len(ids), func(t *txn) int { return t.each(ids, (*txn).retry) })
}

// each does something to jobs and counts those it changed.
func (t *txn) each(ids []uint64, do func(*txn, uint64) bool) (n int) {
	for _, id := range ids {
		if do(t, id) {
			n++
		}
	}
	return n
}

func (t *txn) retry(id uint64) bool {
	r, ok := t.get(id)
	if !ok || r.state == Leased || r.state == Waiting && r.dueAt <= t.ns {
		return false
	}
	if since := t.ns - r.retriedAt; r.retriedAt != 0 && since >= 0 && since < int64(doubleClick) {
		return false
	}
	t.change(&r, func(r *record) {
		if r.state == Dead {
			r.attempts, r.reclaims, r.delayed = 0, 0, false
			r.diedAt, r.class = 0, ""
			r.redrives++
			t.counts.Redriven++
		}
		r.retriedAt = t.ns
		t.waitUntil(r, t.ns, "")
	})
	return true
}

// Discard deletes waiting jobs and dead letters for good and returns how many.
// A leased job is left alone, as is an unknown id.
func (q *Queue) Discard(ctx context.Context, ids ...uint64) (n int, err error) {
	return call(ctx, q, "discard", 256*len(ids), func(t *txn) int { return t.each(ids, (*txn).discard) })
}

func (t *txn) discard(id uint64) bool {
	r, ok := t.get(id)
	if !ok || r.state == Leased {
		return false
	}
	t.remove(&r)
	t.counts.Discarded++
	t.q.log.Info("job discarded", "id", r.id, "kind", r.kind, "state", string(r.state))
	return true
}

// RetryAll does what Retry does to every job that the filter and chosen name; without
// a state to the dead ones. After and Limit are ignored. On error n jobs are done.
func (q *Queue) RetryAll(ctx context.Context, f Filter, chosen func(Job) bool) (n int, err error) {
	return q.sweep(ctx, "retry all", f, chosen, (*txn).retry)
}

// DiscardAll is RetryAll for Discard.
func (q *Queue) DiscardAll(ctx context.Context, f Filter, chosen func(Job) bool) (n int, err error) {
	return q.sweep(ctx, "discard all", f, chosen, (*txn).discard)
}

// sweep does something to all jobs of a filter that existed when it began, a
// batch a transaction; only those that chosen names.
func (q *Queue) sweep(ctx context.Context, name string, f Filter, chosen func(Job) bool,
	do func(*txn, uint64) bool) (total int, err error) {
	if f.State == "" {
		f.State = Dead
	}
	f.After, f.NewestFirst, f.Limit = 0, false, sweepBatch
	last := q.lastID()
	for {
		jobs, next, err := q.List(ctx, f)
		if err != nil {
			return total, err
		}
		jobs = slices.DeleteFunc(jobs, func(j Job) bool { return !chosen(j) })
		if len(jobs) == 0 && next == 0 {
			return total, nil // without a commit
		}
		n, err := call(ctx, q, name, 256*len(jobs), func(t *txn) (n int) {
			for _, j := range jobs {
				// The filter was looked at in an older state of the file.
				if r, ok := t.get(j.ID); ok && j.ID <= last && r.state == f.State && do(t, j.ID) {
					n++
				}
			}
			return n
		})
		if err != nil {
			return total, err
		}
		total += n
		if next == 0 || next > last {
			return total, nil
		}
		f.After = next
	}
}

// ResolveAll is RetryAll for Resolve, which dead letters only undergo.
func (q *Queue) ResolveAll(ctx context.Context, f Filter, chosen func(Job) bool, reason string) (n int, err error) {
	if f.Kind != "" && q.kind(f.Kind).Dead == 0 {
		return 0, nil
	}
	f.State = Dead
	return q.sweep(ctx, "resolve all", f, chosen, func(t *txn, id uint64) bool { return t.resolveOne(id, reason) })
}

// Resolve deletes the dead letters of a kind and key because what they were to
// do has been done otherwise, and returns how many. The reason goes to the log.
func (q *Queue) Resolve(ctx context.Context, kind, key, reason string) (n int, err error) {
	if key == "" || q.kind(kind).Dead == 0 {
		return 0, nil
	}
	return call(ctx, q, "resolve", 256, func(t *txn) int { return t.resolve(kind, key, reason) })
}

func (t *txn) resolve(kind, key, reason string) (n int) {
	prefix := append(coalesceKey(kind, key), 0)
	var ids []uint64
	c := t.deadKeys.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		if len(k) == len(prefix)+8 {
			ids = append(ids, binary.BigEndian.Uint64(k[len(prefix):]))
		}
	}
	for _, id := range ids {
		if r, ok := t.get(id); ok && r.kind == kind && r.key == key && t.resolveOne(id, reason) {
			n++
		}
	}
	return n
}

func (t *txn) resolveOne(id uint64, reason string) bool {
	r, ok := t.get(id)
	if !ok || r.state != Dead {
		return false
	}
	t.remove(&r)
	t.counts.Resolved++
	t.q.log.Info("dead letter resolved", "id", id, "kind", r.kind, "reason", reason)
	return true
}

// Wake makes the snoozed jobs of a kind due now, because what they waited for is
// back, and returns how many. Jobs in backoff stay where they are.
func (q *Queue) Wake(ctx context.Context, kind string) (n int, err error) {
	if q.kind(kind).Snoozed == 0 {
		return 0, nil
	}
	return q.sweep(ctx, "wake", Filter{State: Waiting, Kind: kind}, func(j Job) bool { return j.Reason != "" }, (*txn).wake)
}

func (t *txn) wake(id uint64) bool {
	r, ok := t.get(id)
	if !ok || !r.snoozed() || r.dueAt <= t.ns { // what is due already needs no waking
		return false
	}
	t.change(&r, func(r *record) { t.waitUntil(r, t.ns, "") })
	return true
}

// clockWentBack starts the waits again that were set at a time still to come.
func (q *Queue) clockWentBack(ctx context.Context) {
	q.log.Warn("the clock was put back; waits are counted from now")
	all := func(Job) bool { return true }
	if _, err := q.sweep(ctx, "rebase", Filter{State: Waiting}, all, (*txn).rebase); err != nil {
		q.log.Warn("waits could not be set again", "error", err)
	}
}

// LastID is the newest id that was given out.
func (q *Queue) LastID() uint64 { return q.lastID() }

// Note keeps a small value of its owner's in the file; Noted returns it, nil for none.
func (q *Queue) Note(ctx context.Context, value []byte) error {
	return q.do(ctx, "note", len(value), func(t *txn) error {
		t.dirty = true
		return t.jobs.Tx().Bucket(bucketMeta).Put(keyNote, value)
	})
}

// Noted returns what Note kept last.
func (q *Queue) Noted(ctx context.Context) (value []byte, err error) {
	err = q.view(ctx, func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket(bucketMeta).Get(keyNote))
		return nil
	})
	return value, err
}

// NoteLoss notes, as of a file that was set aside, that this one lacks jobs: somebody
// put an older copy in its place. Ids go on above any that were given out.
func (q *Queue) NoteLoss(ctx context.Context, reason string) error {
	event := quarantine{Reason: reason, At: time.Now().UTC()}
	err := q.do(ctx, "loss", 0, func(t *txn) error {
		v, err := json.Marshal(event)
		if err != nil {
			return err
		}
		t.dirty, t.lastID = true, max(t.lastID, uint64(max(0, event.At.UnixMilli())))
		return errors.Join(t.jobs.SetSequence(t.lastID), t.jobs.Tx().Bucket(bucketMeta).Put(keyQuarantine, v))
	})
	if err == nil {
		q.mu.Lock()
		q.quarantine = event
		q.mu.Unlock()
	}
	return err
}
