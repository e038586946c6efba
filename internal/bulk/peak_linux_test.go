package bulk

import (
	"bytes"
	"fmt"
	"os"
)

// peakKiB is the most memory that this process had resident.
func peakKiB() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	n := 0
	if i := bytes.Index(status, []byte("VmHWM:")); i >= 0 {
		_, _ = fmt.Sscanf(string(status[i:]), "VmHWM: %d kB", &n)
	}
	return n
}
