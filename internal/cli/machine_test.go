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
func TestTheAimOfMemoryStaysAboveWhatStaysAlive(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	aim := func(t *testing.T, want int64) {
		t.Helper()
		synctest.Wait()
		if got := debug.SetMemoryLimit(-1); got != want && (want < 2*memoryAim || got < want) {
			t.Errorf("the aim is %d, want %d", got, want)
		}
	}
	large := func() []byte {
		b := make([]byte, 2*memoryAim)
		runtime.GC()
		return b
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		(&env{Process: Process{Environ: []string{"GOMEMLIMIT=1GiB"}}, ctx: ctx}).aimAtLittleMemory()
		aim(t, before)
		runtime.GC()
		(&env{ctx: ctx}).aimAtLittleMemory()
		aim(t, memoryAim)
		alive := large()
		time.Sleep((memoryLong - 1) * memoryLook)
		aim(t, memoryAim) // it may be alive for a moment only
		time.Sleep(memoryLook)
		aim(t, 2*memoryAim+memoryRoom)
		runtime.KeepAlive(alive)
		alive = nil
		runtime.GC()
		time.Sleep(memoryLook)
		aim(t, memoryAim)
	})
	alive := large()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		(&env{ctx: ctx}).aimAtLittleMemory()
		aim(t, 2*memoryAim+memoryRoom) // it was there from the start
	})
	runtime.KeepAlive(alive)
}
