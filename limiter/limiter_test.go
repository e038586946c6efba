package limiter

import (
	"errors"
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
