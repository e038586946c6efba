package limiter

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

const shopA = "a.myshopify.com"

// epoch is an hour into every bubble: the tests count from it.
var epoch = time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

// until lets the bubble's clock run to an instant.
func until(d time.Duration) { time.Sleep(time.Until(at(d))) }

func openDB(t testing.TB) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "state.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// machine is a machine whose boots the test decides. Its uptime runs with the
// bubble's clock.
type machine struct {
	mu   sync.Mutex
	boot string
	from time.Time
}

func newMachine() *machine {
	m := &machine{}
	m.reboot("one", 0)
	return m
}

func (m *machine) uptime() (string, time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot, time.Since(m.from), true
}

func (m *machine) reboot(boot string, up time.Duration) {
	m.mu.Lock()
	m.boot, m.from = boot, time.Now().Add(-up)
	m.mu.Unlock()
}

func openLimiter(t testing.TB, db DB, o Options) *Limiter {
	t.Helper()
	l, err := Open(db, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.crash)
	return l
}

// crash drops a limiter as kill -9 does: nothing more is written.
func (l *Limiter) crash() { l.stop() }

// settled waits until the flusher has nothing left to write.
func (l *Limiter) settled() {
	for busy := true; busy; runtime.Gosched() {
		l.mu.Lock()
		busy = l.flushing
		l.mu.Unlock()
	}
}

// mute wants no probes of the shop from now on: the tests of the default budget
// look at what it gives.
func (l *Limiter) mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, _ := l.shop(shopA, time.Now())
	s.probed = -never
}

func (l *Limiter) wantsProbe() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, t := l.shop(shopA, time.Now())
	return s.untaught(t)
}

// ask is an answer that tells the cost of a query.
func (l *Limiter) ask(query string, requested int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.learn(query, requested)
}

var errNoProbe = errors.New("no probe wanted")

// probe is the shop's probe.
func probe(l *Limiter) (*Grant, error) {
	g, err := ask(l, shopA, Bulk, 1).now()
	if err == nil && !g.Probe {
		g.Settle(Answer{Actual: Unsent})
		err = errNoProbe
	}
	return g, err
}

func tooDear(err error) bool {
	_, ok := errors.AsType[*CostError](err)
	return ok
}

// fresh opens a limiter whose shop has an empty window at epoch, which is now.
func fresh(t testing.TB, o Options) *Limiter {
	t.Helper()
	l := openLimiter(t, openDB(t), o)
	l.mute()
	until(0)
	return l
}

// bubble runs f at epoch with a fresh limiter, under a clock of its own.
func bubble(t *testing.T, o Options, f func(t *testing.T, l *Limiter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := fresh(t, o)
		f(t, l)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// call is a Wait under way in a bubble.
type call struct {
	stop  context.CancelFunc
	done  chan struct{} // closed when Wait has returned
	grant *Grant
	err   error
	at    time.Time // when it returned
}

// ask starts a Wait and returns when it has been answered or stands in the
// queue. The clock does not move meanwhile.
func ask(l *Limiter, shop string, class Class, cost int) *call {
	ctx, stop := context.WithCancel(context.Background())
	c := &call{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.grant, c.err = l.Acquire(ctx, Call{Shop: shop, Class: class, Cost: cost})
		c.at = time.Now()
	}()
	synctest.Wait()
	return c
}

// over tells whether the call has been answered.
func (c *call) over() bool {
	synctest.Wait()
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// now takes the call's grant if it has one, else ends its wait.
func (c *call) now() (*Grant, error) {
	c.stop()
	<-c.done
	return c.grant, c.err
}

// grab is a grant at this instant.
func grab(t testing.TB, l *Limiter, class Class, cost int) *Grant {
	t.Helper()
	g, err := ask(l, shopA, class, cost).now()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// spend takes cost points if they are there at this instant, for a call whose
// answer tells nothing.
func spend(l *Limiter, class Class, cost int) bool {
	g, err := ask(l, shopA, class, cost).now()
	if err != nil {
		return false
	}
	g.Settle(Answer{Actual: Unknown})
	return true
}

// only tells whether exactly so many points are to be had now, and takes them.
func only(l *Limiter, class Class, cost int) bool {
	return !spend(l, class, cost+1) && spend(l, class, cost)
}

func teach(t testing.TB, l *Limiter, st ThrottleStatus) {
	t.Helper()
	l.mu.Lock()
	if s, _ := l.shop(shopA, time.Now()); s.probed == -never {
		s.probed = never
	}
	l.mu.Unlock()
	g, err := probe(l)
	if err != nil {
		t.Fatal(err)
	}
	g.Settle(Answer{Actual: 1, Status: &st})
}

func TestAFreshShopCountsAsAFullSpentWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLimiter(t, openDB(t), Options{})
		until(0) // nobody asked for the shop until now
		l.mute()
		if spend(l, Bulk, 1) {
			t.Error("granted on a state nobody knows")
		}
		until(time.Minute - 1)
		if spend(l, Bulk, 1) {
			t.Error("granted before the window was over")
		}
		until(time.Minute)
		if !spend(l, Bulk, 80) {
			t.Error("not granted after one window")
		}
	})
}

func TestGrantsRecoverExactlyWhenTheWindowExpires(t *testing.T) {
	bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
		for i := range 80 {
			until(time.Duration(i) * time.Second / 2)
			if !spend(l, Bulk, 1) {
				t.Fatalf("point %d denied", i)
			}
		}
		for i := range 80 {
			due := time.Minute + time.Duration(i)*time.Second/2
			until(due - 1)
			if spend(l, Bulk, 1) {
				t.Fatalf("point %d came back 1 ns early", i)
			}
			until(due)
			if !spend(l, Bulk, 1) {
				t.Fatalf("point %d did not come back in time", i)
			}
		}
	})
}

