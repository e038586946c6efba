package queue

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// oracle is the queue as a person would write it down: a list of jobs and plain
// rules, with no file, no indexes and no counts.
type oracle struct {
	jobs   map[uint64]*Job
	delay  map[uint64]bool      // a try failed before the job came
	set    map[uint64]time.Time // when the present wait was set
	held   map[uint64]Job       // jobs in hand, as they were before
	lastID uint64
	max    int
	base   time.Duration
}

func (o *oracle) waiter(kind, key string) *Job {
	for _, j := range o.jobs {
		if key != "" && j.State == Waiting && j.Kind == kind && j.Key == key {
			return j
		}
	}
	return nil
}

// wait checks that the file's job is due one backoff after now and takes that
// time over: the jitter is the one thing that can't be foretold.
func (o *oracle) wait(t *rapid.T, j *Job, real Job, now time.Time) {
	failures := j.Attempts
	if o.delay[j.ID] {
		failures++
	}
	least := Backoff(o.base, failures, 0)
	got := real.DueAt.Sub(now)
	if got < least || got > least+least/10 {
		t.Fatalf("job %d waits %v after %d failures, want %v and up to a tenth more", j.ID, got, failures, least)
	}
	j.DueAt = real.DueAt
}

// settle puts a job back to waiting beside others: one of a kind and key waits.
func (o *oracle) settle(j *Job) {
	if other := o.waiter(j.Kind, j.Key); other != nil && other != j {
		if other.ID > j.ID {
			j.Payload, j.PayloadBytes, j.Labels = other.Payload, other.PayloadBytes, other.Labels
		}
		j.Coalesced += other.Coalesced + 1
		delete(o.jobs, other.ID)
	}
	j.State = Waiting
}

func (o *oracle) die(j *Job, class Class, text string, now time.Time) {
	j.State, j.Class, j.DiedAt, j.DueAt, j.Reason = Dead, class, now, time.Time{}, ""
	j.blame(text)
}

func (j *Job) blame(text string) {
	if text != "" {
		j.LastError = text
		j.FirstError = cmp.Or(j.FirstError, text)
	}
}

// check compares everything that can be seen.
func (m *machine) check(t *rapid.T) {
	m.d.t = t
	got := m.d.all()
	if len(got) != len(m.o.jobs) {
		t.Fatalf("%d jobs, want %d", len(got), len(m.o.jobs))
	}
	seen := map[string]uint64{}
	counts := map[string]*KindStats{}
	for _, g := range got {
		want := m.o.jobs[g.ID]
		if want == nil {
			t.Fatalf("job %d should be gone", g.ID)
		}
		g = m.d.get(g.ID)
		if diff := gocmp.Diff(*want, g, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("job %d (-want +got):\n%s", g.ID, diff)
		}
		if g.Attempts > m.o.max {
			t.Fatalf("job %d has %d attempts", g.ID, g.Attempts)
		}
		if g.Key != "" && g.State != Dead {
			k := fmt.Sprint(g.State, g.Kind, g.Key)
			if seen[k] != 0 {
				t.Fatalf("jobs %d and %d are both %s with one key", seen[k], g.ID, g.State)
			}
			seen[k] = g.ID
		}
		k := counts[g.Kind]
		if k == nil {
			k = &KindStats{}
			counts[g.Kind] = k
		}
		switch g.State {
		case Waiting:
			k.Waiting++
			if g.Reason != "" {
				k.Snoozed++
			}
		case Leased:
			k.Leased++
		case Dead:
			k.Dead++
			if g.Class == ClassValidation {
				k.Invalid++
			}
		}
	}
	stats := m.d.q.Stats()
	for _, kind := range kinds {
		s, want := stats.Kinds[kind], counts[kind]
		if want == nil {
			want = &KindStats{}
		}
		if s.Waiting != want.Waiting || s.Snoozed != want.Snoozed || s.Leased != want.Leased || s.Dead != want.Dead || s.Invalid != want.Invalid {
			t.Fatalf("%s: stats %+v, want %+v", kind, s, *want)
		}
		oldest, next := uint64(0), time.Time{}
		for _, id := range slices.Sorted(maps.Keys(m.o.jobs)) {
			j := m.o.jobs[id]
			if j.Kind != kind || j.State != Waiting {
				continue
			}
			if oldest == 0 {
				oldest = id
			}
			if next.IsZero() || j.DueAt.Before(next) {
				next = j.DueAt
			}
		}
		if !s.NextDue.Equal(next) {
			t.Fatalf("%s: next %v; want %v", kind, s.NextDue, next)
		}
		if oldest != 0 && !s.OldestEnqueuedAt.Equal(m.o.jobs[oldest].EnqueuedAt) {
			t.Fatalf("%s: oldest %v, want that of job %d", kind, s.OldestEnqueuedAt, oldest)
		}
	}
	if len(m.d.q.held) != len(m.o.held) {
		t.Fatalf("%d leases in memory, want %d", len(m.d.q.held), len(m.o.held))
	}
}
