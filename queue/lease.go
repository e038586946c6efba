package queue

import (
	"bytes"
	"cmp"
	"math/rand/v2"
)

// lease leases up to n due jobs of a kind: the attempt and the time of
// the next one are written with this transaction, before any handler is called.
func (t *txn) lease(kind string, n int) []Job {
	if n <= 0 {
		return nil
	}
	// A cursor does not survive changes: first look, then act.
	var ready []record
	var stray [][]byte // entries without a job that waits for them
	next := int64(never)
	prefix := append([]byte(kind), 0)
	c := t.due.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		due, id, ok := dueOf(k)
		if ok && (due > t.ns || len(ready) == n) {
			next = due
			break
		}
		r, err := decodeRecord(id, t.jobs.Get(idKey(id)))
		switch {
		case !ok || len(k) != len(prefix)+16 || err != nil || r.state != Waiting || r.dueAt != due || r.kind != kind:
			stray = append(stray, bytes.Clone(k))
		case t.leased(id), r.key != "" && t.q.busy[busyKey(&r)] != 0:
			// Runs after the leased one, whose end wakes this kind.
		default:
			ready = append(ready, r)
		}
	}
	for _, k := range stray {
		must(t.due.Delete(k))
		t.dirty, t.doubt = true, true
		if _, id, ok := dueOf(k); ok {
			t.get(id) // sets aside what can't be understood
		}
	}
	var jobs []Job
	for i := range ready {
		r := &ready[i]
		if int(r.attempts) >= t.q.opt.MaxAttempts {
			t.bury(r, cmp.Or(r.class, ClassUnknown), "") // the limit was lowered
			continue
		}
		payload, ok := t.payload(r)
		if !ok {
			t.doubt = true
			t.bury(r, ClassDamaged, "the payload on disk is not what was written")
			continue
		}
		jobs = append(jobs, t.take(r, payload))
	}
	t.kind(kind).next = next
	return jobs
}

// take leases one job.
func (t *txn) take(r *record, payload []byte) Job {
	before := *r
	t.change(r, func(r *record) {
		r.state, r.reason = Leased, ""
		r.attempts++
		r.lastAt = t.ns
		if r.firstAt == 0 {
			r.firstAt = t.ns
		}
		r.setAt = t.ns
		r.dueAt = t.ns + int64(Backoff(t.q.opt.RetryDelay, r.failures(), rand.Float64()))
	})
	t.hold(before, true)
	j := r.job(t.q.opt.MaxAttempts)
	j.Payload = payload
	return j
}

func busyKey(r *record) string { return r.kind + "\x00" + r.key }

func (t *txn) leased(id uint64) bool { _, ok := t.q.held[id]; return ok }

// hold notes in memory that a job is leased, or no more; a failed commit undoes it.
func (t *txn) hold(before record, leased bool) {
	set := func(leased bool) {
		if leased {
			t.q.held[before.id], t.q.busy[busyKey(&before)] = before, before.id
		} else {
			delete(t.q.held, before.id)
			delete(t.q.busy, busyKey(&before))
		}
	}
	set(leased)
	t.undo = append(t.undo, func() { set(!leased) })
}

// letGo ends the lease of a job in memory.
func (t *txn) letGo(before record) {
	t.hold(before, false)
	if before.key != "" && t.waiter(before.kind, before.key) != 0 {
		k := t.kind(before.kind)
		k.next = min(k.next, t.ns) // it was passed over while this one ran
	}
}
