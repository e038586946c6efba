package web

import (
	"bytes"
	"os"
	"strconv"
	"syscall"

	"github.com/VictoriaMetrics/metrics"
)

// registerProcess adds what the system knows of this process.
func registerProcess(set *metrics.Set) {
	set.NewGauge(`process_cpu_seconds_total`, func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return 0
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	})
	set.NewGauge(`process_resident_memory_bytes`, func() float64 {
		text, err := os.ReadFile("/proc/self/statm")
		fields := bytes.Fields(text)
		if err != nil || len(fields) < 2 {
			return 0
		}
		pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return 0
		}
		return float64(pages * int64(os.Getpagesize()))
	})
	set.NewGauge(`process_open_fds`, func() float64 {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0
		}
		return float64(len(entries))
	})
	set.NewGauge(`process_max_fds`, func() float64 {
		var l syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			return 0
		}
		return float64(l.Cur)
	})
}
