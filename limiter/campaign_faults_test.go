package limiter

import (
	"fmt"
	"time"
)

// stop ends the process, by kill -9 or cleanly, and starts another. Calls on
// their way reach the shop or do not.
func (c *campaign) stop() {
	c.mu.Lock()
	c.tally(true)
	c.crashes++
	c.mu.Unlock()
	if c.rng.IntN(3) == 0 {
		c.lim.settled()
		if err := c.lim.Close(); err != nil {
			c.t.Fatal(err)
		}
	} else {
		c.lim.crash()
	}
	c.life.end()
	c.life.wg.Wait()
	for _, w := range c.life.work {
		if w.flying && !w.arrived && w.cost > 0 && c.rng.IntN(2) == 0 && w.arrive() {
			c.model.finish(c.now(), w.cost, w.actual)
		}
	}
	lost := time.Duration(0) // under-granting that is allowed: one window
	if c.rng.IntN(10) == 0 {
		c.host.reboot(fmt.Sprint("boot ", c.crashes), 0)
		lost = c.opts.Window
	}
	time.Sleep(spread(c.rng, time.Millisecond, 20*time.Second))
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
}

func (c *campaign) disturb() {
	switch c.rng.IntN(6) {
	case 0:
		c.mu.Lock()
		c.tally(true)
		plans := [][2]float64{{1000, 50}, {2000, 100}, {4000, 200}, {20000, 1000}, {2000, 80.5}}
		p := plans[c.rng.IntN(len(plans))]
		if p[0] < c.model.size || p[1] < c.model.rate {
			c.upset = c.now()
		}
		c.model.replan(c.now(), p[0], p[1], c.opts.Window)
		c.mu.Unlock()
	case 1: // SIGSTOP: nothing of ours runs, the shop goes on
		c.mu.Lock()
		c.tally(true)
		d := spread(c.rng, time.Second, 2*time.Minute)
		c.frozen = c.now() + d
		c.mu.Unlock()
		time.Sleep(d)
		c.mu.Lock()
		c.tally(false)
		c.mu.Unlock()
	case 2: // the wall clock is set while we run: the next process finds it so
		c.wall += []int64{-86400, 86400, -30, 30}[c.rng.IntN(4)]
	case 3:
		if c.foreign {
			c.mu.Lock()
			level := c.model.level
			c.mu.Unlock()
			c.other(level * c.rng.Float64())
		}
	default:
		c.stop()
	}
}
