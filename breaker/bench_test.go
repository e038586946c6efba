package breaker

import (
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"
)

func TestTheClosedPathAllocatesNothing(t *testing.T) {
	b := openAt(t, epoch, openDB(t), Options{})
	b.Allow(epoch, key)
	if n := testing.AllocsPerRun(1000, func() {
		p, _ := b.Allow(epoch, key)
		p.Done(time.Now(), Success, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkClosed is the overhead of one call that succeeds, Allow and Done. now
// is the caller's: the chain reads the clock once for limiter and breaker.
func BenchmarkClosed(b *testing.B) {
	br := openAt(b, epoch, openDB(b), Options{})
	for i := range 1000 {
		br.Allow(epoch, Key{string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".myshopify.com", "graphql"})
	}
	br.Allow(epoch, key)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p, err := br.Allow(now, key)
		if err != nil {
			b.Fatal(err)
		}
		p.Done(now, Success, 0)
	}
}

func BenchmarkClosedWithClock(b *testing.B) {
	br := openAt(b, epoch, openDB(b), Options{})
	br.Allow(epoch, key)
	b.ReportAllocs()
	for b.Loop() {
		p, err := br.Allow(time.Now(), key)
		if err != nil {
			b.Fatal(err)
		}
		p.Done(time.Now(), Success, 0)
	}
}

func BenchmarkClosedParallel(b *testing.B) {
	br := openAt(b, epoch, openDB(b), Options{})
	br.Allow(epoch, key)
	now := time.Now()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, _ := br.Allow(now, key)
			p.Done(now, Success, 0)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	br := openAt(b, epoch, openDB(b), Options{})
	trip(b, br, 0)
	b.ReportAllocs()
	for b.Loop() {
		br.Allow(epoch, key)
	}
}

func BenchmarkGobreaker(b *testing.B) {
	cb := gobreaker.NewTwoStepCircuitBreaker[int](gobreaker.Settings{})
	b.ReportAllocs()
	for b.Loop() {
		done, err := cb.Allow()
		if err != nil {
			b.Fatal(err)
		}
		done(nil)
	}
}

func BenchmarkGobreakerExecute(b *testing.B) {
	cb := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{})
	b.ReportAllocs()
	for b.Loop() {
		cb.Execute(func() (int, error) { return 0, nil })
	}
}
