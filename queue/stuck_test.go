package queue

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// workFor is work with a time that a job may take.
func workFor(q *Queue, n int, most time.Duration, h Handler) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Work(ctx, "apply", n, most, h) }()
	return func() error { cancel(); return <-done }
}

func TestAJobThatTakesTooLongIsAnAttemptOfItsOwnClass(t *testing.T) {
	for name, c := range map[string]struct {
		ret   func(ctx context.Context) error
		state State // "" when it is gone
		class Class
	}{
		"its error":            {func(ctx context.Context) error { return fmt.Errorf("call: %w", ctx.Err()) }, Dead, ClassTimeout},
		"done all the same":    {func(context.Context) error { return nil }, "", ""},
		"it knows better":      {func(context.Context) error { return Permanent(errors.New("no")) }, Dead, ClassValidation},
		"it waits for another": {func(context.Context) error { return Snooze(time.Now().Add(24*time.Hour), "later") }, Waiting, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, q *Queue) {
				stop := workFor(q, 1, time.Minute, func(ctx context.Context, _ Job) error { <-ctx.Done(); return c.ret(ctx) })
				id := mustEnqueue(t, q, NewJob{Kind: "apply"})
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				j, err := q.Get(t.Context(), id)
				if c.state == "" && !errors.Is(err, ErrNotFound) || j.State != c.state || j.Class != c.class {
					t.Errorf("got %+v, %v", j, err)
				}
				if c.class == ClassTimeout && (j.Attempts != 5 || j.LastError != "it was not done within 1m0s") {
					t.Errorf("%d attempts, %q", j.Attempts, j.LastError)
				}
				if n := q.Stats().Kinds["apply"].Stuck; n != 0 {
					t.Errorf("%d are stuck", n)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestStuckHandlersCostNoPlaceUntilThereAreTooMany: two places, handlers that hear
// nothing, and others that come behind them.
func TestStuckHandlersCostNoPlaceUntilThereAreTooMany(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		release := make(chan struct{})
		var deaf, done atomic.Int64
		h := func(_ context.Context, j Job) error {
			if j.Key == "" {
				done.Add(1)
				return nil
			}
			deaf.Add(1)
			<-release
			return nil
		}
		stop := workFor(q, 2, time.Minute, h)
		expect := func(when string, wantDeaf, wantStuck, wantDone int) {
			t.Helper()
			synctest.Wait()
			k := q.Stats().Kinds["apply"]
			if int(deaf.Load()) != wantDeaf || k.Stuck != wantStuck || int(done.Load()) != wantDone {
				t.Errorf("%s: %d deaf, %d stuck, %d done; want %d, %d, %d", when, deaf.Load(), k.Stuck, done.Load(), wantDeaf, wantStuck, wantDone)
			}
		}
		began := time.Now()
		for i := range 4 {
			mustEnqueue(t, q, NewJob{Kind: "apply", Key: fmt.Sprint(i)})
		}
		mustEnqueue(t, q, NewJob{Kind: "apply"})
		expect("at first", 2, 0, 0)
		mustEnqueue(t, q, NewJob{Kind: "apply", Key: "0"}) // waits for the one in hand
		time.Sleep(time.Minute + 2*time.Second)
		expect("after their time", 4, 2, 0)
		if since := q.Stats().Kinds["apply"].StuckSince; !since.Equal(began) {
			t.Errorf("stuck since %v, want %v", since, began)
		}
		time.Sleep(time.Hour)
		expect("with as many as there may be", 4, 4, 0)
		if err := stop(); err != nil { // they hold up no other call of Work
			t.Error(err)
		}
		stop = workFor(q, 2, time.Minute, h)
		time.Sleep(time.Hour)
		expect("after another start", 4, 4, 0)
		close(release)
		expect("when they ended", 5, 0, 1)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseDoesNotWaitForAStuckJobAndCountsItsAttempt(t *testing.T) {
	opt := Options{Path: filepath.Join(t.TempDir(), "queue.db")}
	synctest.Test(t, func(t *testing.T) {
		q, err := Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		stop := workFor(q, 1, time.Minute, func(context.Context, Job) error { <-release; return nil })
		id := mustEnqueue(t, q, NewJob{Kind: "apply"})
		time.Sleep(time.Hour)
		began := time.Now()
		if err := errors.Join(stop(), q.Close()); err != nil || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		close(release)
		synctest.Wait()
		if q, err = Open(opt); err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		if j := mustGet(t, q, id); j.State != Waiting || j.Attempts != 1 || j.Class != ClassTimeout || j.Reclaims != 0 {
			t.Errorf("got %+v", j)
		}
	})
}
