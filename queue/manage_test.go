package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func (d *desk) deadLetter(j NewJob) uint64 {
	d.t.Helper()
	n, err := d.q.prepare(j)
	if err != nil {
		d.t.Fatalf("%v", err)
	}
	d.do("bury", func(t *txn) { t.buryNew(n, ClassPoison, "no JSON") })
	return n.id
}

func (d *desk) retry(ids ...uint64) (n int) {
	d.t.Helper()
	d.do("retry", func(t *txn) { n = t.each(ids, (*txn).retry) })
	return n
}

func TestRetryStartsADeadLetterOverAndKeepsItsHistory(t *testing.T) {
	d := deskFor(t, Options{MaxAttempts: 2})
	id, _ := d.enqueue(NewJob{Kind: "apply", Payload: []byte("body")})
	for range 2 {
		d.now = d.now.Add(time.Hour)
		d.finish(d.leaseOne("apply").ID, WithClass(fmt.Errorf("at %s", d.now.Format("15:04")), ClassUpstream))
	}
	dead := d.get(id)
	if dead.State != Dead || dead.Attempts != 2 || dead.FirstError != "at 13:00" || dead.LastError != "at 14:00" ||
		dead.Class != ClassUpstream || string(dead.Payload) != "body" || !dead.DiedAt.Equal(d.now) {
		t.Fatalf("dead letter %+v", dead)
	}
	d.now = d.now.Add(time.Hour)
	if n := d.retry(id); n != 1 {
		t.Errorf("retried %d", n)
	}
	j := d.get(id)
	if j.State != Waiting || j.Attempts != 0 || j.Redrives != 1 || !j.DueAt.Equal(d.now) || !j.RetriedAt.Equal(d.now) ||
		j.FirstError != "at 13:00" || j.LastError != "at 14:00" || !j.EnqueuedAt.Equal(start) || string(j.Payload) != "body" {
		t.Errorf("after retry %+v", j)
	}
	// It has its full number of tries again.
	for range 2 {
		d.finish(d.leaseOne("apply").ID, errors.New("again"))
		d.now = d.now.Add(time.Hour)
	}
	if j := d.get(id); j.State != Dead || j.Attempts != 2 || j.FirstError != "at 13:00" || j.LastError != "again" {
		t.Errorf("dead again %+v", j)
	}
}

func TestRetryClickedTwiceTakesEffectOnce(t *testing.T) {
	d := deskFor(t, Options{})
	id := d.deadLetter(NewJob{Kind: "apply"})
	if d.retry(id) != 1 || d.retry(id) != 0 {
		t.Error("two clicks before the job ran")
	}
	d.leaseOne("apply")
	if d.retry(id) != 0 {
		t.Error("a click while the job is in hand")
	}
	d.finish(id, errors.New("busy"))
	before := d.get(id)
	if d.retry(id) != 0 || !d.get(id).DueAt.Equal(before.DueAt) {
		t.Error("the second click of the same pair moved the backoff")
	}
	d.now = d.now.Add(doubleClick)
	if d.retry(id) != 1 {
		t.Error("a later click did nothing")
	}
	if j := d.get(id); j.Attempts != 1 || j.Redrives != 1 || !j.DueAt.Equal(d.now) {
		t.Errorf("got %+v", j)
	}
}

func TestConcurrentClicksCountOnce(t *testing.T) {
	q := started(t, Options{})
	var ids []uint64
	for range 20 {
		id, err := q.Bury(t.Context(), NewJob{Kind: "apply"}, ClassPoison, errors.New("no JSON"))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, c := range []struct {
		name string
		do   func() (int, error)
	}{
		{"retry", func() (int, error) { return q.Retry(t.Context(), ids[:10]...) }},
		{"discard all", func() (int, error) { return q.DiscardAll(t.Context(), Filter{Kind: "apply"}, anyJob) }},
	} {
		var total atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				n, err := c.do()
				if err != nil {
					t.Error(err)
				}
				total.Add(int64(n))
			})
		}
		wg.Wait()
		if total.Load() != 10 {
			t.Errorf("%s: counted %d, want 10", c.name, total.Load())
		}
	}
	if c := q.Stats().Counts; c.Redriven != 10 || c.Discarded != 10 {
		t.Errorf("counts %+v", c)
	}
}

