package limiter

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestABudget(t *testing.T) {
	learnt := func(st ThrottleStatus, f func(t *testing.T, l *Limiter)) func(t *testing.T) {
		return func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, l *Limiter) { teach(t, l, st); f(t, l) })
		}
	}
	floats, full := ThrottleStatus{4000.0, 3999.5, 200.5}, ThrottleStatus{1000, 1000, 50}
	t.Run("follows the shop's numbers, floats too", learnt(floats, func(t *testing.T, l *Limiter) {
		if !only(l, Bulk, 3999) {
			t.Error("not bounded by currentlyAvailable")
		}
		until(time.Second)
		// lowered, and somebody else spends
		grab(t, l, Bulk, 50).Settle(Answer{Actual: 50, Status: &ThrottleStatus{1000, 20, 50}})
		if !only(l, Bulk, 20) {
			t.Error("did not follow")
		}
		until(2 * time.Second)
		if _, err := l.Acquire(t.Context(), Call{Shop: shopA, Class: Bulk, Cost: 1001}); !tooDear(err) {
			t.Errorf("got %v", err)
		}
	}))
	t.Run("stays when an answer has no numbers or wrong ones", learnt(full, func(t *testing.T, l *Limiter) {
		nan := math.NaN()
		for _, st := range []*ThrottleStatus{nil, {}, {-1, 5, 50}, {1000, 1000, 0}, {nan, nan, nan}, {1e300, 1e300, 1e300}} {
			grab(t, l, Bulk, 10).Settle(Answer{Actual: 10, Status: st})
		}
		if !only(l, Bulk, 940) {
			t.Error("the bucket is not 1000 - 6 x 10")
		}
	}))
	t.Run("counts answers that overtook each other once", learnt(full, func(t *testing.T, l *Limiter) {
		slow, quick := grab(t, l, Bulk, 100), grab(t, l, Bulk, 100)
		quick.Settle(Answer{Actual: 100})
		slow.Settle(Answer{Actual: 100, Status: &ThrottleStatus{1000, 900, 50}}) // taken before the quick one
		if !only(l, Bulk, 800) {
			t.Error("believed an answer that did not know of the other call")
		}
	}))
	t.Run("is not trusted by more than one call when it is old", learnt(full, func(t *testing.T, l *Limiter) {
		until(11 * time.Second)
		grab(t, l, Bulk, 10)
		c := ask(l, shopA, Bulk, 10)
		until(21*time.Second - 1)
		if c.over() {
			t.Errorf("second call at %v", c.at)
		}
		until(21 * time.Second)
		if !c.over() || c.err != nil {
			t.Errorf("no second call after StaleAfter: %v", c.err)
		}
	}))
	t.Run("that an answer brought up to date is trusted again", learnt(full, func(t *testing.T, l *Limiter) {
		until(11 * time.Second)
		g := grab(t, l, Bulk, 10)
		c := ask(l, shopA, Bulk, 10)
		until(12 * time.Second)
		g.Settle(Answer{Actual: 10, Status: &ThrottleStatus{1000, 3, 50}}) // the other client was busy
		<-c.done
		if d := c.at.Sub(at(12 * time.Second)); d != 140*time.Millisecond || c.err != nil {
			t.Errorf("second call after %v (%v), want 140ms", d, c.err)
		}
	}))
	more := ThrottleStatus{4000, 4000, 200}
	t.Run("that was lowered leaves the window what it held", learnt(more, func(t *testing.T, l *Limiter) {
		grab(t, l, Bulk, 4000).Settle(Answer{Actual: 4000})
		until(20 * time.Second)
		grab(t, l, Bulk, 4000).Settle(Answer{Actual: 4000, Status: &ThrottleStatus{1000, 500, 50}})
		if !spend(l, Bulk, 500) {
			t.Error("the shop has 500 points and we stand still")
		}
	}))
	t.Run("that was learnt is on disk before the next lease", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db, m := openDB(t), newMachine()
			l := openLimiter(t, db, Options{Uptime: m.uptime})
			g, err := probe(l)
			if err != nil {
				t.Fatal(err)
			}
			l.settled()
			g.Settle(Answer{Actual: 1, Status: &ThrottleStatus{1000, 999, 50}})
			l.settled()
			l.crash()
			l = openLimiter(t, db, Options{Uptime: m.uptime})
			if s, _ := l.Snapshot(shopA); s.Mode != "adaptive" {
				t.Errorf("%+v", s)
			}
		})
	})
}

