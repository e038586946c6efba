package limiter

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// jumpWall changes the wall clock of an instant and leaves its monotonic
// reading alone, as a clock that is set does.
func jumpWall(t time.Time, seconds int64) time.Time {
	wall := (*uint64)(unsafe.Pointer(&t)) // 1 bit "monotonic", 33 bits seconds, 30 bits ns
	*wall += uint64(seconds) << 30
	return t
}

// campaign is one shop under saturation, in simulated time: workers that always
// want the next call, a shop that answers late, and everything that goes wrong.
type campaign struct {
	t    *testing.T
	rng  *rand.Rand
	opts Options
	db   *bolt.DB
	lim  *Limiter

	mu     sync.Mutex    // the flusher asks for the uptime while we move on
	now    time.Duration // true time
	wall   int64         // seconds the wall clock is wrong
	bios   time.Duration // true time of the last boot
	boot   int
	real   time.Time
	events eventHeap
	seq    int
	life   int // counts restarts: events of a dead process do nothing
	model  *modelShop
	work   []*worker

	foreign   bool          // another client of the same app spends too
	upset     time.Duration // last time the shop got worse without our doing
	known     time.Duration // newest measurement an answer brought us
	calls     int
	throttled int // by our own doing
	excused   int
	taken     float64 // points another client took
	takes     int     // its calls
	available float64 // points there were to have
	lastTally time.Duration
	crashes   int
}

type worker struct {
	grant   *Grant
	cost    int
	actual  int
	flying  bool
	known   time.Duration // c.known when it was granted
	arrived bool
}

