package queue

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkWaiting measures what is asked of a queue while many jobs wait: none of
// it may cost more with 50,000 of them than with 10.
func BenchmarkWaiting(b *testing.B) {
	for _, n := range []int{10, 1000, 50_000} {
		q, err := Open(Options{Path: filepath.Join(b.TempDir(), "queue.db")})
		if err != nil {
			b.Fatal(err)
		}
		fillWaiting(b, q, n)
		asked := func(name string, do func() error) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		asked("count", func() error { _ = q.Stats(); return nil })
		for name, f := range benchFilters {
			f.Limit = 50
			asked("list "+name, func() error { _, _, err := q.List(context.Background(), f); return err })
		}
		asked("enqueue", func() error {
			_, _, err := q.Enqueue(context.Background(), NewJob{Kind: "other", Key: "k", NotBefore: time.Now().Add(time.Hour)})
			return err
		})
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// fillWaiting stores n jobs of one shop between two times 30 of another shop, kind
// and topic.
func fillWaiting(b *testing.B, q *Queue, n int) {
	b.Helper()
	rare := make([]NewJob, 30)
	for i := range rare {
		rare[i] = NewJob{Kind: "fetch", Labels: map[string]string{"shop": "b", "topic": "rare"}, NotBefore: time.Now().Add(time.Hour)}
	}
	jobs := append([]NewJob{}, rare...)
	for range n {
		jobs = append(jobs, NewJob{Kind: "apply", Labels: map[string]string{"shop": "a", "topic": "often"}, NotBefore: time.Now().Add(time.Hour)})
	}
	for jobs = append(jobs, rare...); len(jobs) > 0; {
		part := min(5000, len(jobs))
		if err := q.EnqueueAll(context.Background(), jobs[:part]); err != nil {
			b.Fatal(err)
		}
		jobs = jobs[part:]
	}
}

// benchFilters are the filters of pages and API.
var benchFilters = map[string]Filter{
	"waiting":  {State: Waiting},
	"leased":   {State: Leased},
	"of kind":  {Kind: "fetch"},
	"of shop":  {Labels: map[string]string{"shop": "b"}},
	"of topic": {State: Waiting, Labels: map[string]string{"topic": "rare"}},
}
