package cli

import (
	"runtime"
	"testing"
)

// Not parallel: the number of processors is the whole process's.
func TestOneCoreHasTwoProcessorsUnlessSomebodyDecided(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct {
		environ []string
		have    int
		want    int
	}{{nil, 1, 2}, {[]string{"GOMAXPROCS=1"}, 1, 1}, {nil, 3, 3}} {
		runtime.GOMAXPROCS(c.have)
		(&env{Process: Process{Environ: c.environ}}).twoProcessors()
		if got := runtime.GOMAXPROCS(0); got != c.want {
			t.Errorf("%v with %d: %d processors, want %d", c.environ, c.have, got, c.want)
		}
	}
}
