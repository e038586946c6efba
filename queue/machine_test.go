package queue

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// machine drives a real queue and the oracle side by side.
type machine struct {
	d *desk
	o *oracle
}

func TestQueueDoesWhatTheOracleSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "queue")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := &machine{
			d: newDesk(t, Options{Path: filepath.Join(dir, "queue.db"), MaxAttempts: 3, RetryDelay: time.Minute}, start),
			o: &oracle{jobs: map[uint64]*Job{}, delay: map[uint64]bool{}, set: map[uint64]time.Time{},
				held: map[uint64]Job{}, max: 3, base: time.Minute},
		}
		defer m.d.close()
		t.Repeat(map[string]func(*rapid.T){
			"":                  m.check,
			"enqueue":           m.enqueue,
			"enqueue again":     m.enqueue,
			"bury":              m.bury,
			"lease":             m.lease,
			"lease again":       m.lease,
			"finish":            m.finish,
			"finish again":      m.finish,
			"retry":             m.retry,
			"discard":           m.discard,
			"resolve":           m.resolve,
			"wake":              m.wake,
			"time passes":       m.timePasses,
			"time passes again": m.timePasses,
			"clock put back":    m.clockBack,
			"restart":           m.restart,
			"crash":             m.crash,
			"crash and clock":   m.crashAndClock,
			"damage":            m.damage,
		})
	})
}

var (
	kinds = []string{"apply", "fetch"}
	keys  = []string{"", "p1", "p2", "p3"}
)

func (m *machine) newJob(t *rapid.T) NewJob {
	j := NewJob{
		Kind:    rapid.SampledFrom(kinds).Draw(t, "kind"),
		Key:     rapid.SampledFrom(keys).Draw(t, "key"),
		Payload: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "payload"),
		Delay:   rapid.Bool().Draw(t, "delay"),
	}
	if n := rapid.IntRange(-100, 200).Draw(t, "not before"); n%3 == 0 {
		j.NotBefore = m.d.now.Add(time.Duration(n) * time.Second)
	}
	if rapid.Bool().Draw(t, "labelled") {
		j.Labels = map[string]string{}
		for _, name := range []string{"shop", "topic", "other"} {
			if v := rapid.SampledFrom(keys).Draw(t, name); v != "" {
				j.Labels[name] = v
			}
		}
	}
	return j
}

func (m *machine) enqueue(t *rapid.T) {
	m.d.t = t
	j := m.newJob(t)
	id, coalesced := m.d.enqueue(j)
	real := m.d.get(id)
	due := m.d.now
	if j.Delay {
		due = real.DueAt
	}
	if !j.NotBefore.IsZero() {
		due = j.NotBefore
		if due.Before(m.d.now) {
			due = m.d.now
		}
	}
	if w := m.o.waiter(j.Kind, j.Key); w != nil {
		if !coalesced || id != w.ID {
			t.Fatalf("enqueued as %d (coalesced %v), but %d waits with that key", id, coalesced, w.ID)
		}
		w.Payload, w.PayloadBytes, w.Labels = j.Payload, len(j.Payload), j.Labels
		w.Coalesced++
		if j.Delay && j.NotBefore.IsZero() {
			due = m.d.now.Add(time.Minute) // at least; see below
		}
		if w.Attempts == 0 && !m.o.delay[id] && w.Reason == "" && due.Before(w.DueAt) {
			if j.Delay && j.NotBefore.IsZero() {
				if real.DueAt.After(w.DueAt) {
					t.Fatalf("coalescing moved job %d from %v to %v", id, w.DueAt, real.DueAt)
				}
				due = real.DueAt
			}
			if !due.Equal(w.DueAt) {
				w.DueAt, m.o.set[id] = due, m.d.now
			}
		}
		return
	}
	if coalesced || id <= m.o.lastID {
		t.Fatalf("enqueued as %d (coalesced %v), last id was %d", id, coalesced, m.o.lastID)
	}
	m.o.lastID = id
	n := &Job{ID: id, Kind: j.Kind, Key: j.Key, Labels: j.Labels, Payload: j.Payload, PayloadBytes: len(j.Payload),
		State: Waiting, MaxAttempts: m.o.max, EnqueuedAt: m.d.now, DueAt: due}
	m.o.jobs[id], m.o.delay[id], m.o.set[id] = n, j.Delay, m.d.now
	if j.Delay && j.NotBefore.IsZero() {
		m.o.wait(t, n, real, m.d.now)
	}
}

func (m *machine) bury(t *rapid.T) {
	m.d.t = t
	j := m.newJob(t)
	n, err := m.d.q.prepare(j)
	if err != nil {
		t.Fatal(err)
	}
	m.d.do("bury", func(t *txn) { t.buryNew(n, ClassPoison, "no JSON") })
	if n.id <= m.o.lastID {
		t.Fatalf("buried as %d, last id was %d", n.id, m.o.lastID)
	}
	m.o.lastID = n.id
	m.o.jobs[n.id] = &Job{ID: n.id, Kind: j.Kind, Key: j.Key, Labels: j.Labels, Payload: j.Payload,
		PayloadBytes: len(j.Payload), State: Dead, MaxAttempts: m.o.max, EnqueuedAt: m.d.now, DiedAt: m.d.now,
		Class: ClassPoison, FirstError: "no JSON", LastError: "no JSON"}
	m.o.delay[n.id] = j.Delay
}

