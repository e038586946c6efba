package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"go.etcd.io/bbolt"
)

// maxReclaims is how often a job may be leased when the process ends before it
// is dead.
const maxReclaims = 3

// fixBatch is how many records are mended in one transaction.
const fixBatch = 1000

// update runs fn in a write transaction at the given time.
func (q *Queue) update(fn func(t *txn) error, now time.Time) error {
	return q.file.Update(func(tx *bbolt.Tx) error {
		t := q.begin(tx, now)
		err := fn(t)
		if err == nil {
			t.look()
			q.mu.Lock()
			q.mem.coming = t.moves
			q.mu.Unlock()
		}
		return err
	})
}

// survey is what reading all records found.
type survey struct {
	mem        memory
	leased     []uint64 // as far as the file knows
	ahead      []uint64 // waits set at a time that is still to come
	bad        [2][][]byte
	indexWrong bool
}

// load reads the file into memory and mends what the last run left: leased
// jobs, waits from a clock that was ahead, records that can't be understood,
// indexes that do not fit. While q.restarted the leases are those of an earlier
// process; else those without a running handler are from commits whose outcome was
// not known. On error what is in memory stays stale.
func (q *Queue) load(now time.Time) error {
	q.stale = true
	if !q.ready {
		if err := q.prepareFile(); err != nil {
			return err
		}
	}
	s, err := q.survey(now)
	if err == nil && s.indexWrong {
		q.log.Warn("indexes of the queue do not fit its jobs and are rebuilt")
		if err = q.update(func(t *txn) error { t.rebuildIndexes(); return nil }, now); err == nil {
			s, err = q.survey(now)
		}
	}
	if err != nil {
		return err
	}
	q.mu.Lock()
	for name, k := range q.mem.kinds {
		s.mem.kind(name).workers, s.mem.kind(name).stuck = k.workers, k.stuck
	}
	s.mem.counts = q.mem.counts
	s.mem.lastID = max(s.mem.lastID, q.mem.lastID)
	q.mem = s.mem
	q.commits++
	q.mu.Unlock()

	var fixes []func(t *txn)
	for i, keys := range s.bad {
		for _, key := range keys {
			fixes = append(fixes, func(t *txn) {
				b := [...]*bbolt.Bucket{t.jobs, t.dead}[i]
				if v := b.Get(key); v != nil {
					t.setAside(b, key, v)
				}
			})
		}
	}
	for _, id := range s.leased {
		if _, running := q.held[id]; q.restarted || !running {
			fixes = append(fixes, func(t *txn) { t.reclaim(id, q.restarted) })
		}
	}
	for _, id := range s.ahead {
		fixes = append(fixes, func(t *txn) { t.rebase(id) })
	}
	for len(fixes) > 0 {
		n := min(len(fixes), fixBatch)
		var t *txn
		err := q.update(func(tx *txn) error {
			t = tx
			for _, fix := range fixes[:n] {
				fix(t)
			}
			if !t.dirty {
				return errNothing
			}
			return q.at("before", []*op{{name: "mend"}})
		}, now)
		if err != nil && !errors.Is(err, errNothing) {
			return err
		}
		q.apply(t)
		fixes = fixes[n:]
	}
	q.restarted, q.stale = false, false
	return nil
}

