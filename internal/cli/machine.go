package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

// twoProcessors lets Go schedule onto two threads where the machine has one core.
// With one, goroutines that the network woke wait in Go's global queue, of which
// one is taken for every 61 that run, so under load some requests waited for a
// quarter of a second while others went ahead. Who sets GOMAXPROCS knows better.
func (e *env) twoProcessors() {
	if e.variable("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) == 1 {
		runtime.GOMAXPROCS(2)
	}
}

const (
	memoryAim  = 104 << 20 // bytes, from which on the collector works harder
	memoryRoom = 48 << 20  // above what stays alive, without which it would never rest
	memoryLook = 5 * time.Second
	memoryLong = 24 // looks for which memory is alive that stays: a password takes 64 MiB again and again
)

// aimAtLittleMemory keeps garbage within bounds: what strangers can make the server
// hold at one time is less than memoryAim, and garbage would double it. Where more
// stays alive, as with very many shops, the aim is higher. Who sets GOMEMLIMIT knows better.
func (e *env) aimAtLittleMemory() {
	if e.variable("GOMEMLIMIT") != "" {
		return
	}
	go func() {
		alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		var lately [memoryLong]uint64
		for n := 0; ; n++ {
			metrics.Read(alive)
			now := alive[0].Value.Uint64() + alive[1].Value.Uint64()
			if lately[n%memoryLong] = now; n == 0 {
				lately = [memoryLong]uint64(slices.Repeat([]uint64{now}, memoryLong)) // what was opened
			}
			debug.SetMemoryLimit(max(memoryAim, int64(slices.Min(lately[:]))+memoryRoom))
			select {
			case <-time.After(memoryLook):
			case <-e.ctx.Done():
				return
			}
		}
	}()
}
