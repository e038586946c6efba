//go:build !linux

package uptime

import "time"

// Machine is unknown here: a restart counts as no time passed.
func Machine() (string, time.Duration, bool) { return "", 0, false }
