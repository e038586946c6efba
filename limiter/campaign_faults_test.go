package limiter

import (
	"container/heap"
	"time"
)

// stop ends the process: kill -9, or a clean end. Calls on their way reach the
// shop or do not.
func (c *campaign) stop() {
	c.tally(true)
	c.crashes++
	if c.rng.IntN(3) == 0 {
		c.lim.settled()
		if err := c.lim.CloseAt(c.instant()); err != nil {
			c.t.Fatal(err)
		}
	} else {
		c.lim.crash()
	}
	for _, w := range c.work {
		if w.flying && !w.arrived && w.cost > 0 && c.rng.IntN(2) == 0 {
			c.arrive(w)
			if w.cost > 0 {
				c.model.finish(c.now, w.cost, w.actual)
			}
		}
	}
	c.life++
	c.events = c.events[:0]
	lost := time.Duration(0) // under-granting that is allowed: one window
	if c.rng.IntN(10) == 0 {
		c.reboot()
		lost = c.opts.Window
	}
	c.goTo(c.now + c.spread(time.Millisecond, 20*time.Second))
	if c.rng.IntN(3) == 0 {
		jump := []int64{-86400, 86400, -30, 30, -1_700_000_000}[c.rng.IntN(5)]
		c.wall += jump
		if c.wall < -1_790_000_000 || c.wall > 1_000_000_000 {
			c.wall = 0
		}
		lost = c.opts.Window
	}
	c.tally(false)
	if lost > 0 && c.opts.Fixed {
		c.available -= float64(c.opts.Points)
	}
	c.open()
	if c.foreign {
		c.other()
	}
}

func (c *campaign) disturb() {
	switch c.rng.IntN(6) {
	case 0:
		c.tally(true)
		plans := [][2]float64{{1000, 50}, {2000, 100}, {4000, 200}, {20000, 1000}, {2000, 80.5}}
		p := plans[c.rng.IntN(len(plans))]
		if p[0] < c.model.size || p[1] < c.model.rate {
			c.upset = c.now
		}
		c.model.replan(c.now, p[0], p[1], c.opts.Window)
	case 1: // SIGSTOP: nothing of ours runs, the shop goes on
		c.tally(true)
		d := c.spread(time.Second, 2*time.Minute)
		for i := range c.events {
			c.events[i].at = max(c.events[i].at, c.now+d)
		}
		heap.Init(&c.events)
		c.goTo(c.now + d)
		c.tally(false)
	case 2: // the wall clock is set while we run
		c.wall += []int64{-86400, 86400, -30, 30}[c.rng.IntN(4)]
	case 3:
		if c.foreign {
			c.model.drip(c.now)
			take := c.model.level * c.rng.Float64()
			c.model.level -= take
			c.taken += take
			c.upset = c.now
		}
	default:
		c.stop()
		c.after(c.spread(20*time.Second, 10*time.Minute), c.disturb)
		return
	}
	c.after(c.spread(20*time.Second, 10*time.Minute), c.disturb)
}
