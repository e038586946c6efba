package limiter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// campaign is one shop under saturation, in a bubble: workers that always want
// the next call, a shop that answers late, and everything that goes wrong. The
// workers go through Acquire, as every call of the program does.
type campaign struct {
	t     *testing.T
	opts  Options
	db    *bolt.DB
	lim   *Limiter
	begin time.Time
	host  *machine
	rng   *rand.Rand // of the one who disturbs

	foreign bool // another client of the same app spends too
	enough  int  // calls

	mu        sync.Mutex
	life      *life
	frozen    time.Duration // nothing of ours runs before this instant
	wall      int64         // seconds the wall clock is wrong
	model     *modelShop
	upset     time.Duration // last time the shop got worse without our doing
	known     time.Duration // newest measurement an answer brought us
	calls     int
	throttled int // by our own doing
	excused   int
	gaveUp    int     // waits that ended without a grant
	taken     float64 // points another client took
	takes     int     // its calls
	available float64 // points there were to have
	lastTally time.Duration
	crashes   int
}

// life is what a restart ends: one process and all that runs in it.
type life struct {
	context.Context
	end  context.CancelFunc
	seed uint64
	wg   sync.WaitGroup
	work []*worker
}

// worker makes one call after the other. Its draws are its own, so that they
// do not depend on who of those that wake at one instant runs first.
type worker struct {
	c   *campaign
	l   *life
	rng *rand.Rand

	// owned by c.mu
	cost    int // -1: throttled
	actual  int
	flying  bool
	arrived bool
	known   time.Duration // c.known when it was granted
}

func (c *campaign) now() time.Duration { return time.Since(c.begin) }

func spread(rng *rand.Rand, lo, hi time.Duration) time.Duration {
	return lo + time.Duration(rng.Int64N(int64(hi-lo)))
}

// open starts a process with its workers.
func (c *campaign) open() {
	lim, err := Open(c.db, c.opts)
	if err != nil {
		c.t.Fatal(err)
	}
	lim.start.Wall += c.wall * int64(time.Second)
	l := &life{seed: c.rng.Uint64()}
	l.Context, l.end = context.WithCancel(context.Background())
	c.lim, c.life = lim, l
	for range 8 {
		l.wg.Go(c.hire(l).work)
	}
	if c.foreign {
		w := c.hire(l)
		l.wg.Go(func() {
			for w.sleep(spread(w.rng, time.Second/2, 5*time.Second)) {
				c.other(200 * w.rng.Float64())
			}
		})
	}
}

func (c *campaign) hire(l *life) *worker {
	w := &worker{c: c, l: l, rng: rand.New(rand.NewPCG(l.seed, uint64(len(l.work))))}
	l.work = append(l.work, w)
	return w
}

// other is a call of another client of the same app.
func (c *campaign) other(most float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.model.drip(c.now())
	take := min(c.model.level, most)
	c.model.level -= take
	c.taken += take
	c.takes++
	c.upset = c.now()
}

// sleep lets time pass for something of ours, which runs on when the process is
// not stopped. It reports whether the process still lives.
func (w *worker) sleep(d time.Duration) bool {
	for d > 0 && w.l.Err() == nil {
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-w.l.Done():
			timer.Stop()
		}
		w.c.mu.Lock()
		if d = w.c.frozen - w.c.now(); d > 0 {
			d += w.moment()
		}
		w.c.mu.Unlock()
	}
	return w.l.Err() == nil
}

// moment keeps apart what would run at one instant, in no order.
func (w *worker) moment() time.Duration { return spread(w.rng, 1, time.Microsecond) }