func TestSixtyFourGoroutinesAreGrantedExactlyTheBudget(t *testing.T) {
	for _, budget := range []int{80, 1000, 7777} {
		bubble(t, Options{Fixed: true, Points: budget, MaxWait: 1}, func(t *testing.T, l *Limiter) {
			var granted atomic.Int64
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for range budget/16 + 8 {
						if g, err := l.Acquire(t.Context(), Call{Shop: shopA, Class: Bulk, Cost: 1}); err == nil {
							g.Settle(Answer{Actual: 1})
							granted.Add(1)
						}
					}
				})
			}
			wg.Wait()
			if granted.Load() != int64(budget) {
				t.Errorf("granted %d of %d", granted.Load(), budget)
			}
		})
	}
}

func TestADeniedCallCostsNothing(t *testing.T) {
	bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
		spend(l, Bulk, 70)
		for range 100 {
			if spend(l, Bulk, 11) {
				t.Fatal("granted above the budget")
			}
		}
		if !spend(l, Bulk, 10) {
			t.Error("the denied calls were charged")
		}
	})
}

func TestCosts(t *testing.T) {
	st := ThrottleStatus{1000, 1000, 50}
	ctx := context.Background()
	t.Run("above the learned budget are an error at once", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, l *Limiter) {
			teach(t, l, st)
			_, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 1001})
			var ce *CostError
			if !errors.As(err, &ce) || ce.Budget != 1000 || !time.Now().Equal(epoch) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("above a fixed budget are an error at once", func(t *testing.T) {
		bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
			_, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 81})
			if !tooDear(err) || !time.Now().Equal(epoch) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("above the default budget wait for an empty window and go alone", func(t *testing.T) {
		bubble(t, Options{MaxWait: time.Hour}, func(t *testing.T, l *Limiter) {
			until(10 * time.Second)
			spend(l, Bulk, 1)
			until(20 * time.Second)
			c := ask(l, shopA, Bulk, 500)
			until(69 * time.Second)
			if spend(l, Bulk, 1) {
				t.Error("a small call overtook the large one")
			}
			until(70 * time.Second)
			if !c.over() || !c.at.Equal(at(70*time.Second)) || c.err != nil {
				t.Fatalf("granted at %v: %v", c.at, c.err)
			}
			if spend(l, WebhookRefetch, 1) {
				t.Error("did not go alone")
			}
			until(71 * time.Second)
			c.grant.Settle(Answer{Actual: 500})
			until(131*time.Second - 1)
			early := spend(l, WebhookRefetch, 1)
			until(131 * time.Second)
			if early || !spend(l, WebhookRefetch, 1) {
				t.Error("its window did not end 60 s after it was settled")
			}
		})
	})
	t.Run("of a queued call above a budget learned meanwhile fail it", func(t *testing.T) {
		bubble(t, Options{MaxWait: time.Hour}, func(t *testing.T, l *Limiter) {
			spend(l, Bulk, 80)
			l.shops[shopA].probed = never
			g, err := probe(l)
			if err != nil {
				t.Fatal(err)
			}
			c := ask(l, shopA, Bulk, 3000)
			until(time.Second)
			g.Settle(Answer{Actual: 1, Status: &st})
			if !c.over() || !tooDear(c.err) {
				t.Errorf("err %v", c.err)
			}
		})
	})
}

