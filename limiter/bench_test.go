package limiter

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

var benchCases = []struct{ shops, goroutines int }{{1, 1}, {1, 64}, {20_000, 1}, {20_000, 64}}

func benchShops(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("shop-%05d.myshopify.com", i)
	}
	return names
}

// benchLimiter is durable: bbolt with its fsyncs.
func benchLimiter(b *testing.B, o Options, shops []string) *Limiter {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "state.db"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	l, err := Open(db, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close(); db.Close() })
	// every shop's first window is over and its first lease is on disk
	var wg sync.WaitGroup
	for part := range slices.Chunk(shops, len(shops)/64+1) {
		wg.Go(func() {
			for _, name := range part {
				l.Snapshot(name)
				l.mu.Lock()
				s, t := l.shop(name, time.Now())
				s.log.expire(t + s.log.span)
				s.probed = -never // nobody answers it
				l.mu.Unlock()
				benchCall(l, name)
			}
		})
	}
	wg.Wait()
	l.settled()
	return l
}

// benchCall is what a real call does: its points, and the answer that came.
func benchCall(l *Limiter, shop string) bool {
	g, err := l.Acquire(context.Background(), Call{Shop: shop, Class: Bulk, Cost: 2})
	if err != nil {
		return false
	}
	g.Settle(Answer{Actual: 1})
	return true
}

// spreadWork runs b.N decisions over goroutines and reports decisions per second
// and the 99th percentile of a sample.
func spreadWork(b *testing.B, goroutines int, decide func(i int) bool) {
	per := b.N/goroutines + 1
	samples := make([][]time.Duration, goroutines)
	granted := make([]int, goroutines)
	var wg sync.WaitGroup
	b.ResetTimer()
	for g := range goroutines {
		wg.Go(func() {
			n := 0
			for i := range per {
				if i%16 == 0 {
					start := time.Now()
					if decide(g*7919 + i) {
						n++
					}
					samples[g] = append(samples[g], time.Since(start))
				} else if decide(g*7919 + i) {
					n++
				}
			}
			granted[g] = n
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(samples...)
	slices.Sort(all)
	n := 0
	for _, g := range granted {
		n += g
	}
	b.ReportMetric(float64(per*goroutines)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1000, "p99-us")
	b.ReportMetric(100*float64(n)/float64(per*goroutines), "granted-%")
}

// BenchmarkWait grants nearly every call: points flow and leases are renewed.
func BenchmarkWait(b *testing.B) {
	benchCalls(b, func(shops int) Options {
		return Options{Fixed: true, Points: 400_000_000 / shops, Window: time.Minute}
	})
}

// BenchmarkDefaultBudget is the product's default, 80 points a minute: nearly
// every call is denied, and at once.
func BenchmarkDefaultBudget(b *testing.B) {
	benchCalls(b, func(int) Options { return Options{Window: time.Minute, MaxWait: 1} })
}

func benchCalls(b *testing.B, options func(shops int) Options) {
	for _, c := range benchCases {
		b.Run(fmt.Sprintf("shops=%d/goroutines=%d", c.shops, c.goroutines), func(b *testing.B) {
			shops := benchShops(c.shops)
			l := benchLimiter(b, options(c.shops), shops)
			b.ReportAllocs()
			spreadWork(b, c.goroutines, func(i int) bool { return benchCall(l, shops[i%len(shops)]) })
		})
	}
}
