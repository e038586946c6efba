package queue

import (
	"errors"
	"io/fs"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A job that a failure or a snooze put off stands for a new one of its key as late
// as it was: the new one is no news of what it waits for.
func TestAJobThatWasPutOffStaysPutOffWhenAnotherComes(t *testing.T) {
	for name, why := range map[string]error{
		"failed": errors.New("busy"), "snoozed": Snooze(start.Add(time.Hour), "breaker is open"),
	} {
		t.Run(name, func(t *testing.T) {
			d := deskFor(t, Options{})
			id, _ := d.enqueue(NewJob{Kind: "fetch", Key: "p", Payload: []byte("old")})
			d.leaseOne("fetch")
			d.finish(id, why)
			due := d.get(id).DueAt
			another := NewJob{Kind: "fetch", Key: "p", Payload: []byte("new"), Labels: map[string]string{"shop": "a"}}
			if _, coalesced := d.enqueue(another); !coalesced {
				t.Error("it became a second job")
			}
			if j := d.get(id); !j.DueAt.Equal(due) || string(j.Payload) != "new" || j.Labels["shop"] != "a" {
				t.Errorf("due %v, was %v; %q %v", j.DueAt, due, j.Payload, j.Labels)
			}
		})
	}
}

func TestASnoozeUntilNowDoesNotSpin(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply"})
	d.leaseOne("apply")
	d.finish(id, Snooze(d.now.Add(-time.Hour), "soon"))
	if wait := d.get(id).DueAt.Sub(d.now); wait != minSnooze {
		t.Errorf("it waits %v", wait)
	}
}

func TestAClockPutBackAfterAFailedCommitLetsTheNextOneGo(t *testing.T) {
	var full error
	d := deskFor(t, Options{Fault: func(string) error { return full }})
	full = &fs.PathError{Op: "write", Path: "queue.db", Err: syscall.ENOSPC}
	put := func() error { return d.try("bury", func(t *txn) { t.dirty = true }) }
	if err := put(); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	if full = nil; put() == nil {
		t.Error("the full disk is asked by every caller")
	}
	d.now = d.now.Add(-24 * time.Hour)
	if err := put(); err != nil {
		t.Errorf("refused until the clock is where it was: %v", err)
	}
}

// A dead letter that is retried owes nothing of its first life.
func TestARetriedDeadLetterBeginsAtNothing(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply", Delay: true})
	d.now = d.now.Add(time.Hour)
	for range 3 {
		d.leaseOne("apply")
		d.crash()
	}
	if j := d.get(id); j.State != Dead {
		t.Fatalf("got %+v", j)
	}
	d.retry(id)
	if j := d.get(id); j.Reclaims != 0 || j.Class != "" || !j.DiedAt.IsZero() {
		t.Errorf("after the retry %+v", j)
	}
	d.leaseOne("apply")
	d.finish(id, errors.New("busy"))
	if wait := d.get(id).DueAt.Sub(d.now); wait < time.Minute || wait > 66*time.Second {
		t.Errorf("it waits %v after its first failure", wait)
	}
	d.now = d.now.Add(-24 * time.Hour) // a click of tomorrow
	if d.retry(id) != 1 {
		t.Error("a click counts as the second one of a click to come")
	}
}

func TestASweepLeavesWhatCameWhileItWasMade(t *testing.T) {
	q := started(t, Options{})
	if err := q.EnqueueAll(t.Context(), jobsOf(sweepBatch+1)); err != nil {
		t.Fatal(err)
	}
	var later uint64
	come := sync.OnceFunc(func() { later = mustEnqueue(t, q, NewJob{Kind: "apply"}) })
	chosen := func(Job) bool { come(); return true }
	n, err := q.sweep(t.Context(), "discard all", Filter{State: Waiting}, chosen, (*txn).discard)
	if n != sweepBatch+1 || err != nil || q.Stats().Waiting != 1 {
		t.Errorf("%d discarded, %d left, %v", n, q.Stats().Waiting, err)
	}
	mustGet(t, q, later)
}

func jobsOf(n int) []NewJob {
	jobs := make([]NewJob, n)
	for i := range jobs {
		jobs[i].Kind = "apply"
	}
	return jobs
}

func TestAnIDIsNeverGivenTwiceThoughTheFileCountsAgain(t *testing.T) {
	d := deskFor(t, Options{})
	first, _ := d.enqueue(NewJob{Kind: "apply"})
	d.do("count again", func(t *txn) { must(t.jobs.SetSequence(0)); t.dirty = true })
	if second, _ := d.enqueue(NewJob{Kind: "apply"}); second <= first || len(d.all()) != 2 {
		t.Errorf("id %d after %d", second, first)
	}
}
