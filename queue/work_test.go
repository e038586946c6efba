package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs a test with an open queue under a fake clock. Files don't advance
// the clock, so a commit takes no time.
func bubble(t *testing.T, opt Options, f func(t *testing.T, q *Queue)) {
	t.Helper()
	opt.Path = t.TempDir() + "/queue.db"
	synctest.Test(t, func(t *testing.T) {
		q, err := Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		q.file.DB.NoSync = true
		f(t, q)
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
	requireSound(t, opt.Path)
}

func mustEnqueue(t *testing.T, q *Queue, j NewJob) uint64 {
	t.Helper()
	id, _, err := q.Enqueue(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustGet(t *testing.T, q *Queue, id uint64) Job {
	t.Helper()
	j, err := q.Get(context.Background(), id)
	if err != nil {
		t.Fatalf("job %d: %v", id, err)
	}
	return j
}

// work starts Work and returns what ends it and waits for it.
func work(t *testing.T, q *Queue, kind string, n int, h Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Work(ctx, kind, n, jobTime, h) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("work: %v", err)
		}
	})
}

func TestFiveTriesComeAtTheStatedTimesAndThenTheJobIsDead(t *testing.T) {
	for _, c := range []struct {
		name  string
		job   NewJob
		waits []time.Duration // before each try, in seconds
	}{
		{"after a failed try outside", NewJob{Kind: "apply", Delay: true}, []time.Duration{60, 120, 240, 480, 960}},
		{"without one", NewJob{Kind: "apply"}, []time.Duration{0, 60, 120, 240, 480}},
		{"at a time of its own", NewJob{Kind: "apply", Delay: true, NotBefore: time.Date(2000, 1, 1, 0, 0, 7, 0, time.UTC)},
			[]time.Duration{7, 120, 240, 480, 960}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, q *Queue) {
				var mu sync.Mutex
				var tries []time.Time
				last := time.Now()
				stop := work(t, q, "apply", 4, func(ctx context.Context, j Job) error {
					mu.Lock()
					defer mu.Unlock()
					tries = append(tries, time.Now())
					if j.Attempts != len(tries) || j.MaxAttempts != 5 {
						t.Errorf("try %d says attempt %d of %d", len(tries), j.Attempts, j.MaxAttempts)
					}
					return fmt.Errorf("failure %d", len(tries))
				})
				defer stop()
				id := mustEnqueue(t, q, c.job)
				time.Sleep(3 * time.Hour)
				synctest.Wait()
				if len(tries) != 5 {
					t.Fatalf("%d tries, want 5", len(tries))
				}
				for i, at := range tries {
					wait, least := at.Sub(last), c.waits[i]*time.Second
					if wait < least || wait > least+least/10+time.Millisecond {
						t.Errorf("try %d came after %v, want %v and up to a tenth more", i+1, wait, least)
					}
					last = at
				}
				j := mustGet(t, q, id)
				if j.State != Dead || j.FirstError != "failure 1" || j.LastError != "failure 5" || j.Attempts != 5 || j.Class != ClassUnknown {
					t.Errorf("got %+v", j)
				}
				if s := q.Stats(); s.Counts.Retried != 4 || s.Counts.Died != 1 || s.Kinds["apply"].Dead != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

func TestHandlersReturnDecidesWhatBecomesOfTheJob(t *testing.T) {
	someTime := func(q *Queue) time.Time { return time.Now().Add(10 * time.Minute) }
	for _, c := range []struct {
		name     string
		ret      func(q *Queue) error
		state    State // "" when the job is gone
		class    Class
		attempts int
		lastErr  string
	}{
		{"nil: done", func(*Queue) error { return nil }, "", "", 0, ""},
		{"error: waits, attempt spent", func(*Queue) error { return errors.New("busy") }, Waiting, ClassUnknown, 1, "busy"},
		{"error with a class", func(*Queue) error { return WithClass(errors.New("503"), ClassUpstream) }, Waiting, ClassUpstream, 1, "503"},
		{"snooze: waits, no attempt", func(q *Queue) error { return Snooze(someTime(q), "breaker is open") }, Waiting, "", 0, ""},
		{"wrapped snooze", func(q *Queue) error { return fmt.Errorf("fetch: %w", Snooze(someTime(q), "breaker is open")) }, Waiting, "", 0, ""},
		{"permanent: dead", func(*Queue) error { return Permanent(errors.New("bad title")) }, Dead, ClassValidation, 1, "bad title"},
		{"permanent with a class", func(*Queue) error { return Permanent(errors.New("no scope"), ClassAuth) }, Dead, ClassAuth, 1, "no scope"},
		{"permanent around a classed error", func(*Queue) error { return Permanent(WithClass(errors.New("x"), ClassConflict)) }, Dead, ClassConflict, 1, "x"},
		{"permanent with an unlisted class", func(*Queue) error { return Permanent(errors.New("x"), "free text") }, Dead, ClassUnknown, 1, "x"},
		{"panic: an attempt of class bug", func(*Queue) error { panic("nil map") }, Waiting, ClassBug, 1, "panic: nil map"},
		{"goroutine ended: an attempt of class bug", func(*Queue) error { runtime.Goexit(); return nil }, Waiting, ClassBug, 1, "handler ended its goroutine"},
		{"context error of the handler's own: an attempt", func(*Queue) error { return context.DeadlineExceeded }, Waiting, ClassUnknown, 1, "context deadline exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, q *Queue) {
				defer work(t, q, "apply", 1, func(context.Context, Job) error { return c.ret(q) })()
				id := mustEnqueue(t, q, NewJob{Kind: "apply", Payload: []byte("body")})
				synctest.Wait()
				time.Sleep(time.Second)
				synctest.Wait()
				j, err := q.Get(t.Context(), id)
				if c.state == "" {
					if !errors.Is(err, ErrNotFound) || q.Stats().Counts.Done != 1 {
						t.Errorf("got %+v, %v", j, err)
					}
					return
				}
				if err != nil || j.State != c.state || j.Class != c.class || j.Attempts != c.attempts || j.LastError != c.lastErr || string(j.Payload) != "body" {
					t.Errorf("got %+v, %v", j, err)
				}
			})
		})
	}
}

func TestLeaseIsOnDiskBeforeTheHandlerRuns(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		ran := false
		defer work(t, q, "apply", 1, func(ctx context.Context, j Job) error {
			ran = true
			stored := mustGet(t, q, j.ID)
			if stored.State != Leased || stored.Attempts != 1 || stored.LastAttemptAt.IsZero() || !stored.DueAt.After(time.Now()) {
				t.Errorf("while the handler runs the file says %+v", stored)
			}
			return nil
		})()
		mustEnqueue(t, q, NewJob{Kind: "apply"})
		synctest.Wait()
		if !ran {
			t.Error("the handler did not run")
		}
	})
}