func TestRedrivenJobTakesInTheOneThatWaitsWithItsKey(t *testing.T) {
	d := deskFor(t, Options{})
	old := d.deadLetter(NewJob{Kind: "fetch", Key: "p", Payload: []byte("old")})
	newer, _ := d.enqueue(NewJob{Kind: "fetch", Key: "p", Payload: []byte("new")})
	d.retry(old)
	j := d.get(old)
	if !d.gone(newer) || string(j.Payload) != "new" || j.Coalesced != 1 {
		t.Errorf("got %+v", j)
	}
	if jobs := d.lease("fetch", 5); len(jobs) != 1 || jobs[0].ID != old {
		t.Errorf("leased %+v", jobs)
	}
}

func TestResolveRemovesDeadLettersOfOneKeyOnly(t *testing.T) {
	d := deskFor(t, Options{})
	var gone, stay []uint64
	gone = append(gone, d.deadLetter(NewJob{Kind: "fetch", Key: "p1"}), d.deadLetter(NewJob{Kind: "fetch", Key: "p1"}))
	stay = append(stay, d.deadLetter(NewJob{Kind: "fetch", Key: "p12"}), d.deadLetter(NewJob{Kind: "fetch", Key: "p"}),
		d.deadLetter(NewJob{Kind: "apply", Key: "p1"}), d.deadLetter(NewJob{Kind: "fetch"}))
	waiting, _ := d.enqueue(NewJob{Kind: "fetch", Key: "p1"})
	n := 0
	d.do("resolve", func(t *txn) { n = t.resolve("fetch", "p1", "full sync") })
	if n != 2 || !d.gone(gone[0]) || !d.gone(gone[1]) {
		t.Errorf("resolved %d", n)
	}
	for _, id := range append(stay, waiting) {
		if d.gone(id) {
			t.Errorf("job %d is gone, too", id)
		}
	}
	if c := d.q.Stats().Counts.Resolved; c != 2 {
		t.Errorf("counted %d", c)
	}
}

