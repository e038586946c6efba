package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
)

var (
	bucketJobs     = []byte("jobs")
	bucketDead     = []byte("dead")
	bucketPayloads = []byte("payloads")
	bucketDue      = []byte("due")
	bucketKeys     = []byte("keys")
	bucketDeadKeys = []byte("deadkeys")
	bucketDamaged  = []byte("damaged")
	bucketMeta     = []byte("meta")
	keyFormat      = []byte("format")
	keyQuarantine  = []byte("quarantine")
	keyNote        = []byte("note")
)

// Format is that of the file; 1 had another form of records.
const Format = 2

// appendFill is how full pages are left that grow at their end only.
const appendFill = 0.9

// never is later than every due time.
const never = math.MaxInt64

// txn is one write transaction. It keeps indexes and counts in step with the
// records, so the operations need to say only what becomes of a record. What
// they change in memory is applied by the writer after the commit, or undone.
type txn struct {
	q     *Queue
	ns    int64 // the time, as it is stored
	dirty bool  // something was written

	// doubt: something in the file is not what was written. The pages are checked
	// before this transaction commits, and the records are read again after it.
	doubt bool

	jobs, dead, payloads, due, keys, deadKeys, damaged *bbolt.Bucket

	kinds  map[string]*kindDelta // those it touched
	moves  []move                // what becomes of the counts, in order
	counts Counters              // since Open, this transaction's included
	lastID uint64                // newest id given out
	setBad int                   // records set aside
	undo   []func()              // takes back what was changed in memory, in reverse order
}

// kindDelta is when the jobs of a kind are due after a transaction: see kindState.
type kindDelta struct{ next, due int64 }

// move is a record that comes (1) or goes (-1).
type move struct {
	r  record
	by int
}

func (q *Queue) begin(tx *bbolt.Tx, now time.Time) *txn {
	q.mu.Lock()
	lastID, counts := q.mem.lastID, q.mem.counts
	q.mu.Unlock()
	t := &txn{
		q: q, ns: stamp(now), kinds: map[string]*kindDelta{}, lastID: lastID, counts: counts,
		jobs: tx.Bucket(bucketJobs), dead: tx.Bucket(bucketDead), payloads: tx.Bucket(bucketPayloads),
		due: tx.Bucket(bucketDue), keys: tx.Bucket(bucketKeys), deadKeys: tx.Bucket(bucketDeadKeys),
		damaged: tx.Bucket(bucketDamaged),
	}
	t.jobs.FillPercent, t.payloads.FillPercent = appendFill, appendFill
	return t
}

func (t *txn) kind(name string) *kindDelta {
	k := t.kinds[name]
	if k == nil {
		known := t.q.kind(name)
		k = &kindDelta{next: known.next, due: known.due}
		t.kinds[name] = k
	}
	return k
}

// must turns an error of a write inside the transaction into a panic, which the
// transaction reports as damage: bbolt returns errors there only for misuse and
// for buckets that are not what they were.
func must(err error) {
	if err != nil {
		panic(fmt.Errorf("write to queue: %w", err))
	}
}

func idKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

// Keys of the indexes.

func dueKey(kind string, due int64, id uint64) []byte {
	key := binary.BigEndian.AppendUint64(append([]byte(kind), 0), uint64(due))
	return binary.BigEndian.AppendUint64(key, id)
}

func coalesceKey(kind, key string) []byte { return []byte(kind + "\x00" + key) }

func deadKey(kind, key string, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(coalesceKey(kind, key), 0), id)
}

// entry is what an index holds of a record.
type entry struct {
	index    *bbolt.Bucket
	key, val []byte
}

// indexed is all that the indexes hold of a record.
func (t *txn) indexed(r *record) (list []entry) {
	if r.state == Waiting {
		list = append(list, entry{t.due, dueKey(r.kind, r.dueAt, r.id), []byte{}})
		if r.key != "" {
			list = append(list, entry{t.keys, coalesceKey(r.kind, r.key), idKey(r.id)})
		}
	}
	if r.state == Dead && r.key != "" {
		list = append(list, entry{t.deadKeys, deadKey(r.kind, r.key, r.id), []byte{}})
	}
	return list
}

func (e entry) there() bool {
	v := e.index.Get(e.key)
	return v != nil && bytes.Equal(v, e.val)
}

// bucket is where the records of a state are.
func (t *txn) bucket(s State) *bbolt.Bucket {
	if s == Dead {
		return t.dead
	}
	return t.jobs
}

// dueOf takes a key of the due index apart.
func dueOf(k []byte) (due int64, id uint64, ok bool) {
	if len(k) < 16 {
		return 0, 0, false
	}
	k = k[len(k)-16:]
	return int64(binary.BigEndian.Uint64(k)), binary.BigEndian.Uint64(k[8:]), true
}

// get returns the record with this id. One that can't be understood is set aside
// and counts as missing.
func (t *txn) get(id uint64) (record, bool) {
	key := idKey(id)
	for _, b := range [...]*bbolt.Bucket{t.jobs, t.dead} {
		v := b.Get(key)
		if v == nil {
			continue
		}
		r, err := decodeRecord(id, v)
		if err == nil {
			return r, true
		}
		t.setAside(b, key, v)
	}
	return record{}, false
}

// setAside moves a record that can't be understood out of the way. Its payload
// stays where it is.
func (t *txn) setAside(from *bbolt.Bucket, key, val []byte) {
	name := bucketJobs
	if from == t.dead {
		name = bucketDead
	}
	key = bytes.Clone(key)
	must(t.damaged.Put(append(append(bytes.Clone(name), 0), key...), bytes.Clone(val)))
	must(from.Delete(key))
	t.dirty, t.doubt = true, true
	t.setBad++
	t.q.log.Error("job record can't be understood and was set aside", "bucket", string(name), "key", fmt.Sprintf("%x", key))
}