func (m *machine) lease(t *rapid.T) {
	m.d.t = t
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	n := rapid.IntRange(1, 3).Draw(t, "n")
	var want []*Job
	for _, j := range m.o.jobs {
		busy := false
		for _, h := range m.o.held {
			busy = busy || h.Key != "" && h.Kind == j.Kind && h.Key == j.Key
		}
		if j.Kind == kind && j.State == Waiting && !j.DueAt.After(m.d.now) && !busy {
			want = append(want, j)
		}
	}
	slices.SortFunc(want, func(a, b *Job) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID))
	})
	want = want[:min(n, len(want))]
	got := m.d.lease(kind, n)
	if len(got) != len(want) {
		t.Fatalf("leased %d jobs, want %d", len(got), len(want))
	}
	for i, j := range want {
		if got[i].ID != j.ID || !bytes.Equal(got[i].Payload, j.Payload) {
			t.Fatalf("lease %d is job %d, want %d", i, got[i].ID, j.ID)
		}
		m.o.held[j.ID] = *j
		j.State, j.Reason = Leased, ""
		j.Attempts++
		j.LastAttemptAt = m.d.now
		if j.FirstAttemptAt.IsZero() {
			j.FirstAttemptAt = m.d.now
		}
		m.o.wait(t, j, got[i], m.d.now)
	}
}

func (m *machine) finish(t *rapid.T) {
	m.d.t = t
	if len(m.o.held) == 0 {
		t.Skip("nothing in hand")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.o.held))).Draw(t, "id")
	before, j := m.o.held[id], m.o.jobs[id]
	delete(m.o.held, id)
	now := m.d.now
	giveBack := func() {
		j.Attempts, j.FirstAttemptAt, j.LastAttemptAt = before.Attempts, before.FirstAttemptAt, before.LastAttemptAt
	}
	switch rapid.SampledFrom([]string{"done", "fail", "fail", "snooze", "permanent", "returned"}).Draw(t, "outcome") {
	case "done":
		m.d.finish(id, nil)
		delete(m.o.jobs, id)
	case "fail":
		m.d.finish(id, WithClass(errors.New("no answer"), ClassUpstream))
		j.Reclaims = 0
		if j.Attempts >= m.o.max {
			m.o.die(j, ClassUpstream, "no answer", now)
			return
		}
		j.Class = ClassUpstream
		j.blame("no answer")
		m.o.settle(j)
		m.o.set[id] = now
		m.o.wait(t, j, m.d.get(id), now)
	case "snooze":
		wait := time.Duration(rapid.IntRange(-10, 900).Draw(t, "seconds")) * time.Second
		m.d.finish(id, Snooze(now.Add(wait), "breaker is open"))
		giveBack()
		j.Reclaims = 0
		j.Snoozes++
		j.Reason, j.DueAt, m.o.set[id] = "breaker is open", now.Add(max(wait, minSnooze)), now
		m.o.settle(j)
	case "permanent":
		m.d.finish(id, Permanent(errors.New("title is too long")))
		j.Reclaims = 0
		m.o.die(j, ClassValidation, "title is too long", now)
	case "returned":
		m.d.do("finish", func(t *txn) { t.finish(id, outcome{verdict: returned}) })
		m.putBack(j, before)
	}
}

func (m *machine) putBack(j *Job, before Job) {
	j.Attempts, j.FirstAttemptAt, j.LastAttemptAt = before.Attempts, before.FirstAttemptAt, before.LastAttemptAt
	j.DueAt, j.Reason = before.DueAt, before.Reason
	m.o.settle(j)
}

// pick draws some ids, existing or not.
func (m *machine) pick(t *rapid.T) []uint64 {
	return rapid.SliceOfN(rapid.Uint64Range(1, m.o.lastID+1), 1, 3).Draw(t, "ids")
}

func (m *machine) retry(t *rapid.T) {
	m.d.t = t
	ids := m.pick(t)
	want, got := 0, 0
	for _, id := range ids {
		j := m.o.jobs[id]
		if j == nil || j.State == Leased || j.State == Waiting && !j.DueAt.After(m.d.now) ||
			!j.RetriedAt.IsZero() && !m.d.now.Before(j.RetriedAt) && m.d.now.Sub(j.RetriedAt) < doubleClick {
			continue
		}
		want++
		if j.State == Dead {
			j.Attempts, j.Reclaims, j.DiedAt, j.Class = 0, 0, time.Time{}, ""
			m.o.delay[id] = false
			j.Redrives++
		}
		j.Reason, j.RetriedAt, j.DueAt, m.o.set[id] = "", m.d.now, m.d.now, m.d.now
		m.o.settle(j)
	}
	m.d.do("retry", func(t *txn) { got = t.each(ids, (*txn).retry) })
	if got != want {
		t.Fatalf("retried %d, want %d", got, want)
	}
}