func TestResolveAllRemovesTheDeadLettersThatAreAnswered(t *testing.T) {
	q := started(t, Options{})
	const n = sweepBatch + 40
	first := uint64(0)
	for i := range n {
		id, err := q.Bury(t.Context(), NewJob{Kind: "apply", Labels: map[string]string{"shop": []string{"a", "b"}[i%2]}}, ClassPoison, nil)
		if err != nil {
			t.Fatal(err)
		}
		if first == 0 {
			first = id
		}
	}
	waiting, _, err := q.Enqueue(t.Context(), NewJob{Kind: "apply", Labels: map[string]string{"shop": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	others := func(j Job) bool { return j.ID != first }
	got, err := q.ResolveAll(t.Context(), Filter{Kind: "apply", Labels: map[string]string{"shop": "a"}}, others, "done")
	if want := n/2 - 1; got != want || err != nil {
		t.Errorf("resolved %d, want %d, %v", got, want, err)
	}
	if left, _, err := q.List(t.Context(), Filter{State: Dead, Labels: map[string]string{"shop": "a"}}); err != nil || len(left) != 1 || left[0].ID != first {
		t.Errorf("left %+v, %v", left, err)
	}
	if left, _, err := q.List(t.Context(), Filter{State: Dead, Labels: map[string]string{"shop": "b"}, Limit: 1000}); err != nil || len(left) != n/2 {
		t.Errorf("%d of the other shop are left, %v", len(left), err)
	}
	if _, err := q.Get(t.Context(), waiting); err != nil {
		t.Errorf("the waiting job: %v", err)
	}
	if c := q.Stats().Counts; c.Resolved != uint64(got) || c.Discarded != 0 {
		t.Errorf("counted %+v", c)
	}
}

func TestAllOfAFilterAreRetriedOrDiscardedAndNoOthers(t *testing.T) {
	q := started(t, Options{})
	const n = 2*sweepBatch + 7
	jobs := make([]NewJob, 0, n)
	for i := range n {
		jobs = append(jobs, NewJob{Kind: "apply", Labels: map[string]string{"shop": []string{"a", "b"}[i%2]}, NotBefore: time.Now().Add(time.Hour)})
	}
	if err := q.EnqueueAll(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	want := (n + 1) / 2
	if got, err := q.RetryAll(t.Context(), Filter{State: Waiting, Labels: map[string]string{"shop": "a"}}, anyJob); got != want || err != nil {
		t.Errorf("retried %d, want %d, %v", got, want, err)
	}
	waiting, _, err := q.List(t.Context(), Filter{State: Waiting, Labels: map[string]string{"shop": "a"}, Limit: n})
	waiting = slices.DeleteFunc(waiting, func(j Job) bool { return j.DueAt.After(time.Now()) })
	if len(waiting) != want || err != nil {
		t.Errorf("%d due, want %d: %v", len(waiting), want, err)
	}
	if got, err := q.DiscardAll(t.Context(), Filter{}, anyJob); got != 0 || err != nil {
		t.Errorf("without a state %d waiting jobs were discarded, %v", got, err)
	}
	if got, err := q.DiscardAll(t.Context(), Filter{State: Waiting, Labels: map[string]string{"shop": "b"}}, anyJob); got != n-want || err != nil {
		t.Errorf("discarded %d, want %d, %v", got, n-want, err)
	}
	if left := q.Stats().Waiting; left != want {
		t.Errorf("%d left, want %d", left, want)
	}
}

func TestListGoesThroughAllJobsOnceInEitherDirection(t *testing.T) {
	d := deskFor(t, Options{})
	var want []uint64
	for i := range 25 {
		if i%3 == 0 {
			want = append(want, d.deadLetter(NewJob{Kind: "apply", Payload: []byte("secret")}))
		} else {
			id, _ := d.enqueue(NewJob{Kind: "apply", Payload: []byte("secret")})
			want = append(want, id)
		}
	}
	for _, newest := range []bool{false, true} {
		var got []uint64
		f := Filter{Limit: 4, NewestFirst: newest}
		for {
			jobs, next, err := d.q.List(t.Context(), f)
			if err != nil || len(jobs) > 4 {
				t.Fatalf("%d jobs, %v", len(jobs), err)
			}
			for _, j := range jobs {
				if j.Payload != nil || j.PayloadBytes != 6 {
					t.Errorf("job %d carries %d bytes, says %d", j.ID, len(j.Payload), j.PayloadBytes)
				}
				got = append(got, j.ID)
			}
			if f.After = next; next == 0 {
				break
			}
		}
		if newest {
			slices.Reverse(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("newest first %v: got %v, want %v", newest, got, want)
		}
	}
	for _, c := range []struct {
		f Filter
		n int
	}{{Filter{State: Dead}, 9}, {Filter{State: Waiting}, 16}, {Filter{State: Leased}, 0}, {Filter{Kind: "fetch"}, 0},
		{Filter{Labels: map[string]string{"shop": "a"}}, 0}, {Filter{}, 25}} {
		if jobs, _, err := d.q.List(t.Context(), c.f); len(jobs) != c.n || err != nil {
			t.Errorf("%+v: %d jobs, want %d, %v", c.f, len(jobs), c.n, err)
		}
	}
}

func TestClockPutBackByADayDoesNotHoldJobsForADay(t *testing.T) {
	for _, how := range []string{"while running", "between two runs"} {
		t.Run(how, func(t *testing.T) {
			d := deskFor(t, Options{})
			id, _ := d.enqueue(NewJob{Kind: "apply"})
			d.finish(d.leaseOne("apply").ID, errors.New("busy"))
			wait := d.get(id).DueAt.Sub(d.now)
			later, _ := d.enqueue(NewJob{Kind: "apply", NotBefore: d.now.Add(2 * time.Hour)})
			d.now = d.now.Add(-24 * time.Hour)
			if how == "while running" {
				d.do("rebase", func(t *txn) { t.each([]uint64{id, later}, (*txn).rebase) })
			} else {
				d.restart()
			}
			if got := d.get(id).DueAt.Sub(d.now); got != wait {
				t.Errorf("the backoff is %v, was %v", got, wait)
			}
			if got := d.get(later).DueAt.Sub(d.now); got != 2*time.Hour {
				t.Errorf("the chosen wait is %v", got)
			}
		})
	}
}

func TestRestartNeverShortensABackoff(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply"})
	for range 3 {
		d.finish(d.leaseOne("apply").ID, errors.New("busy"))
		due := d.get(id).DueAt
		for _, again := range []func(){d.restart, d.crash, d.crash, d.crash, d.crash} {
			again()
			d.now = d.now.Add(time.Second)
			if j := d.get(id); !j.DueAt.Equal(due) || j.Reclaims != 0 {
				t.Fatalf("due %v, was %v, %d reclaims", j.DueAt, due, j.Reclaims)
			}
			if len(d.lease("apply", 1)) != 0 {
				t.Fatal("handed out before it was due")
			}
		}
		d.now = due
	}
}

func TestThirdProcessThatEndsWithAJobInHandMakesItADeadLetter(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply", Payload: []byte("body")})
	for i := range 3 {
		if j := d.leaseOne("apply"); j.Attempts != 1 || j.Reclaims != i {
			t.Fatalf("life %d: %+v", i, j)
		}
		d.crash()
	}
	j := d.get(id)
	if j.State != Dead || j.Class != ClassCrash || j.LastError != "stopped the process" || j.Attempts != 0 || j.Reclaims != 3 || string(j.Payload) != "body" {
		t.Errorf("got %+v", j)
	}
	if c := d.q.Stats().Counts; c.Reclaimed != 1 || c.Died != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestAnAttemptThatEndsByItselfClearsTheSuspicion(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply"})
	for range 4 {
		for range 2 {
			d.leaseOne("apply")
			d.crash()
		}
		d.leaseOne("apply")
		d.finish(id, Snooze(d.now, "later"))
		d.now = d.now.Add(time.Second)
	}
	if j := d.get(id); j.State != Waiting || j.Reclaims != 0 {
		t.Errorf("got %+v", j)
	}
}

func TestLoweredLimitBuriesJobsThatAreAboveIt(t *testing.T) {
	d := deskFor(t, Options{})
	id, _ := d.enqueue(NewJob{Kind: "apply"})
	for range 3 {
		d.finish(d.leaseOne("apply").ID, errors.New("busy"))
		d.now = d.now.Add(time.Hour)
	}
	d.opt.MaxAttempts = 3
	d.restart()
	if jobs := d.lease("apply", 1); len(jobs) != 0 {
		t.Errorf("attempt %d of 3", jobs[0].Attempts)
	}
	if j := d.get(id); j.State != Dead || j.LastError != "busy" || j.Attempts != 3 {
		t.Errorf("got %+v", j)
	}
}

func TestIdsGoOnAfterARestartOfAnEmptyQueue(t *testing.T) {
	d := deskFor(t, Options{})
	first, _ := d.enqueue(NewJob{Kind: "apply"})
	d.do("discard", func(t *txn) { t.discard(first) })
	d.restart()
	if second, _ := d.enqueue(NewJob{Kind: "apply"}); second <= first {
		t.Errorf("id %d after %d", second, first)
	}
}

func TestClockThatGoesBackWhileAWorkerSleepsIsNoticed(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		by   time.Duration
		want bool
	}{{time.Second, false}, {0, false}, {-500 * time.Millisecond, false}, {-2 * time.Second, true}, {-24 * time.Hour, true}} {
		// Round takes the monotonic reading away: only the wall clock counts.
		if got := clockWentBack(now, now.Round(0).Add(c.by)); got != c.want {
			t.Errorf("by %v: %v", c.by, got)
		}
	}
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		id := mustEnqueue(t, q, NewJob{Kind: "apply", NotBefore: time.Now().Add(time.Hour)})
		// The wait as a clock a day ahead would have set it.
		err := q.do(context.Background(), "set", 0, func(t *txn) error {
			r, _ := t.get(id)
			t.change(&r, func(r *record) { r.setAt += int64(24 * time.Hour); r.dueAt += int64(24 * time.Hour) })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		q.clockWentBack(context.Background())
		synctest.Wait()
		if got := time.Until(mustGet(t, q, id).DueAt); got != time.Hour {
			t.Errorf("waits %v", got)
		}
	})
}

// A commit is in the file a moment before it is in memory.
func TestAListFindsAJobThatMovedInTheFileAndNotYetInMemory(t *testing.T) {
	for _, to := range []State{Waiting, Leased} {
		d := deskFor(t, Options{})
		id, _ := d.enqueue(NewJob{Kind: "fetch"})
		move := func(t *txn) error { t.lease("fetch", 1); return nil }
		if to == Waiting {
			d.leaseOne("fetch")
			move = func(t *txn) error { t.finish(id, outcome{verdict: failed, text: "busy"}); return nil }
		}
		if err := d.q.update(move, d.now); err != nil {
			t.Fatal(err)
		}
		for _, state := range []State{Waiting, Leased, ""} {
			jobs, _, err := d.q.List(t.Context(), Filter{State: state, Kind: "fetch"})
			if want := map[bool]int{true: 1}[state == to || state == ""]; err != nil || len(jobs) != want {
				t.Errorf("%s: %d jobs are %q, %v", to, len(jobs), state, err)
			}
		}
	}
}

// The file that is listed may be older than memory: then the list begins again.
func TestAListOfAnOlderFileIsNotedAsSuch(t *testing.T) {
	d := deskFor(t, Options{})
	commits := d.q.commits
	d.enqueue(NewJob{Kind: "fetch"})
	if _, moved := d.q.walk(&Filter{}, &commits); !moved || commits != d.q.commits {
		t.Errorf("moved: %t, %d commits of %d", moved, commits, d.q.commits)
	}
}