// survey reads all records and compares the indexes with them.
func (q *Queue) survey(now time.Time) (*survey, error) {
	s := &survey{mem: newMemory()}
	ns := stamp(now)
	err := q.file.View(func(tx *bbolt.Tx) error {
		jobs, due, keys, deadKeys := tx.Bucket(bucketJobs), tx.Bucket(bucketDue), tx.Bucket(bucketKeys), tx.Bucket(bucketDeadKeys)
		t := &txn{q: q, due: due, keys: keys}
		s.mem.lastID = jobs.Sequence()
		var waiting, keyed, deadKeyed int
		for i, b := range [...]*bbolt.Bucket{jobs, tx.Bucket(bucketDead)} {
			c := b.Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				if len(k) != 8 {
					s.bad[i] = append(s.bad[i], bytes.Clone(k))
					continue
				}
				id := binary.BigEndian.Uint64(k)
				r, err := decodeRecord(id, v)
				if err != nil || (i == 1) != (r.state == Dead) {
					s.bad[i] = append(s.bad[i], bytes.Clone(k))
					continue
				}
				s.mem.lastID = max(s.mem.lastID, id)
				s.mem.count(&r, 1)
				switch r.state {
				case Waiting:
					waiting++
					kind := s.mem.kind(r.kind)
					kind.next = min(kind.next, r.dueAt)
					kind.due = kind.next
					if r.setAt > ns {
						s.ahead = append(s.ahead, id)
					}
					if due.Get(t.dueKey(r.kind, r.dueAt, id)) == nil {
						s.indexWrong = true
					}
					if r.key != "" {
						keyed++
						s.indexWrong = s.indexWrong || t.waiter(r.kind, r.key) != id
					}
				case Leased:
					s.leased = append(s.leased, id)
				case Dead:
					if r.key != "" {
						deadKeyed++
						s.indexWrong = s.indexWrong || deadKeys.Get(t.deadKey(r.kind, r.key, id)) == nil
					}
				}
			}
		}
		if entries(due) != waiting || entries(keys) != keyed || entries(deadKeys) != deadKeyed {
			s.indexWrong = true
		}
		s.mem.damaged = entries(tx.Bucket(bucketDamaged))
		return nil
	})
	return s, err
}

// entries counts the keys of a bucket.
func entries(b *bbolt.Bucket) (n int) {
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	return n
}

// rebuildIndexes makes due, keys and deadkeys again from the records. Counts are
// left to the survey that follows.
func (t *txn) rebuildIndexes() {
	tx := t.jobs.Tx()
	for _, b := range [...]struct {
		name []byte
		to   **bbolt.Bucket
	}{{bucketDue, &t.due}, {bucketKeys, &t.keys}, {bucketDeadKeys, &t.deadKeys}} {
		must(tx.DeleteBucket(b.name))
		fresh, err := tx.CreateBucket(b.name)
		must(err)
		*b.to = fresh
	}
	var twice []record
	for _, b := range [...]*bbolt.Bucket{t.jobs, t.dead} {
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if len(k) != 8 {
				continue
			}
			r, err := decodeRecord(binary.BigEndian.Uint64(k), v)
			switch {
			case err != nil:
			case r.state == Dead && r.key != "":
				must(t.deadKeys.Put(t.deadKey(r.kind, r.key, r.id), []byte{}))
			case r.state == Waiting && r.key != "" && t.waiter(r.kind, r.key) != 0:
				twice = append(twice, r)
			case r.state == Waiting:
				must(t.due.Put(t.dueKey(r.kind, r.dueAt, r.id), []byte{}))
				if r.key != "" {
					must(t.keys.Put(t.coalesceKey(r.kind, r.key), idKey(r.id)))
				}
			}
		}
	}
	for i := range twice {
		t.store(&twice[i])
	}
	t.dirty = true
}

// reclaim puts back a job that nobody works at any more, without an attempt.
func (t *txn) reclaim(id uint64, restarted bool) {
	r, ok := t.get(id)
	if !ok || r.state != Leased {
		return
	}
	if restarted {
		t.counts.Reclaimed++
		if r.reclaims+1 >= maxReclaims {
			r.reclaims++
			r.attempts = max(r.attempts, 1) - 1
			t.bury(&r, ClassCrash, "stopped the process")
			return
		}
	}
	t.change(&r, func(r *record) {
		r.attempts = max(r.attempts, 1) - 1
		if restarted {
			r.reclaims++
		}
		t.waitUntil(r, t.ns, "")
	})
}

// rebase starts a wait again that was set at a time still to come: the clock was
// put back since.
func (t *txn) rebase(id uint64) bool {
	r, ok := t.get(id)
	if !ok || r.state != Waiting || r.setAt <= t.ns {
		return false
	}
	wait := max(0, r.dueAt-r.setAt)
	t.change(&r, func(r *record) {
		r.setAt = t.ns
		r.dueAt = t.ns + min(wait, math.MaxInt64-t.ns)
	})
	return true
}
