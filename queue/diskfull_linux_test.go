package queue

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A file system of 1 MiB fills up under the queue and is given space again.
func TestFullDiskRefusesJobsKeepsAllAndRecoversByItself(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		t.Skipf("skipped: mounting a small file system needs root (%v)", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	path := filepath.Join(dir, "queue.db")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 500<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	q := started(t, Options{Path: path})
	stored := map[uint64]bool{}
	for refused := 0; refused < 10; {
		id, _, err := q.Enqueue(t.Context(), NewJob{Kind: "apply", Payload: make([]byte, 8000)})
		switch {
		case err == nil:
			stored[id] = true
		case errors.Is(err, ErrUnavailable) && errors.Is(err, syscall.ENOSPC):
			refused++
		default:
			t.Fatalf("after %d jobs: %v", len(stored), err)
		}
	}
	if n := q.Stats().Waiting; n != len(stored) || n < 10 {
		t.Errorf("%d jobs, but %d were acknowledged", n, len(stored))
	}
	for id := range stored {
		if j := mustGet(t, q, id); len(j.Payload) != 8000 {
			t.Errorf("job %d has %d bytes", id, len(j.Payload))
		}
	}
	// Opening on the full disk works, too.
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = started(t, Options{Path: path})
	if n := q.Stats().Waiting; n != len(stored) {
		t.Errorf("after a restart %d jobs, want %d", n, len(stored))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Minute)
	for {
		_, _, err := q.Enqueue(t.Context(), NewJob{Kind: "apply", Payload: make([]byte, 8000)})
		if err == nil {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("no recovery: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	requireSound(t, path)
}
