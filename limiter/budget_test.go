package limiter

import (
	"errors"
	"math"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

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
		if got := l.Bound("products/250", 50); got != step.want {
			t.Errorf("after %d x %d: bound %d, want %d", step.times, step.ask, got, step.want)
		}
	}
	if err := l.Learn("products/250", 2_000_000); err != nil || l.Bound("products/250", 50) != 500 {
		t.Errorf("one wrong number makes a query cost %d, %v", l.Bound("products/250", 50), err)
	}
	if l.Bound("unknown", 42) != 42 {
		t.Error("the computed bound is not used")
	}
}

// TestWhatTheShopSaysIsBelievedWithinReason: one wrong number must not keep us away
// for longer than minutes, also after a restart and with what an earlier version
// believed.
func TestWhatTheShopSaysIsBelievedWithinReason(t *testing.T) {
	most := 30 * time.Minute
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
			db, m := openDB(t), &machine{boot: "one"}
			o := Options{Uptime: m.uptime, MaxPenalty: 15 * time.Minute}
			l := openAt(t, epoch, db, o)
			first, err1 := l.ReserveAt(at(2*time.Minute), shopA, Bulk, 20)
			g, err2 := l.ReserveAt(at(2*time.Minute), shopA, Bulk, 20)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			first.SettleAt(at(2*time.Minute), 20, &ThrottleStatus{1000, 900, 50})
			g.SettleAt(at(2*time.Minute), tt.actual, tt.status)
			if tt.until > 0 {
				g.PenaltyAt(at(2*time.Minute), at(tt.until))
			}
			l.settled()
			if !l.AllowAt(at(most), shopA, Bulk, 50) {
				t.Error("no call goes out")
			}
		})
	}
	old := record{window: int64(time.Minute), known: true, size: nano, rate: 1, penaltyLeft: int64(24 * time.Hour), heldLeft: int64(24 * time.Hour)}
	db := openDB(t)
	if err := db.Update(func(tx *bolt.Tx) error {
		if err := Buckets(tx); err != nil {
			return err
		}
		return tx.Bucket(rootBucket).Bucket(shopsBucket).Put([]byte(shopA), old.encode())
	}); err != nil {
		t.Fatal(err)
	}
	l := openAt(t, epoch, db, Options{Uptime: (&machine{}).uptime, MaxPenalty: 15 * time.Minute})
	if s, _ := l.SnapshotAt(epoch, shopA); !s.Penalty.Equal(at(15*time.Minute)) || s.Mode != "default" {
		t.Errorf("of an earlier version it believes %+v", s)
	}
}