// work wants the next call until the process ends.
func (w *worker) work() {
	for w.sleep(w.moment()) {
		w.draw()
		// a few of those who ask do not want to wait for long
		ctx, cancel := context.WithCancel(w.l)
		if w.rng.IntN(100) == 0 {
			ctx, cancel = context.WithTimeout(w.l, spread(w.rng, time.Millisecond, 10*time.Second))
		}
		g, err := w.c.lim.Acquire(ctx, Call{Shop: shopA, Class: Class(w.rng.IntN(3)), Cost: w.cost})
		cancel()
		if err == nil && g.Probe {
			w.cost, w.actual = 1, 1
			if w.rng.IntN(3) == 0 {
				g.Settle(Answer{Actual: Unsent}) // no connection: it never left
				continue
			}
		}
		if err == nil {
			w.fly(g)
			continue
		}
		w.c.mu.Lock()
		w.c.gaveUp++
		w.c.mu.Unlock()
		again := time.Second // the plan was lowered: ask for less
		if we, ok := errors.AsType[*WaitError](err); ok {
			again = max(time.Until(we.Next), time.Millisecond)
		}
		w.sleep(again)
	}
}

func (w *worker) draw() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	most := int(w.c.model.size) / 20
	if w.c.opts.Fixed {
		most = w.c.opts.Points / 20
	} else if w.rng.IntN(50) == 0 {
		most = int(w.c.model.size) / 3
	}
	w.cost = 1 + w.rng.IntN(most)
	w.actual = w.cost
	if w.rng.IntN(3) == 0 {
		w.actual = 1 + w.rng.IntN(w.cost)
	}
}

// fly takes a granted call through the wire and back.
func (w *worker) fly(g *Grant) {
	c := w.c
	c.mu.Lock()
	w.flying, w.arrived, w.known = true, false, c.known
	c.mu.Unlock()
	defer func() {
		if w.l.Err() == nil { // else it stays as it was when the process ended
			c.mu.Lock()
			w.flying = false
			c.mu.Unlock()
		}
	}()
	lag := spread(w.rng, 0, 50*time.Millisecond)
	if w.rng.IntN(500) == 0 {
		lag = spread(w.rng, time.Second, 2*time.Minute) // the goroutine is stopped here
	}
	early := w.rng.IntN(100) == 0
	if !w.sleep(lag) {
		return
	}
	if early { // our own ctx ended before it left
		g.Settle(Answer{Actual: Unsent})
		return
	}
	c.mu.Lock()
	admitted := w.arrive()
	st, seen := c.model.status(c.now()), c.now()
	c.mu.Unlock()
	status := &st
	actual := 0
	if admitted {
		if !w.sleep(spread(w.rng, 10*time.Millisecond, time.Second)) {
			return
		}
		c.mu.Lock()
		c.model.finish(c.now(), w.cost, w.actual)
		st, seen, actual = c.model.status(c.now()), c.now(), w.actual
		c.mu.Unlock()
		if w.rng.IntN(20) == 0 {
			status = nil
		}
	}
	if !w.sleep(spread(w.rng, 0, 300*time.Millisecond)) {
		return
	}
	if admitted && w.rng.IntN(100) == 0 { // timed out: no answer
		actual, status = Unknown, nil
	}
	if status != nil { // before whoever the answer lets go first
		c.mu.Lock()
		c.known = max(c.known, seen)
		c.mu.Unlock()
	}
	a := Answer{Actual: actual, Status: status}
	if !admitted {
		a.Until = time.Now().Add(time.Second)
	}
	g.Settle(a)
}

// arrive is the call reaching the shop. It reports whether the shop took it; a
// throttled one gets cost -1. Needs c.mu.
func (w *worker) arrive() bool {
	c := w.c
	w.arrived = true
	c.calls++
	if c.model.admit(c.now(), w.cost) {
		fixed := 0.0
		if c.opts.Fixed {
			fixed = float64(c.opts.Points)
		}
		c.model.book(c.now(), w.actual, c.opts.Window, fixed)
		return true
	}
	if c.upset > w.known || c.foreign {
		c.excused++
	} else {
		c.throttled++
	}
	w.cost = -1
	return false
}

