package queue

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestReadersWaitNoLongerThanTheyMayForAFileThatIsExchanged: a disk that takes its time
// with the copy of a file holds up nobody who asks how things stand.
func TestReadersWaitNoLongerThanTheyMayForAFileThatIsExchanged(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, q *Queue) {
		id := mustEnqueue(t, q, NewJob{Kind: "apply"})
		q.lockFile()
		for name, read := range map[string]func(ctx context.Context) error{
			"get":  func(ctx context.Context) error { _, err := q.Get(ctx, id); return err },
			"list": func(ctx context.Context) error { _, _, err := q.List(ctx, Filter{}); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			if err := read(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			cancel()
		}
		began := time.Now()
		s, groups := q.Stats(), q.Groups()
		if s.Waiting != 1 || s.Kinds["apply"].NextDue.IsZero() || len(groups) != 1 || groups[0].Waits.ID != id || time.Since(began) != 0 {
			t.Errorf("after %v: %+v, %+v", time.Since(began), s, groups)
		}
		q.fileLock.Release(allReaders)
	})
}