// add stores a new job with its payload.
func (t *txn) add(r *record, payload []byte) {
	id, err := t.jobs.NextSequence()
	must(err)
	if id <= t.lastID { // never twice, even if the sequence was damaged
		id = t.lastID + 1
		must(t.jobs.SetSequence(id))
	}
	r.id, t.lastID = id, id
	must(t.payloads.Put(idKey(id), payload))
	t.store(r)
}

// change rewrites a record: f changes it, and the indexes and counts follow.
func (t *txn) change(r *record, f func(r *record)) {
	was := t.bucket(r.state)
	t.unindex(r)
	f(r)
	if was != t.bucket(r.state) {
		must(was.Delete(idKey(r.id)))
	}
	t.store(r)
}

// remove deletes a record and its payload.
func (t *txn) remove(r *record) {
	t.unindex(r)
	must(t.bucket(r.state).Delete(idKey(r.id)))
	must(t.payloads.Delete(idKey(r.id)))
}

// unindex takes a record out of the indexes and the counts.
func (t *txn) unindex(r *record) {
	t.count(r, -1)
	for _, e := range t.indexed(r) {
		if e.there() {
			must(e.index.Delete(e.key))
		}
	}
}

// store puts a record into its bucket, the indexes and the counts. A job that
// comes to wait beside another one with its kind and key takes that one in.
func (t *txn) store(r *record) {
	if r.state == Waiting {
		if other := t.waiter(r.kind, r.key); r.key != "" && other != 0 && other != r.id {
			t.merge(r, other)
		}
		k := t.kind(r.kind)
		k.next = min(k.next, r.dueAt)
	}
	for _, e := range t.indexed(r) {
		must(e.index.Put(e.key, e.val))
	}
	must(t.bucket(r.state).Put(idKey(r.id), r.encode()))
	t.count(r, 1)
}

// count notes that a record comes or goes.
func (t *txn) count(r *record, by int) {
	t.dirty = true
	t.kind(r.kind)
	t.moves = append(t.moves, move{*r, by})
}

// look finds out when the kinds it touched are due next.
func (t *txn) look() {
	for name, k := range t.kinds {
		k.due = nextOf(t.due, name)
	}
}

// waiter returns the id of the job that waits with this kind and key, 0 for none.
func (t *txn) waiter(kind, key string) uint64 {
	v := t.keys.Get(coalesceKey(kind, key))
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// merge ends the waiting job other in favour of r, which keeps its history and
// its due time and takes the newer payload and labels of the two.
func (t *txn) merge(r *record, other uint64) {
	o, ok := t.get(other)
	if !ok {
		return
	}
	if o.id > r.id {
		if p := t.payloads.Get(idKey(o.id)); p != nil {
			must(t.payloads.Put(idKey(r.id), bytes.Clone(p)))
		}
		r.size, r.sum, r.labels = o.size, o.sum, o.labels
	}
	r.coalesced += o.coalesced + 1
	t.remove(&o)
	t.counts.Coalesced++
}

// payload returns a copy of a job's payload; false when it is not what was
// written.
func (t *txn) payload(r *record) ([]byte, bool) {
	p := t.payloads.Get(idKey(r.id))
	if p == nil || !r.payloadFits(p) {
		return nil, false
	}
	return bytes.Clone(p), true
}

// bury makes a job a dead letter.
func (t *txn) bury(r *record, class Class, text string) {
	t.change(r, func(r *record) {
		r.state, r.class, r.diedAt, r.reason, r.dueAt = Dead, class, t.ns, "", 0
		r.fail(text)
	})
	t.counts.Died++
	t.q.log.Warn("job is dead", "id", r.id, "kind", r.kind, "class", string(class), "attempts", r.attempts)
}

// fail notes an error text, "" for none.
func (r *record) fail(text string) {
	if text == "" {
		return
	}
	r.lastError = Clip(text, maxText)
	if r.firstError == "" {
		r.firstError = r.lastError
	}
}

// waitUntil makes the record wait from now on.
func (t *txn) waitUntil(r *record, due int64, reason string) {
	r.state, r.setAt, r.dueAt, r.reason = Waiting, t.ns, max(due, t.ns), reason
}

// errNothing ends a transaction in which nothing was written.
var errNothing = errors.New("nothing to commit")

// makeBuckets creates what is missing and reports whether something was. It
// returns a *folder.NewerError for a file of a newer version. The first id of a new
// file is one above lastID.
func makeBuckets(tx *bbolt.Tx, lastID uint64) (made bool, err error) {
	if err := knownFormat(tx); err != nil {
		return false, err
	}
	for _, name := range [...][]byte{bucketJobs, bucketDead, bucketPayloads, bucketDue, bucketKeys,
		bucketDeadKeys, bucketDamaged, bucketMeta} {
		if tx.Bucket(name) != nil {
			continue
		}
		b, err := tx.CreateBucket(name)
		if err == nil && bytes.Equal(name, bucketJobs) {
			err = b.SetSequence(lastID)
		}
		if err != nil {
			return false, err
		}
		made = true
	}
	meta := tx.Bucket(bucketMeta)
	text := strconv.Itoa(Format)
	if string(meta.Get(keyFormat)) == text {
		return made, nil
	}
	return true, meta.Put(keyFormat, []byte(text))
}