func TestConcurrencyIsUsedAndNeverExceeded(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		var now, most, ran atomic.Int64
		stop := work(t, q, "apply", 3, func(context.Context, Job) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			ran.Add(1)
			return nil
		})
		defer stop()
		began := time.Now()
		for range 12 {
			mustEnqueue(t, q, NewJob{Kind: "apply"})
		}
		for ran.Load() < 12 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if most.Load() != 3 || time.Since(began) > 4*time.Second+200*time.Millisecond {
			t.Errorf("at most %d at once, %v in all", most.Load(), time.Since(began))
		}
	})
}

func TestOneKeyNeverRunsTwiceAtOnceAndANewJobRunsAfterTheOneInHand(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		var now atomic.Int64
		var payloads []string
		defer work(t, q, "fetch", 8, func(_ context.Context, j Job) error {
			if now.Add(1) > 1 {
				t.Error("the key runs twice at once")
			}
			payloads = append(payloads, string(j.Payload))
			time.Sleep(time.Second)
			now.Add(-1)
			return nil
		})()
		first, _, _ := q.Enqueue(t.Context(), NewJob{Kind: "fetch", Key: "p", Payload: []byte("1")})
		synctest.Wait() // in hand
		second, coalesced, _ := q.Enqueue(t.Context(), NewJob{Kind: "fetch", Key: "p", Payload: []byte("2")})
		if coalesced || second == first {
			t.Error("a job in hand took in a new one")
		}
		third, coalesced, _ := q.Enqueue(t.Context(), NewJob{Kind: "fetch", Key: "p", Payload: []byte("3")})
		if !coalesced || third != second {
			t.Error("a waiting job did not take in a new one")
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !slices.Equal(payloads, []string{"1", "3"}) {
			t.Errorf("ran with %v", payloads)
		}
	})
}

