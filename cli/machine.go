package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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
	memoryRoom = 48 << 20  // above what is alive, without which it would never rest
	memoryLook = 5 * time.Second
)

// aimAtLittleMemory keeps garbage within bounds: what strangers can make the server
// hold at one time is less than memoryAim, and garbage would double it. Where more is
// alive, as with very many shops, the aim is higher. Who sets GOMEMLIMIT knows better.
func (e *env) aimAtLittleMemory() {
	if e.variable("GOMEMLIMIT") != "" {
		return
	}
	go func() {
		alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		for {
			metrics.Read(alive)
			debug.SetMemoryLimit(max(memoryAim, int64(alive[0].Value.Uint64()+alive[1].Value.Uint64())+memoryRoom))
			select {
			case <-time.After(memoryLook):
			case <-e.ctx.Done():
				return
			}
		}
	}()
}
