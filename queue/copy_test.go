package queue

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// While a copy is made nothing is committed, and it holds all that was before.
func TestACopyHoldsWhatWasCommittedBeforeItAndNothingAfter(t *testing.T) {
	q := started(t, Options{})
	stored := fill(t, q, rand.New(rand.NewPCG(1, 2)))
	var copied bytes.Buffer
	late := make(chan error, 1)
	err := q.CopyTo(t.Context(), &copied, func() {
		go func() {
			_, _, err := q.Enqueue(context.Background(), NewJob{Kind: "late"})
			late <- err
		}()
	})
	if err := errors.Join(err, <-late); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	other := started(t, Options{Path: path})
	if _, reason, _ := other.Quarantined(); reason != "" {
		t.Error(reason)
	}
	requireStored(t, other, stored)
	if jobs, _, err := other.List(t.Context(), Filter{Kind: "late"}); err != nil || len(jobs) > 0 {
		t.Errorf("%d late jobs, %v", len(jobs), err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.CopyTo(over, &copied, func() { t.Error("called") }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