type event struct {
	at   time.Duration
	seq  int
	do   func()
	life int
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any     { o := *h; e := o[len(o)-1]; *h = o[:len(o)-1]; return e }

func (c *campaign) after(d time.Duration, do func()) {
	c.seq++
	heap.Push(&c.events, event{c.now + max(d, 0), c.seq, do, c.life})
}

func (c *campaign) instant() time.Time { return jumpWall(c.real.Add(c.now), c.wall) }

func (c *campaign) uptime() (string, time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint("boot ", c.boot), c.now - c.bios, true
}

func (c *campaign) goTo(now time.Duration) {
	c.mu.Lock()
	c.now = max(c.now, now)
	c.mu.Unlock()
}

func (c *campaign) reboot() {
	c.mu.Lock()
	c.boot++
	c.bios = c.now
	c.mu.Unlock()
}

func (c *campaign) open() {
	l, err := OpenAt(c.instant(), c.db, c.opts)
	if err != nil {
		c.t.Fatal(err)
	}
	c.lim = l
	for l.NeedsProbeAt(c.instant(), shopA) {
		g, err := l.ProbeAt(c.instant(), shopA, 1)
		if err == nil && c.rng.IntN(3) == 0 {
			g.CancelAt(c.instant()) // no connection: it never left
			continue
		}
		if err == nil {
			w := &worker{grant: g, cost: 1, actual: 1}
			c.fly(w, false)
		}
		break
	}
	c.work = c.work[:0]
	for range 8 {
		w := &worker{}
		c.work = append(c.work, w)
		c.want(w)
	}
}

func (c *campaign) spread(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(c.rng.Int64N(int64(hi-lo)))
}

// want asks for the next call of a worker.
func (c *campaign) want(w *worker) {
	most := int(c.model.size) / 20
	if c.opts.Fixed {
		most = c.opts.Points / 20
	} else if c.rng.IntN(50) == 0 {
		most = int(c.model.size) / 3
	}
	w.cost = 1 + c.rng.IntN(most)
	w.actual = w.cost
	if c.rng.IntN(3) == 0 {
		w.actual = 1 + c.rng.IntN(w.cost)
	}
	g, err := c.lim.ReserveAt(c.instant(), shopA, Class(c.rng.IntN(3)), w.cost)
	if err != nil { // the plan was lowered: ask for less
		c.after(time.Second, func() { c.want(w) })
		return
	}
	w.grant, w.flying = g, false
	c.poll(w)
}

// poll comes back when the call's turn may have come.
func (c *campaign) poll(w *worker) {
	g := w.grant
	d := g.DelayFrom(c.instant())
	c.launch()
	if d > 0 {
		c.after(d, func() {
			if w.grant == g && !w.flying {
				c.poll(w)
			}
		})
	}
}

// launch sends every call whose points are held, whoever's poll freed them.
func (c *campaign) launch() {
	for _, w := range c.work {
		if w.grant == nil || w.flying {
			continue
		}
		select {
		case <-w.grant.Ready():
			if w.grant.Err() != nil {
				w.grant = nil
				c.after(time.Second, func() { c.want(w) })
				continue
			}
			c.fly(w, true)
		default:
		}
	}
}

// fly takes a granted call through the wire and back.
func (c *campaign) fly(w *worker, again bool) {
	w.flying, w.arrived, w.known = true, false, c.known
	g := w.grant
	lag := c.spread(0, 50*time.Millisecond)
	if c.rng.IntN(500) == 0 {
		lag = c.spread(time.Second, 2*time.Minute) // the goroutine is stopped here
	}
	if c.rng.IntN(100) == 0 { // our own ctx ended before it left
		c.after(lag, func() { g.CancelAt(c.instant()); c.next(w, again) })
		return
	}
	c.after(lag, func() {
		c.arrive(w)
		if w.cost < 0 {
			st := c.model.status(c.now)
			seen := c.now
			c.after(c.spread(0, 300*time.Millisecond), func() {
				g.SettleAt(c.instant(), 0, &st)
				g.PenaltyAt(c.instant(), c.instant().Add(time.Second))
				c.known = max(c.known, seen)
				c.next(w, again)
			})
			return
		}
		c.after(c.spread(10*time.Millisecond, time.Second), func() {
			c.model.finish(c.now, w.cost, w.actual)
			st, seen := c.model.status(c.now), c.now
			status := &st
			if c.rng.IntN(20) == 0 {
				status = nil
			}
			c.after(c.spread(0, 300*time.Millisecond), func() {
				switch {
				case c.rng.IntN(100) == 0: // timed out: no answer
					g.SettleAt(c.instant(), Unknown, nil)
				default:
					g.SettleAt(c.instant(), w.actual, status)
					if status != nil {
						c.known = max(c.known, seen)
					}
				}
				c.next(w, again)
			})
		})
	})
}

// arrive is the call reaching the shop. A throttled one gets cost -1.
func (c *campaign) arrive(w *worker) {
	w.arrived = true
	c.calls++
	if c.model.admit(c.now, w.cost) {
		fixed := 0.0
		if c.opts.Fixed {
			fixed = float64(c.opts.Points)
		}
		c.model.book(c.now, w.actual, c.opts.Window, fixed)
		return
	}
	if c.upset > w.known || c.foreign {
		c.excused++
	} else {
		c.throttled++
	}
	w.cost = -1
}

func (c *campaign) next(w *worker, again bool) {
	w.grant = nil
	c.launch()
	if again {
		c.want(w)
	}
}

// tally counts what the shop made available since the last time.
func (c *campaign) tally(up bool) {
	d := (c.now - c.lastTally).Seconds()
	c.lastTally = c.now
	before := c.model.overflow
	c.model.counting = true
	c.model.drip(c.now)
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

// other is a call of another client of the same app, every few seconds.
func (c *campaign) other() {
	c.model.drip(c.now)
	take := min(c.model.level, 200*c.rng.Float64())
	c.model.level -= take
	c.taken += take
	c.takes++
	c.upset = c.now
	c.after(c.spread(time.Second/2, 5*time.Second), c.other)
}

func (c *campaign) run(calls int) {
	c.open()
	c.after(5*time.Minute, c.disturb)
	if c.foreign {
		c.other()
	}
	for c.calls < calls && c.events.Len() > 0 {
		c.step()
	}
	c.tally(true)
	c.lim.crash()
}

func (c *campaign) step() {
	e := heap.Pop(&c.events).(event)
	c.goTo(e.at)
	if e.life == c.life {
		e.do()
		c.lim.settled() // a seed must always tell the same story
	}
}

func newCampaign(t *testing.T, seed uint64, opts Options) *campaign {
	c := &campaign{t: t, rng: rand.New(rand.NewPCG(seed, 1)), opts: opts.withDefaults(), db: openDB(t), real: time.Now()}
	c.opts.Uptime = c.uptime
	c.model = &modelShop{}
	c.model.replan(0, 2000, 100, c.opts.Window)
	c.model.level = 2000
	c.available = 2000
	if opts.Fixed {
		c.available = -float64(c.opts.Points) // the first window counts as spent
	}
	return c
}

// TestCampaignNeverOverrunsTheShop is the test of docs/limiter.md: random costs,
// plan changes, pauses, crashes, reboots and clock jumps, against a shop that
// counts for itself. STOCKROOM_TORTURE runs the whole million calls.
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
			c := newCampaign(t, seed, tc.opts)
			c.foreign = tc.foreign
			c.run(total * tc.share / 100)
			used := 100 * (c.model.charged + c.taken) / c.available
			t.Logf("seed %d: %d calls in %v, %d restarts, %.1f %% of the points, throttled %d by us, %d by others",
				seed, c.calls, c.now.Round(time.Second), c.crashes, used, c.throttled, c.excused)
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
		})
	}
}
