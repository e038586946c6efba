//go:build !linux

package breaker

import "time"

// machineUptime is unknown here: a restart counts as no time passed.
func machineUptime() (string, time.Duration, bool) { return "", 0, false }
