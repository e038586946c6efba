package uptime

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine reads the kernel's boot id and the time since boot, suspended
// time included. Nobody can set either.
func Machine() (string, time.Duration, bool) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", 0, false
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return "", 0, false
	}
	return strings.TrimSpace(string(id)), time.Duration(ts.Nano()), true
}
