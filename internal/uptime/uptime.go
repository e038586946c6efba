// Package uptime tells how long ago something was written to disk, over restarts
// of the process and jumps of the wall clock, and waits as long as a context lets it.
package uptime

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Source names the boot of the machine and says how long ago it was, suspended
// time included; false where that is not known. Machine is the real one.
type Source func() (boot string, up time.Duration, ok bool)

// Reading is what the clocks that outlive a process said at one moment, in
// nanoseconds.
type Reading struct {
	Boot uint64 // the boot's name as a number; 0: unknown
	Up   int64  // since boot
	Wall int64  // Unix time
}

// Read reads the clock since boot. Wall is left to the caller, who says which of
// the two is read first.
func (s Source) Read() (r Reading) {
	if name, up, ok := s(); ok {
		h := sha256.Sum256([]byte(name))
		r.Boot, r.Up = binary.LittleEndian.Uint64(h[:])|1, int64(up)
	}
	return r
}

// Since is the time from an earlier reading to r, never more than really passed:
// by the clock since boot, which nobody sets, and the wall clock, whichever says
// less. After a reboot, and where the boot is unknown, it is 0 and not known.
func (r Reading) Since(then Reading) (passed int64, known bool) {
	if r.Boot == 0 || r.Boot != then.Boot {
		return 0, false
	}
	const far = 1 << 61 // 73 years
	return min(max(min(r.Up-then.Up, r.Wall-then.Wall), 0), far), true
}

// Sleep waits for d and reports whether ctx let it.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
