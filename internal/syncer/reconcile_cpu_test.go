//go:build unix

package syncer

import (
	"context"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// cpuTime is what this process has used of the processors.
func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReconcileInStep is a whole comparison of 100,000 products in step; the
// listing is answered at once, so what is measured is ours.
func BenchmarkReconcileInStep(b *testing.B) {
	const products = 100_000
	r := newBenchRig(b, products)
	var cpu time.Duration
	var runs int
	for b.Loop() {
		runtime.GC()
		before := cpuTime(b)
		run, err := r.makeRun(context.Background(), testShop, plan(scheduleReconcile, "test", false))
		if err != nil || run.ProvenAt == 0 || run.Changed+run.Added+run.Removed > 0 {
			b.Fatalf("%+v, %v", run, err)
		}
		cpu += cpuTime(b) - before
		runs++
	}
	b.ReportMetric(cpu.Seconds()/float64(runs), "cpu-s/op")
}
