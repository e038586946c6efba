package cli

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
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

// Not parallel: the limit is the whole process's.
func TestTheAimOfMemoryStaysAboveWhatIsAlive(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	alive := make([]byte, 2*memoryAim)
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		(&env{Process: Process{Environ: []string{"GOMEMLIMIT=1GiB"}}, ctx: ctx}).aimAtLittleMemory()
		synctest.Wait()
		if got := debug.SetMemoryLimit(-1); got != before {
			t.Errorf("what somebody decided became %d", got)
		}
		(&env{ctx: ctx}).aimAtLittleMemory()
		synctest.Wait()
		if got := debug.SetMemoryLimit(-1); got < int64(len(alive))+memoryRoom {
			t.Errorf("the aim is %d with %d alive", got, len(alive))
		}
		runtime.KeepAlive(alive)
		alive = nil
		runtime.GC()
		time.Sleep(2 * memoryLook)
		if got := debug.SetMemoryLimit(-1); got != memoryAim {
			t.Errorf("the aim is %d, want %d", got, memoryAim)
		}
		cancel()
	})
}