// While every due job in front waits for its key, those behind still run.
func TestJobsWithABusyKeyDoNotHoldUpOthers(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		release := make(chan struct{})
		var ran atomic.Int64
		defer work(t, q, "fetch", 2, func(_ context.Context, j Job) error {
			ran.Add(1)
			if j.Key == "slow" {
				<-release
			}
			return nil
		})()
		mustEnqueue(t, q, NewJob{Kind: "fetch", Key: "slow"})
		synctest.Wait()
		mustEnqueue(t, q, NewJob{Kind: "fetch", Key: "slow"})
		for range 5 {
			mustEnqueue(t, q, NewJob{Kind: "fetch"})
		}
		synctest.Wait()
		if ran.Load() != 6 {
			t.Errorf("%d ran, want the slow one and five others", ran.Load())
		}
		close(release)
		synctest.Wait()
		if ran.Load() != 7 {
			t.Errorf("%d ran, want 7", ran.Load())
		}
	})
}

func TestKindWithoutAWorkerWaitsVisiblyAndWithoutAttempts(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		defer work(t, q, "apply", 1, func(context.Context, Job) error { return nil })()
		id := mustEnqueue(t, q, NewJob{Kind: "fetch"})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if j := mustGet(t, q, id); j.State != Waiting || j.Attempts != 0 || j.Snoozes != 0 {
			t.Errorf("got %+v", j)
		}
		k := q.Stats().Kinds["fetch"]
		if k.Waiting != 1 || k.Workers != 0 || time.Since(q.Groups()[0].Waits.At) != 24*time.Hour || q.HasWorker("fetch") || !q.HasWorker("apply") {
			t.Errorf("stats %+v", k)
		}
	})
}

func TestSnoozedJobsWakeTogetherAndJobsInBackoffDoNot(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		var healed atomic.Bool
		var done atomic.Int64
		defer work(t, q, "apply", 4, func(_ context.Context, j Job) error {
			switch {
			case string(j.Payload) == "fails":
				return errors.New("no")
			case !healed.Load():
				return Snooze(time.Now().Add(time.Hour), "the catalogue is unavailable")
			}
			done.Add(1)
			return nil
		})()
		jobs := make([]NewJob, 3*sweepBatch)
		for i := range jobs {
			jobs[i] = NewJob{Kind: "apply", Payload: []byte("ok")}
		}
		if err := q.EnqueueAll(t.Context(), jobs); err != nil {
			t.Fatal(err)
		}
		failing := mustEnqueue(t, q, NewJob{Kind: "apply", Payload: []byte("fails")})
		synctest.Wait()
		if k := q.Stats().Kinds["apply"]; k.Snoozed != len(jobs) || !k.NextDue.After(time.Now()) {
			t.Errorf("before: %+v", k)
		}
		before := mustGet(t, q, failing)
		healed.Store(true)
		if n, err := q.Wake(t.Context(), "apply"); n != len(jobs) || err != nil {
			t.Errorf("woke %d, %v", n, err)
		}
		synctest.Wait()
		if done.Load() != int64(len(jobs)) {
			t.Errorf("%d done, want %d", done.Load(), len(jobs))
		}
		if after := mustGet(t, q, failing); !after.DueAt.Equal(before.DueAt) || after.Attempts != 1 {
			t.Errorf("the job in backoff was moved from %v to %v", before.DueAt, after.DueAt)
		}
		if n, err := q.Wake(t.Context(), "apply"); n != 0 || err != nil {
			t.Errorf("woke %d again, %v", n, err)
		}
	})
}
