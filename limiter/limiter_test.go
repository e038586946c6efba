package limiter

import (
	"errors"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

const shopA = "a.myshopify.com"

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func openDB(t testing.TB) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "state.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// machine is a machine whose uptime the test decides.
type machine struct {
	mu   sync.Mutex
	boot string
	up   time.Duration
}

func (m *machine) uptime() (string, time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot, m.up, true
}

func (m *machine) pass(d time.Duration) {
	m.mu.Lock()
	m.up += d
	m.mu.Unlock()
}

func (m *machine) reboot(boot string, up time.Duration) {
	m.mu.Lock()
	m.boot, m.up = boot, up
	m.mu.Unlock()
}

func openAt(t testing.TB, now time.Time, db *bolt.DB, o Options) *Limiter {
	t.Helper()
	l, err := OpenAt(now, db, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.crash)
	return l
}

// crash drops a limiter as kill -9 does: nothing more is written.
func (l *Limiter) crash() {
	if l.closed.Swap(true) {
		return
	}
	l.lease.stop()
	for _, s := range l.all() {
		s.mu.Lock()
		s.end()
		s.mu.Unlock()
	}
}

// settled waits until the flusher has nothing left to write.
func (l *Limiter) settled() {
	for _, s := range l.all() {
		s.mu.Lock()
		for s.pending {
			s.awaitLease()
		}
		s.mu.Unlock()
	}
}

// fresh opens a limiter whose shop has an empty window at epoch.
func fresh(t testing.TB, o Options) *Limiter {
	t.Helper()
	o = o.withDefaults()
	l := openAt(t, at(-2*o.Window), openDB(t), o)
	l.SnapshotAt(at(-2*o.Window), shopA)
	return l
}

func teach(t testing.TB, l *Limiter, now time.Time, st ThrottleStatus) {
	t.Helper()
	g, err := l.ProbeAt(now, shopA, 1)
	if err != nil {
		t.Fatal(err)
	}
	g.SettleAt(now, 1, &st)
}

func TestAFreshShopCountsAsAFullSpentWindow(t *testing.T) {
	l := openAt(t, epoch, openDB(t), Options{})
	if l.AllowAt(epoch, shopA, Bulk, 1) {
		t.Error("granted on a state nobody knows")
	}
	if l.AllowAt(at(time.Minute-1), shopA, Bulk, 1) {
		t.Error("granted before the window was over")
	}
	if !l.AllowAt(at(time.Minute), shopA, Bulk, 80) {
		t.Error("not granted after one window")
	}
}

func TestGrantsRecoverExactlyWhenTheWindowExpires(t *testing.T) {
	l := fresh(t, Options{Fixed: true})
	for i := range 80 {
		if !l.AllowAt(at(time.Duration(i)*time.Second/2), shopA, Bulk, 1) {
			t.Fatalf("point %d denied", i)
		}
	}
	for i := range 80 {
		due := at(time.Minute + time.Duration(i)*time.Second/2)
		if l.AllowAt(due.Add(-1), shopA, Bulk, 1) {
			t.Fatalf("point %d came back 1 ns early", i)
		}
		if !l.AllowAt(due, shopA, Bulk, 1) {
			t.Fatalf("point %d did not come back in time", i)
		}
	}
}

func TestSixtyFourGoroutinesAreGrantedExactlyTheBudget(t *testing.T) {
	for _, budget := range []int{80, 1000, 7777} {
		l := fresh(t, Options{Fixed: true, Points: budget})
		var granted atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range budget/16 + 8 {
					if l.AllowAt(epoch, shopA, Bulk, 1) {
						granted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if granted.Load() != int64(budget) {
			t.Errorf("granted %d of %d", granted.Load(), budget)
		}
	}
}

func TestADeniedCallCostsNothing(t *testing.T) {
	l := fresh(t, Options{Fixed: true})
	l.AllowAt(epoch, shopA, Bulk, 70)
	for range 100 {
		if l.AllowAt(epoch, shopA, Bulk, 11) {
			t.Fatal("granted above the budget")
		}
	}
	if !l.AllowAt(epoch, shopA, Bulk, 10) {
		t.Error("the denied calls were charged")
	}
}

func TestCosts(t *testing.T) {
	st := ThrottleStatus{1000, 1000, 50}
	t.Run("above the learned budget are an error at once", func(t *testing.T) {
		l := fresh(t, Options{})
		teach(t, l, epoch, st)
		_, err := l.ReserveAt(epoch, shopA, Bulk, 1001)
		var ce *CostError
		if !errors.Is(err, ErrCostAboveBudget) || !errors.As(err, &ce) || ce.Budget != 1000 {
			t.Errorf("got %v", err)
		}
		if _, err := l.Wait(t.Context(), shopA, Bulk, 1001); !errors.Is(err, ErrCostAboveBudget) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("above a fixed budget are an error at once", func(t *testing.T) {
		l := fresh(t, Options{Fixed: true})
		if _, err := l.ReserveAt(epoch, shopA, Bulk, 81); !errors.Is(err, ErrCostAboveBudget) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("above the default budget wait for an empty window and go alone", func(t *testing.T) {
		l := fresh(t, Options{})
		l.AllowAt(at(10*time.Second), shopA, Bulk, 1)
		g, err := l.ReserveAt(at(20*time.Second), shopA, Bulk, 500)
		if err != nil {
			t.Fatal(err)
		}
		if d := g.DelayFrom(at(20 * time.Second)); d != 50*time.Second {
			t.Errorf("delay %v, want 50s", d)
		}
		if l.AllowAt(at(69*time.Second), shopA, Bulk, 1) {
			t.Error("a small call overtook the large one")
		}
		if d := g.DelayFrom(at(70 * time.Second)); d != 0 {
			t.Errorf("delay %v when due", d)
		}
		if l.AllowAt(at(70*time.Second), shopA, WebhookRefetch, 1) {
			t.Error("did not go alone")
		}
		g.SettleAt(at(71*time.Second), 500, nil)
		if l.AllowAt(at(131*time.Second-1), shopA, WebhookRefetch, 1) || !l.AllowAt(at(131*time.Second), shopA, WebhookRefetch, 1) {
			t.Error("its window did not end 60 s after it was settled")
		}
	})
	t.Run("of a queued call above a budget learned meanwhile fail it", func(t *testing.T) {
		l := fresh(t, Options{})
		l.AllowAt(epoch, shopA, Bulk, 80)
		g, err := l.ReserveAt(epoch, shopA, Bulk, 3000)
		if err != nil {
			t.Fatal(err)
		}
		teach(t, l, at(time.Second), st)
		if g.DelayFrom(at(time.Second)) != 0 || !errors.Is(g.Err(), ErrCostAboveBudget) {
			t.Errorf("err %v", g.Err())
		}
	})
}

func TestReservations(t *testing.T) {
	open := func(t *testing.T) *Limiter {
		l := fresh(t, Options{})
		teach(t, l, epoch, ThrottleStatus{1000, 100, 50})
		return l
	}
	t.Run("tell the exact delay of the bucket", func(t *testing.T) {
		l := open(t)
		g, _ := l.ReserveAt(epoch, shopA, Bulk, 150)
		if d := g.DelayFrom(epoch); d != time.Second {
			t.Errorf("delay %v, want 1s", d)
		}
		if d := g.DelayFrom(at(time.Second - 1)); d != 1 {
			t.Errorf("delay %v, want 1ns", d)
		}
		if d := g.DelayFrom(at(time.Second)); d != 0 {
			t.Errorf("delay %v, want 0", d)
		}
	})
	t.Run("give their points back when cancelled", func(t *testing.T) {
		l := open(t)
		g, _ := l.ReserveAt(epoch, shopA, Bulk, 100)
		g.CancelAt(epoch)
		g.CancelAt(epoch)
		g.SettleAt(epoch, 100, nil)
		if !l.AllowAt(epoch, shopA, Bulk, 100) {
			t.Error("points lost")
		}
	})
	t.Run("are charged when cancelled after they were sent", func(t *testing.T) {
		l := open(t)
		g, _ := l.ReserveAt(epoch, shopA, Bulk, 100)
		g.Sent()
		g.CancelAt(epoch)
		if l.AllowAt(epoch, shopA, Bulk, 1) {
			t.Error("points of a call the shop may have counted came back")
		}
	})
	t.Run("settle to the actual cost", func(t *testing.T) {
		l := open(t)
		g, _ := l.ReserveAt(epoch, shopA, Bulk, 100)
		g.SettleAt(epoch, 40, nil)
		if l.AllowAt(epoch, shopA, Bulk, 61) || !l.AllowAt(epoch, shopA, Bulk, 60) {
			t.Error("refund is not 60")
		}
	})
	t.Run("are charged whole when the answer does not tell", func(t *testing.T) {
		l := open(t)
		g, _ := l.ReserveAt(epoch, shopA, Bulk, 100)
		g.SettleAt(epoch, Unknown, nil)
		if l.AllowAt(epoch, shopA, Bulk, 1) {
			t.Error("refunded a call of unknown cost")
		}
	})
	t.Run("that are forgotten are charged after MaxFlight", func(t *testing.T) {
		l := fresh(t, Options{Fixed: true})
		l.ReserveAt(epoch, shopA, Bulk, 80)
		if l.AllowAt(at(5*time.Minute-1), shopA, Bulk, 1) {
			t.Error("an unsettled call left the window")
		}
		if l.AllowAt(at(5*time.Minute), shopA, Bulk, 1) || l.AllowAt(at(6*time.Minute-1), shopA, Bulk, 1) {
			t.Error("left the window too early")
		}
		if !l.AllowAt(at(6*time.Minute), shopA, Bulk, 1) {
			t.Error("holds its points for ever")
		}
	})
	t.Run("count until one window after they were settled", func(t *testing.T) {
		l := fresh(t, Options{Fixed: true})
		g, _ := l.ReserveAt(epoch, shopA, Bulk, 80)
		g.SettleAt(at(59*time.Second), 80, nil) // the shop may have counted it just now
		if l.AllowAt(at(61*time.Second), shopA, Bulk, 80) {
			t.Error("two budgets within two seconds")
		}
		if !l.AllowAt(at(119*time.Second), shopA, Bulk, 80) {
			t.Error("denied after a whole window")
		}
	})
}

func TestPenalties(t *testing.T) {
	l := fresh(t, Options{Fixed: true})
	g, _ := l.ReserveAt(epoch, shopA, Bulk, 1)
	g.PenaltyAt(epoch, at(2*time.Second))
	g.SettleAt(epoch, 0, nil)
	if l.AllowAt(at(2*time.Second-1), shopA, Bulk, 1) {
		t.Error("granted during the penalty")
	}
	if !l.AllowAt(at(2*time.Second), shopA, Bulk, 1) {
		t.Error("denied after it")
	}
	l.PenaltyAt(at(2*time.Second), shopA, at(24*time.Hour))
	if !l.AllowAt(at(2*time.Second+time.Hour), shopA, Bulk, 1) {
		t.Error("a day's penalty was believed")
	}
}

func TestInstantsThatGoBackStandStill(t *testing.T) {
	l := fresh(t, Options{Fixed: true})
	l.AllowAt(at(time.Second), shopA, Bulk, 80)
	for _, back := range []time.Duration{-24 * time.Hour, -time.Hour, 0, time.Second} {
		if l.AllowAt(at(back), shopA, Bulk, 1) {
			t.Errorf("granted at %v", back)
		}
	}
	if !l.AllowAt(at(61*time.Second), shopA, Bulk, 80) {
		t.Error("did not recover")
	}
}

func TestABudget(t *testing.T) {
	reserve := func(t *testing.T, l *Limiter, d time.Duration, cost int) *Grant {
		g, err := l.ReserveAt(at(d), shopA, Bulk, cost)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	t.Run("follows the shop's numbers, floats too", func(t *testing.T) {
		l := fresh(t, Options{})
		teach(t, l, epoch, ThrottleStatus{4000.0, 3999.5, 200.5})
		if l.AllowAt(epoch, shopA, Bulk, 4000) || !l.AllowAt(epoch, shopA, Bulk, 3999) {
			t.Error("not bounded by currentlyAvailable")
		}
		g := reserve(t, l, time.Second, 50)
		g.SettleAt(at(time.Second), 50, &ThrottleStatus{1000, 20, 50}) // lowered, and somebody else spends
		if l.AllowAt(at(time.Second), shopA, Bulk, 21) || !l.AllowAt(at(time.Second), shopA, Bulk, 20) {
			t.Error("did not follow")
		}
		if _, err := l.ReserveAt(at(2*time.Second), shopA, Bulk, 1001); !errors.Is(err, ErrCostAboveBudget) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("stays when an answer has no numbers or wrong ones", func(t *testing.T) {
		l := fresh(t, Options{})
		teach(t, l, epoch, ThrottleStatus{1000, 1000, 50})
		nan := math.NaN()
		for _, st := range []*ThrottleStatus{nil, {}, {-1, 5, 50}, {1000, 1000, 0}, {nan, nan, nan}, {1e300, 1e300, 1e300}} {
			reserve(t, l, 0, 10).SettleAt(epoch, 10, st)
		}
		if l.AllowAt(epoch, shopA, Bulk, 941) || !l.AllowAt(epoch, shopA, Bulk, 940) {
			t.Error("the bucket is not 1000 - 6 x 10")
		}
	})
	t.Run("counts answers that overtook each other once", func(t *testing.T) {
		l := fresh(t, Options{})
		teach(t, l, epoch, ThrottleStatus{1000, 1000, 50})
		slow, quick := reserve(t, l, 0, 100), reserve(t, l, 0, 100)
		quick.SettleAt(epoch, 100, nil)
		slow.SettleAt(epoch, 100, &ThrottleStatus{1000, 900, 50}) // taken before the quick one
		if l.AllowAt(epoch, shopA, Bulk, 801) || !l.AllowAt(epoch, shopA, Bulk, 800) {
			t.Error("believed an answer that did not know of the other call")
		}
	})
	t.Run("is not trusted by more than one call when it is old", func(t *testing.T) {
		l := fresh(t, Options{})
		teach(t, l, epoch, ThrottleStatus{1000, 1000, 50})
		now := 11 * time.Second
		g := reserve(t, l, now, 10)
		if g.DelayFrom(at(now)) != 0 {
			t.Fatal("no call at all")
		}
		h := reserve(t, l, now, 10)
		if d := h.DelayFrom(at(now)); d != 10*time.Second {
			t.Errorf("second call after %v", d)
		}
		g.SettleAt(at(now+time.Second), 10, &ThrottleStatus{1000, 3, 50}) // the other client was busy
		if d := h.DelayFrom(at(now + time.Second)); d != 140*time.Millisecond {
			t.Errorf("second call after %v, want 140ms", d)
		}
	})
	t.Run("that was lowered leaves the window what it held", func(t *testing.T) {
		l := fresh(t, Options{})
		teach(t, l, epoch, ThrottleStatus{4000, 4000, 200})
		reserve(t, l, 0, 4000).SettleAt(epoch, 4000, nil)
		reserve(t, l, 20*time.Second, 4000).SettleAt(at(20*time.Second), 4000, &ThrottleStatus{1000, 500, 50})
		if !l.AllowAt(at(20*time.Second), shopA, Bulk, 500) {
			t.Error("the shop has 500 points and we stand still")
		}
	})
	t.Run("that was learnt is on disk before the next lease", func(t *testing.T) {
		db, m := openDB(t), &machine{boot: "one"}
		l := openAt(t, epoch, db, Options{Uptime: m.uptime})
		g, err := l.ProbeAt(epoch, shopA, 1)
		if err != nil {
			t.Fatal(err)
		}
		l.settled()
		g.SettleAt(epoch, 1, &ThrottleStatus{1000, 999, 50})
		l.settled()
		l.crash()
		l = openAt(t, epoch, db, Options{Uptime: m.uptime})
		if s, _ := l.SnapshotAt(epoch, shopA); s.Mode != "adaptive" {
			t.Errorf("%+v", s)
		}
	})
}

func TestLearntCosts(t *testing.T) {
	l := fresh(t, Options{})
	for _, step := range []struct {
		ask   int
		times int
		want  int
	}{{100, 1, 100}, {80, 7, 100}, {167, 1, 167}, {90, 3, 167}, {95, 1, 167}, {60, 4, 95}} {
		for range step.times {
			if err := l.Learn("products/250", step.ask); err != nil {
				t.Fatal(err)
			}
		}
		if got := l.Bound("products/250", 1); got != step.want {
			t.Errorf("after %d x %d: bound %d, want %d", step.times, step.ask, got, step.want)
		}
	}
	if l.Bound("unknown", 42) != 42 {
		t.Error("the computed bound is not used")
	}
}