func TestLearntCosts(t *testing.T) {
	l := openLimiter(t, openDB(t), Options{})
	for _, step := range []struct {
		ask   int
		times int
		want  int
	}{{100, 1, 100}, {80, 7, 100}, {167, 1, 167}, {90, 3, 167}, {95, 1, 167}, {60, 4, 95}} {
		for range step.times {
			l.ask("products/250", step.ask)
		}
		if got := l.Bound("products/250", 50); got != step.want {
			t.Errorf("after %d x %d: bound %d, want %d", step.times, step.ask, got, step.want)
		}
	}
	if l.ask("products/250", 2_000_000); l.Bound("products/250", 50) != 500 {
		t.Errorf("one wrong number makes a query cost %d", l.Bound("products/250", 50))
	}
	if l.Bound("unknown", 42) != 42 {
		t.Error("the computed bound is not used")
	}
}

// TestWhatTheShopSaysIsBelievedWithinReason: one wrong number must not keep us away
// for longer than minutes, also after a restart and with what an earlier version
// believed.
func TestWhatTheShopSaysIsBelievedWithinReason(t *testing.T) {
	const most = 28 * time.Minute
	for _, tt := range []struct {
		name   string
		actual int
		status *ThrottleStatus
		until  time.Duration // of a penalty
	}{
		{"a bucket that never fills", 1, &ThrottleStatus{1_000_000, 0, 1}, 0},
		{"a rate of nearly nothing", 1, &ThrottleStatus{1000, 0, 0.001}, 0},
		{"a bucket of a point", 1, &ThrottleStatus{1, 1, 50}, 0},
		{"points far below zero", 1, &ThrottleStatus{1000, -1_000_000, 50}, 0},
		{"a cost of very much", 2_000_000_000, nil, 0},
		{"a wait of years", 1, nil, 99999999 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{MaxPenalty: 15 * time.Minute}, func(t *testing.T, l *Limiter) {
				first, g := grab(t, l, Bulk, 20), grab(t, l, Bulk, 20)
				first.Settle(Answer{Actual: 20, Status: &ThrottleStatus{1000, 900, 50}})
				a := Answer{Actual: tt.actual, Status: tt.status}
				if tt.until > 0 {
					a.Until = at(tt.until)
				}
				g.Settle(a)
				until(most)
				if !spend(l, Bulk, 50) {
					t.Error("no call goes out")
				}
			})
		})
	}
	old := record{window: int64(time.Minute), known: true, size: nano, rate: 1, penaltyLeft: int64(24 * time.Hour), heldLeft: int64(24 * time.Hour)}
	synctest.Test(t, func(t *testing.T) {
		db := openDB(t)
		if err := db.Update(func(tx *bolt.Tx) error {
			if err := Buckets(tx); err != nil {
				return err
			}
			return tx.Bucket(rootBucket).Bucket(shopsBucket).Put([]byte(shopA), old.encode(shopA))
		}); err != nil {
			t.Fatal(err)
		}
		l := openLimiter(t, db, Options{Uptime: newMachine().uptime, MaxPenalty: 15 * time.Minute})
		now := time.Now()
		if s, _ := l.Snapshot(shopA); !s.Penalty.Equal(now.Add(15*time.Minute)) || s.Mode != "default" {
			t.Errorf("of an earlier version it believes %+v", s)
		}
	})
}
