package queue

import (
	"cmp"
	"context"
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
	jobs    map[uint64]*Job
	delay   map[uint64]bool      // a try failed before the job came
	set     map[uint64]time.Time // when the present wait was set
	held    map[uint64]Job       // jobs in hand, as they were before
	lastID  uint64
	damaged int
	max     int
	base    time.Duration
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
	}
	m.checkCounts(t)
	m.checkLists(t)
	if len(m.d.q.held) != len(m.o.held) {
		t.Fatalf("%d leases in memory, want %d", len(m.d.q.held), len(m.o.held))
	}
}

// checkCounts counts all jobs of the oracle and compares.
func (m *machine) checkCounts(t *rapid.T) {
	want, kinds := map[groupKey]Group{}, map[string]KindStats{}
	for _, id := range slices.Sorted(maps.Keys(m.o.jobs)) {
		j := m.o.jobs[id]
		key := groupKey{j.Kind, j.Labels["shop"], j.Labels["topic"]}
		g, k := want[key], kinds[j.Kind]
		g.Kind, g.Shop, g.Topic = key.kind, key.shop, key.topic
		m.o.tally(&g.Tally, j)
		m.o.tally(&k.Tally, j)
		switch {
		case j.State == Waiting && g.Waits.ID == 0:
			g.Waits = Mark{id, j.EnqueuedAt}
		case j.State == Leased && g.InHand.ID == 0:
			g.InHand = Mark{id, j.EnqueuedAt}
		}
		if j.State == Waiting && (k.NextDue.IsZero() || j.DueAt.Before(k.NextDue)) {
			k.NextDue = j.DueAt
		}
		if j.State != Dead && j.LastError != "" && (g.Fails.ID == 0 || j.DueAt.Before(g.Fails.At)) {
			g.Fails = Mark{id, j.DueAt}
		}
		want[key], kinds[j.Kind] = g, k
	}
	got := map[groupKey]Group{}
	for _, g := range m.d.q.Groups() {
		got[groupKey{g.Kind, g.Shop, g.Topic}] = g
	}
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("groups (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(kinds, m.d.q.Stats().Kinds, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("kinds (-want +got):\n%s", diff)
	}
}

func (o *oracle) tally(n *Tally, j *Job) {
	switch j.State {
	case Waiting:
		n.Waiting++
		if j.Reason != "" {
			n.Snoozed++
		}
	case Leased:
		n.Leased++
	case Dead:
		n.Dead++
		if j.Class == ClassValidation {
			n.Invalid++
		}
	}
	if j.State != Dead && j.LastError != "" {
		n.Failed++
	}
}

// checkLists compares what a filter finds, in pages of two.
func (m *machine) checkLists(t *rapid.T) {
	f := Filter{
		State: rapid.SampledFrom([]State{"", Waiting, Leased, Dead}).Draw(t, "state"), Kind: rapid.SampledFrom(append([]string{""}, kinds...)).Draw(t, "kind"),
		Labels: map[string]string{}, NewestFirst: rapid.Bool().Draw(t, "newest first"), Limit: 2,
	}
	for _, name := range []string{"shop", "topic", "other"} {
		if rapid.IntRange(0, 2).Draw(t, "by "+name) == 0 {
			f.Labels[name] = rapid.SampledFrom(keys).Draw(t, name)
		}
	}
	var want, got []uint64
	for _, id := range slices.Sorted(maps.Keys(m.o.jobs)) {
		j := m.o.jobs[id]
		fits := (f.State == "" || j.State == f.State) && (f.Kind == "" || j.Kind == f.Kind)
		for name, value := range f.Labels {
			fits = fits && j.Labels[name] == value
		}
		if fits {
			want = append(want, id)
		}
	}
	if f.NewestFirst {
		slices.Reverse(want)
	}
	for page := f; ; {
		jobs, next, err := m.d.q.List(context.Background(), page)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			got = append(got, j.ID)
		}
		if page.After = next; next == 0 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v lists %v, want %v", f, got, want)
	}
}
