package web

import (
	"fmt"
	"os"
	"syscall"

	"github.com/VictoriaMetrics/metrics"
)

// registerProcess adds what the system knows of this process, 0 where it does not
// tell.
func registerProcess(set *metrics.Set) {
	set.NewGauge(`process_cpu_seconds_total`, func() float64 {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	})
	set.NewGauge(`process_resident_memory_bytes`, func() float64 {
		var size, resident int
		text, _ := os.ReadFile("/proc/self/statm")
		_, _ = fmt.Sscan(string(text), &size, &resident)
		return float64(resident * os.Getpagesize())
	})
	set.NewGauge(`process_open_fds`, func() float64 {
		entries, _ := os.ReadDir("/proc/self/fd")
		return float64(len(entries))
	})
	set.NewGauge(`process_max_fds`, func() float64 {
		var l syscall.Rlimit
		_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
		return float64(l.Cur)
	})
}
