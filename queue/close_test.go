package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestWorkEndsWithItsContextAndPutsTheJobBackWithoutAnAttempt(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		stop := work(t, q, "apply", 1, func(ctx context.Context, j Job) error {
			<-ctx.Done()
			return fmt.Errorf("call: %w", ctx.Err())
		})
		id := mustEnqueue(t, q, NewJob{Kind: "apply", Delay: true})
		before := mustGet(t, q, id)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if j := mustGet(t, q, id); j.State != Leased {
			t.Fatalf("got %+v", j)
		}
		stop()
		if j := mustGet(t, q, id); j.State != Waiting || j.Attempts != 0 || j.Reclaims != 0 || j.LastError != "" ||
			!j.DueAt.Equal(before.DueAt) || !j.LastAttemptAt.IsZero() {
			t.Errorf("before %+v\nafter  %+v", before, j)
		}
		if q.HasWorker("apply") {
			t.Error("the worker is still there")
		}
	})
}

func TestWhatAHandlerSaysAfterItsContextEndedStillCounts(t *testing.T) {
	for name, c := range map[string]struct {
		ret   func() error
		state State
	}{
		"done":      {func() error { return nil }, ""},
		"permanent": {func() error { return Permanent(errors.New("no")) }, Dead},
		"snooze":    {func() error { return Snooze(time.Now().Add(time.Hour), "later") }, Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, q *Queue) {
				stop := work(t, q, "apply", 1, func(ctx context.Context, _ Job) error { <-ctx.Done(); return c.ret() })
				id := mustEnqueue(t, q, NewJob{Kind: "apply"})
				synctest.Wait()
				stop()
				j, err := q.Get(t.Context(), id)
				if c.state == "" && !errors.Is(err, ErrNotFound) || j.State != c.state {
					t.Errorf("got %+v, %v", j, err)
				}
			})
		})
	}
}

func TestCloseEndsWorkersAndReturnsTheLeaseOfAHandlerThatWillNotEnd(t *testing.T) {
	path := t.TempDir() + "/queue.db"
	synctest.Test(t, func(t *testing.T) {
		q, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- q.Work(context.Background(), "apply", 2, jobTime, func(ctx context.Context, j Job) error {
				if string(j.Payload) == "deaf" {
					<-release
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		deaf := mustEnqueue(t, q, NewJob{Kind: "apply", Payload: []byte("deaf")})
		polite := mustEnqueue(t, q, NewJob{Kind: "apply"})
		synctest.Wait()
		began := time.Now()
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("close took %v", took)
		}
		if err := q.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
		for name, err := range map[string]error{
			"enqueue": func() error { _, _, err := q.Enqueue(t.Context(), NewJob{Kind: "a"}); return err }(),
			"get":     func() error { _, err := q.Get(t.Context(), 1); return err }(),
			"work":    q.Work(t.Context(), "apply", 1, jobTime, func(context.Context, Job) error { return nil }),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s after close: %v", name, err)
			}
		}
		again, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []uint64{deaf, polite} {
			if j := mustGet(t, again, id); j.State != Waiting || j.Attempts != 0 || j.Reclaims != 0 {
				t.Errorf("got %+v", j)
			}
		}
		_ = again.Close()
		close(release)
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("work returned %v", err)
		}
	})
}

func TestEnqueueReturnsWhenItsContextEndsAndTheJobMayBeStored(t *testing.T) {
	q := started(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := q.Enqueue(ctx, NewJob{Kind: "apply"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := q.Stats().Waiting; n != 0 {
		t.Errorf("%d jobs although the context had ended before the call", n)
	}
}

func TestCallersMayReuseWhatTheyHandedIn(t *testing.T) {
	q := started(t, Options{})
	payload, labels := []byte("before"), map[string]string{"shop": "a"}
	id := mustEnqueue(t, q, NewJob{Kind: "apply", Payload: payload, Labels: labels})
	copy(payload, "after!")
	labels["shop"] = "b"
	if j := mustGet(t, q, id); string(j.Payload) != "before" || j.Labels["shop"] != "a" {
		t.Errorf("got %q, %v", j.Payload, j.Labels)
	}
}

func TestJobsBeyondTheLimitsAreRefused(t *testing.T) {
	q := started(t, Options{})
	long := string(make([]byte, 1000))
	many := map[string]string{}
	for i := range MaxLabels + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for name, j := range map[string]NewJob{
		"no kind":         {},
		"kind too long":   {Kind: string(append([]byte("k"), make([]byte, 100)...))},
		"NUL in kind":     {Kind: "a\x00b"},
		"NUL in key":      {Kind: "a", Key: "a\x00b"},
		"key too long":    {Kind: "a", Key: long},
		"too many labels": {Kind: "a", Labels: many},
		"label too long":  {Kind: "a", Labels: map[string]string{"shop": long}},
		"huge payload":    {Kind: "a", Payload: make([]byte, MaxPayload+1)},
	} {
		if _, _, err := q.Enqueue(t.Context(), j); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if err := q.EnqueueAll(t.Context(), []NewJob{{Kind: "good"}, j}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s among others: %v", name, err)
		}
	}
	if n := q.Stats().Waiting; n != 0 {
		t.Errorf("%d jobs were stored", n)
	}
}