// tally counts what the shop made available since the last time. Needs c.mu.
func (c *campaign) tally(up bool) {
	d := (c.now() - c.lastTally).Seconds()
	c.lastTally = c.now()
	before := c.model.overflow
	c.model.counting = true
	c.model.drip(c.now())
	c.model.counting = false
	lost := c.model.overflow - before
	switch {
	case c.opts.Fixed && up:
		c.available += d * float64(c.opts.Points) / c.opts.Window.Seconds()
	case !c.opts.Fixed && up:
		c.available += d * c.model.rate
	case !c.opts.Fixed:
		c.available += d*c.model.rate - lost // what the bucket could keep
	}
}

// run disturbs the work until there were enough calls. In a bubble.
func (c *campaign) run() {
	c.begin, c.host = time.Now(), newMachine()
	c.opts.Uptime = c.host.uptime
	c.model.replan(0, 2000, 100, c.opts.Window)
	c.model.level = 2000
	c.open()
	for next := 5 * time.Minute; !c.done(); {
		if next > 0 { // in steps, so that it ends at about the calls it was given
			d := min(next, 10*time.Second)
			time.Sleep(d)
			next -= d
			continue
		}
		c.disturb()
		next = spread(c.rng, 20*time.Second, 10*time.Minute)
	}
	c.mu.Lock()
	c.tally(true)
	c.mu.Unlock()
	c.lim.crash()
	c.life.end()
	c.life.wg.Wait()
}

func (c *campaign) done() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls >= c.enough
}

func newCampaign(seed uint64, opts Options) *campaign {
	c := &campaign{opts: opts.withDefaults(), rng: rand.New(rand.NewPCG(seed, 1)), model: &modelShop{}}
	c.available = 2000
	if opts.Fixed {
		c.available = -float64(c.opts.Points) // the first window counts as spent
	}
	return c
}

// TestCampaignNeverOverrunsTheShop is the test of docs/limiter.md: random costs,
// plan changes, pauses, crashes, reboots and clock jumps, against a shop that
// counts for itself. STOCKROOM_TORTURE runs the whole million calls. A seed
// replays its draws; the order of two that wake at one instant may differ.
func TestCampaignNeverOverrunsTheShop(t *testing.T) {
	total := 120_000
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		total = 1_000_000
	}
	cases := []struct {
		name    string
		opts    Options
		foreign bool
		share   int // of total, percent
	}{
		{"adaptive", Options{}, false, 60},
		{"fixed 1000", Options{Fixed: true, Points: 1000}, false, 15},
		{"fixed 80", Options{Fixed: true}, false, 5},
		{"adaptive beside another client", Options{}, true, 20},
	}
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(20261123 + i)
			if s := os.Getenv("STOCKROOM_SEED"); s != "" {
				fmt.Sscan(s, &seed)
			}
			c := newCampaign(seed, tc.opts)
			c.foreign, c.enough = tc.foreign, total*tc.share/100
			synctest.Test(t, func(t *testing.T) {
				c.t, c.db = t, openDB(t)
				c.run()
				c.judge(t, seed)
			})
		})
	}
}

func (c *campaign) judge(t *testing.T, seed uint64) {
	used := 100 * (c.model.charged + c.taken) / c.available
	t.Logf("seed %d: %d calls in %v, %d waits given up, %d restarts, %.1f %% of the points, throttled %d by us, "+
		"%d by others", seed, c.calls, c.now().Round(time.Second), c.gaveUp, c.crashes, used, c.throttled, c.excused)
	if c.model.worst != "" {
		t.Error(c.model.worst)
	}
	if c.throttled > 0 {
		t.Errorf("%d calls throttled by our own doing", c.throttled)
	}
	if used < 95 {
		t.Errorf("only %.1f %% of the available points used", used)
	}
	if c.excused > c.takes/2+c.calls/1000 {
		t.Errorf("%d calls throttled beside %d calls of another client", c.excused, c.takes)
	}
}