func (m *machine) discard(t *rapid.T) {
	m.d.t = t
	ids := m.pick(t)[:1]
	want, got := 0, 0
	for _, id := range ids {
		if j := m.o.jobs[id]; j != nil && j.State != Leased {
			delete(m.o.jobs, id)
			want++
		}
	}
	m.d.do("discard", func(t *txn) { got = t.each(ids, (*txn).discard) })
	if got != want {
		t.Fatalf("discarded %d, want %d", got, want)
	}
}

func (m *machine) resolve(t *rapid.T) {
	m.d.t = t
	kind, key := rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.SampledFrom(keys[1:]).Draw(t, "key")
	want, got := 0, 0
	for id, j := range m.o.jobs {
		if j.State == Dead && j.Kind == kind && j.Key == key {
			delete(m.o.jobs, id)
			want++
		}
	}
	m.d.do("resolve", func(t *txn) { got = t.resolve(kind, key, "synced") })
	if got != want {
		t.Fatalf("resolved %d, want %d", got, want)
	}
}

func (m *machine) wake(t *rapid.T) {
	m.d.t = t
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	want, got := 0, 0
	var ids []uint64
	for id, j := range m.o.jobs {
		if j.Kind != kind {
			continue
		}
		ids = append(ids, id)
		if j.State == Waiting && j.Reason != "" && j.DueAt.After(m.d.now) {
			j.DueAt, j.Reason, m.o.set[id] = m.d.now, "", m.d.now
			want++
		}
	}
	m.d.do("wake", func(t *txn) { got = t.each(ids, (*txn).wake) })
	if got != want {
		t.Fatalf("woke %d, want %d", got, want)
	}
}

func (m *machine) timePasses(t *rapid.T) {
	m.d.now = m.d.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second)
}

// rebase: a wait that was set at a time still to come starts again.
func (m *machine) rebase() {
	for id, j := range m.o.jobs {
		if j.State == Waiting && m.o.set[id].After(m.d.now) {
			j.DueAt = m.d.now.Add(j.DueAt.Sub(m.o.set[id]))
			m.o.set[id] = m.d.now
		}
	}
}

func (m *machine) clockBack(t *rapid.T) {
	m.d.t = t
	m.d.now = m.d.now.Add(-time.Duration(rapid.IntRange(1, 26).Draw(t, "hours")) * time.Hour)
	m.rebase()
	m.d.do("rebase", func(t *txn) { t.each(slices.Collect(maps.Keys(m.o.jobs)), (*txn).rebase) })
}

func (m *machine) restart(t *rapid.T) {
	m.d.t = t
	for _, id := range slices.Sorted(maps.Keys(m.o.held)) {
		m.putBack(m.o.jobs[id], m.o.held[id])
	}
	clear(m.o.held)
	m.d.restart()
	m.rebase()
}

func (m *machine) crash(t *rapid.T) {
	m.d.t = t
	for _, id := range slices.Sorted(maps.Keys(m.o.held)) {
		j := m.o.jobs[id]
		j.Attempts--
		j.Reclaims++
		if j.Reclaims >= maxReclaims {
			m.o.die(j, ClassCrash, "stopped the process", m.d.now)
			continue
		}
		j.DueAt, m.o.set[id] = m.d.now, m.d.now
		m.o.settle(j)
	}
	clear(m.o.held)
	m.d.crash()
	m.rebase()
}

func (m *machine) crashAndClock(t *rapid.T) {
	m.d.now = m.d.now.Add(time.Duration(rapid.IntRange(-30, 30).Draw(t, "hours")) * time.Hour)
	m.crash(t)
}

// damage spoils the record of a job that nobody has in hand. A reader's doubt has the
// file read again; the record is set aside, and all else stays.
func (m *machine) damage(t *rapid.T) {
	m.d.t = t
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(m.o.jobs)), func(id uint64) bool { _, held := m.o.held[id]; return held })
	if len(ids) == 0 {
		t.Skip("nothing to spoil")
	}
	id := rapid.SampledFrom(ids).Draw(t, "id")
	err := m.d.q.file.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketJobs)
		if m.o.jobs[id].State == Dead {
			b = tx.Bucket(bucketDead)
		}
		return b.Put(idKey(id), []byte("spoilt"))
	})
	if err != nil {
		t.Fatal(err)
	}
	m.d.do("doubt", func(t *txn) { t.doubt = true })
	m.d.do("look", func(*txn) {})
	delete(m.o.jobs, id)
	m.rebase() // as each reading of the file does
	if m.o.damaged++; m.d.q.Stats().Damaged != m.o.damaged {
		t.Fatalf("%d set aside, want %d", m.d.q.Stats().Damaged, m.o.damaged)
	}
}
