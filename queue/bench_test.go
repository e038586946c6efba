package queue

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

const benchPayload = 8 << 10

// spread runs f b.N times from n goroutines and reports calls per second.
func spread(b *testing.B, n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	start := time.Now()
	for range n {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > b.N {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "jobs/s")
}

// BenchmarkEnqueue stores 8 KiB jobs durably. The bbolt.Batch lines are the
// in-run reference: the same bytes under one key each, with bbolt's own batching.
func BenchmarkEnqueue(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(callersName(callers), func(b *testing.B) {
			q, err := Open(Options{Path: filepath.Join(b.TempDir(), "queue.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer q.Close()
			payload := make([]byte, benchPayload)
			spread(b, callers, func(int) {
				if _, _, err := q.Enqueue(context.Background(), NewJob{Kind: "apply", Payload: payload}); err != nil {
					b.Error(err)
				}
			})
		})
		b.Run("bbolt.Batch/"+callersName(callers), func(b *testing.B) {
			db := referenceDB(b)
			payload := make([]byte, benchPayload)
			spread(b, callers, func(i int) {
				err := db.Batch(func(tx *bbolt.Tx) error {
					return tx.Bucket([]byte("b")).Put(binary.BigEndian.AppendUint64(nil, uint64(i)), payload)
				})
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// referenceDB is a bbolt file with the settings the queue uses.
func referenceDB(b *testing.B) *bbolt.DB {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "ref.db"), 0o600,
		&bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		b.Fatal(err)
	}
	db.MaxBatchDelay = time.Millisecond
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err }); err != nil {
		b.Fatal(err)
	}
	return db
}

func callersName(n int) string {
	if n == 1 {
		return "1 caller"
	}
	return "64 callers"
}

// BenchmarkWork works 8 KiB jobs with a handler that does nothing: a durable
// lease before each call and a durable end after it.
func BenchmarkWork(b *testing.B) {
	for _, concurrency := range []int{1, 64} {
		b.Run(callersName(concurrency), func(b *testing.B) {
			q, err := Open(Options{Path: filepath.Join(b.TempDir(), "queue.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer q.Close()
			payload := make([]byte, benchPayload)
			for stored := 0; stored < b.N; {
				jobs := make([]NewJob, min(500, b.N-stored))
				for i := range jobs {
					jobs[i] = NewJob{Kind: "apply", Payload: payload}
				}
				if err := q.EnqueueAll(context.Background(), jobs); err != nil {
					b.Fatal(err)
				}
				stored += len(jobs)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var n atomic.Int64
			b.ResetTimer()
			start := time.Now()
			_ = q.Work(ctx, "apply", concurrency, jobTime, func(context.Context, Job) error {
				if n.Add(1) == int64(b.N) {
					cancel()
				}
				return nil
			})
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "jobs/s")
		})
	}
}
