package queue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/internal/folder"
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

// place is where a record lies.
type place struct {
	dead bool // among the dead
	key  []byte
}

// survey is what reading all records found.
type survey struct {
	mem        memory
	leased     []uint64 // as far as the file knows
	ahead      []uint64 // waits set at a time that is still to come
	bad        []place
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
	for _, bad := range s.bad {
		fixes = append(fixes, func(t *txn) {
			b := t.jobs
			if bad.dead {
				b = t.dead
			}
			if v := b.Get(bad.key); v != nil {
				t.setAside(b, bad.key, v)
			}
		})
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

// scan goes through all records. One that can't be understood, or has its place in
// the other bucket, is nil.
func (t *txn) scan(fn func(from *bbolt.Bucket, key []byte, r *record)) {
	for _, b := range [...]*bbolt.Bucket{t.jobs, t.dead} {
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			var r *record
			if len(k) == 8 {
				if got, err := decodeRecord(binary.BigEndian.Uint64(k), v); err == nil && t.bucket(got.state) == b {
					r = &got
				}
			}
			fn(b, k, r)
		}
	}
}

// survey reads all records and compares the indexes with them.
func (q *Queue) survey(now time.Time) (*survey, error) {
	s := &survey{mem: newMemory()}
	err := q.file.View(func(tx *bbolt.Tx) error {
		s.read(q.begin(tx, now))
		return nil
	})
	return s, err
}

// read takes account of every record.
func (s *survey) read(t *txn) {
	s.mem.lastID = t.jobs.Sequence()
	want := map[*bbolt.Bucket]int{}
	t.scan(func(from *bbolt.Bucket, key []byte, r *record) {
		if r == nil {
			s.bad = append(s.bad, place{from == t.dead, bytes.Clone(key)})
			return
		}
		s.add(r, t.ns)
		for _, e := range t.indexed(r) {
			want[e.index]++
			s.indexWrong = s.indexWrong || !e.there()
		}
	})
	for _, index := range [...]*bbolt.Bucket{t.due, t.keys, t.deadKeys} {
		s.indexWrong = s.indexWrong || entries(index) != want[index]
	}
	s.mem.damaged = entries(t.damaged)
}

// Copied is what a copy of a queue's file holds.
type Copied struct {
	Waiting, Dead int // jobs; those that run count as waiting
	Damaged       int // records that were set aside
}

// Examine reads a whole copy of a queue's file, which nobody uses, and counts what is
// in it. The error is boltfile.ErrDamaged, a *folder.NewerError, or says why it can't be read.
func Examine(dir *folder.Folder, name string) (n Copied, err error) {
	if _, err := dir.Info(name); err != nil {
		return n, err
	}
	q := &Queue{log: slog.New(slog.DiscardHandler), mem: newMemory()}
	if q.file, err = boltfile.Open(dir.File(name), boltfile.Options{Folder: dir}); err != nil {
		return n, err
	}
	defer func() { err = errors.Join(err, q.file.Close()) }()
	if why := cmp.Or(q.file.Reason, q.file.Suspect); why != "" {
		return n, &boltfile.DamageError{Reason: why}
	}
	if err := q.file.View(knownFormat); err != nil {
		return n, err
	}
	s, err := q.survey(time.Now())
	if err == nil && (len(s.bad) > 0 || s.indexWrong) {
		err = errRecords()
	}
	if err != nil {
		return n, err
	}
	all := s.mem.all
	return Copied{all.Waiting + all.Leased, all.Dead, s.mem.damaged}, nil
}

// Check reads every job of a queue that is in use and what leads to it, and counts them.
// bbolt's own check of pages can't be used beside a writer. The error is
// boltfile.ErrDamaged, or says why it can't be read.
func (q *Queue) Check(ctx context.Context) (jobs int, err error) {
	s := &survey{mem: newMemory()}
	err = q.view(ctx, func(tx *bbolt.Tx) error {
		s.read(q.begin(tx, time.Now()))
		return nil
	})
	if err == nil && (len(s.bad) > 0 || s.indexWrong) {
		err = errRecords()
	}
	if err != nil {
		return 0, err
	}
	return s.mem.all.Waiting + s.mem.all.Leased + s.mem.all.Dead, nil
}

func errRecords() error { return &boltfile.DamageError{Reason: "records of jobs can't be understood"} }

// knownFormat returns nil for a file that this version can use.
func knownFormat(tx *bbolt.Tx) error {
	if meta := tx.Bucket(bucketMeta); meta != nil {
		if v := string(meta.Get(keyFormat)); v != strconv.Itoa(Format) && v != "1" && v != "" {
			return &folder.NewerError{File: "queue.db", Noted: bytes.Clone(meta.Get(keyNote))}
		}
	}
	return nil
}

// add takes account of a record at the time ns.
func (s *survey) add(r *record, ns int64) {
	s.mem.lastID = max(s.mem.lastID, r.id)
	s.mem.count(r, 1)
	switch r.state {
	case Waiting:
		kind := s.mem.kind(r.kind)
		kind.next = min(kind.next, r.dueAt)
		kind.due = kind.next
		if r.setAt > ns {
			s.ahead = append(s.ahead, r.id)
		}
	case Leased:
		s.leased = append(s.leased, r.id)
	}
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
	var twice []*record
	t.scan(func(_ *bbolt.Bucket, _ []byte, r *record) {
		if r == nil {
			return
		}
		if r.state == Waiting && r.key != "" && t.waiter(r.kind, r.key) != 0 {
			twice = append(twice, r)
			return
		}
		for _, e := range t.indexed(r) {
			must(e.index.Put(e.key, e.val))
		}
	})
	for _, r := range twice {
		t.store(r)
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