func TestGrants(t *testing.T) {
	learnt := func(t *testing.T, f func(t *testing.T, l *Limiter)) {
		bubble(t, Options{}, func(t *testing.T, l *Limiter) {
			teach(t, l, ThrottleStatus{1000, 100, 50})
			f(t, l)
		})
	}
	t.Run("come at the exact instant of the bucket", func(t *testing.T) {
		learnt(t, func(t *testing.T, l *Limiter) {
			c := ask(l, shopA, Bulk, 150)
			until(time.Second - 1)
			if c.over() {
				t.Errorf("1 ns early, at %v", c.at)
			}
			until(time.Second)
			if !c.over() || c.err != nil {
				t.Errorf("not after 1 s: %v", c.err)
			}
		})
	})
	t.Run("give their points back when cancelled", func(t *testing.T) {
		learnt(t, func(t *testing.T, l *Limiter) {
			g := grab(t, l, Bulk, 100)
			g.Settle(Answer{Actual: Unsent})
			g.Settle(Answer{Actual: Unsent})
			g.Settle(Answer{Actual: 100})
			if !spend(l, Bulk, 100) {
				t.Error("points lost")
			}
		})
	})
	t.Run("are charged when cancelled after they were sent", func(t *testing.T) {
		learnt(t, func(t *testing.T, l *Limiter) {
			g := grab(t, l, Bulk, 100)
			g.Settle(Answer{Actual: Unknown})
			if spend(l, Bulk, 1) {
				t.Error("points of a call the shop may have counted came back")
			}
		})
	})
	t.Run("settle to the actual cost", func(t *testing.T) {
		learnt(t, func(t *testing.T, l *Limiter) {
			grab(t, l, Bulk, 100).Settle(Answer{Actual: 40})
			if !only(l, Bulk, 60) {
				t.Error("refund is not 60")
			}
		})
	})
	t.Run("are charged whole when the answer does not tell", func(t *testing.T) {
		learnt(t, func(t *testing.T, l *Limiter) {
			grab(t, l, Bulk, 100).Settle(Answer{Actual: Unknown})
			if spend(l, Bulk, 1) {
				t.Error("refunded a call of unknown cost")
			}
		})
	})
	t.Run("that are forgotten are charged after MaxFlight", func(t *testing.T) {
		bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
			grab(t, l, Bulk, 80)
			for _, d := range []time.Duration{5*time.Minute - 1, 5 * time.Minute, 6*time.Minute - 1} {
				until(d)
				if spend(l, Bulk, 1) {
					t.Errorf("left the window after %v", d)
				}
			}
			until(6 * time.Minute)
			if !spend(l, Bulk, 1) {
				t.Error("holds its points for ever")
			}
		})
	})
	t.Run("count until one window after they were settled", func(t *testing.T) {
		bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
			g := grab(t, l, Bulk, 80)
			until(59 * time.Second)
			g.Settle(Answer{Actual: 80}) // the shop may have counted it just now
			until(61 * time.Second)
			if spend(l, Bulk, 80) {
				t.Error("two budgets within two seconds")
			}
			until(119*time.Second - 1)
			if spend(l, Bulk, 1) {
				t.Error("granted before a whole window was over")
			}
			until(119 * time.Second)
			if !spend(l, Bulk, 80) {
				t.Error("denied after a whole window")
			}
		})
	})
}

func TestPenalties(t *testing.T) {
	bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
		g := grab(t, l, Bulk, 1)
		g.Settle(Answer{Until: at(2 * time.Second)})
		until(2*time.Second - 1)
		if spend(l, Bulk, 1) {
			t.Error("granted during the penalty")
		}
		until(2 * time.Second)
		g = grab(t, l, Bulk, 1)
		g.Settle(Answer{Until: at(24 * time.Hour)})
		until(2*time.Second + time.Hour - 1)
		if spend(l, Bulk, 1) {
			t.Error("an hour's penalty was not kept")
		}
		until(2*time.Second + time.Hour)
		if !spend(l, Bulk, 1) {
			t.Error("a day's penalty was believed")
		}
	})
}

// jumpWall changes the wall clock of an instant and leaves its monotonic
// reading alone, as a clock that is set does.
func jumpWall(t time.Time, seconds int64) time.Time {
	wall := (*uint64)(unsafe.Pointer(&t)) // 1 bit "monotonic", 33 bits seconds, 30 bits ns
	*wall += uint64(seconds) << 30
	return t
}

// On the real clock: the instants of a bubble have no monotonic reading.
func TestAWallClockThatIsSetWhileWeRunChangesNothing(t *testing.T) {
	l := openLimiter(t, openDB(t), Options{})
	for _, jump := range []int64{-1_700_000_000, -86_400, -30, 30, 86_400, 1_000_000_000} {
		now := time.Now()
		set := jumpWall(now, jump)
		if set.Unix() != now.Unix()+jump {
			t.Fatal("the wall clock was not set")
		}
		if l.tick(set) != l.tick(now) {
			t.Errorf("set by %d s, the limiter's clock went from %d to %d", jump, l.tick(now), l.tick(set))
		}
	}
	g, err := l.Acquire(t.Context(), Call{Shop: shopA, Cost: 1})
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	g.Settle(Answer{Actual: 1, Status: &ThrottleStatus{2000, 1999, 100},
		Until: jumpWall(before, -86_400).Add(time.Minute)})
	snap, _ := l.Snapshot(shopA)
	if d := snap.Penalty.Sub(before); d != time.Minute || snap.ServerAge > time.Since(before) || snap.Used != 81 {
		t.Errorf("%v of the penalty left, answered %v ago, %d points count", d, snap.ServerAge, snap.Used)
	}
}
