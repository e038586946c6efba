package limiter

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs f with a limiter whose shop has an empty fixed window, under a
// clock of its own.
func bubble(t *testing.T, o Options, f func(t *testing.T, l *Limiter)) {
	t.Helper()
	db := openDB(t)
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(db, o)
		if err != nil {
			t.Fatal(err)
		}
		l.Snapshot(shopA)
		time.Sleep(l.opts.Window)
		f(t, l)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func spendAll(t *testing.T, l *Limiter, n int) {
	t.Helper()
	if !l.Allow(shopA, Bulk, n) {
		t.Fatal("window not empty")
	}
}

func TestWait(t *testing.T) {
	fixed := Options{Fixed: true}
	ctx := context.Background()
	t.Run("returns at the exact instant of the grant", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l, 80)
			time.Sleep(40 * time.Second)
			start := time.Now()
			g, err := l.Wait(ctx, shopA, Bulk, 1)
			if err != nil || time.Since(start) != 20*time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			g.Settle(1, nil)
		})
	})
	t.Run("tells at once that the bound will not do, and when to come back", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l, 80)
			start := time.Now()
			_, err := l.Wait(ctx, shopA, Bulk, 1)
			var we *WaitError
			if !errors.As(err, &we) || time.Since(start) != 0 || we.Next.Sub(start) != time.Minute {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			time.Sleep(time.Until(we.Next))
			if !l.Allow(shopA, Bulk, 80) {
				t.Error("nothing there at the instant it named")
			}
		})
	})
	t.Run("gives up after 31 s when only an answer could tell", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			g, _ := l.Reserve(shopA, Bulk, 80)
			start := time.Now()
			_, err := l.Wait(ctx, shopA, Bulk, 1)
			var we *WaitError
			if !errors.As(err, &we) || time.Since(start) != 31*time.Second || !we.Next.After(time.Now()) {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			g.Settle(80, nil)
		})
	})
	t.Run("is woken by a refund", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			g, _ := l.Reserve(shopA, Bulk, 80)
			time.AfterFunc(3*time.Second, func() { g.Settle(10, nil) })
			start := time.Now()
			h, err := l.Wait(ctx, shopA, Bulk, 70)
			if err != nil || time.Since(start) != 3*time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			h.Cancel()
		})
	})
	t.Run("honours the deadline and spends nothing", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l, 80)
			time.Sleep(50 * time.Second)
			short, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			start := time.Now()
			_, err := l.Wait(short, shopA, Bulk, 80)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			time.Sleep(10 * time.Second)
			spendAll(t, l, 80)
		})
	})
	t.Run("honours cancellation and spends nothing", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l, 80)
			time.Sleep(50 * time.Second)
			gone, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			if _, err := l.Wait(gone, shopA, Bulk, 80); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			time.Sleep(9 * time.Second)
			spendAll(t, l, 80)
		})
	})
	t.Run("ends with ErrClosed when the limiter closes", func(t *testing.T) {
		db := openDB(t)
		synctest.Test(t, func(t *testing.T) {
			l, _ := Open(db, fixed)
			l.Snapshot(shopA)
			time.Sleep(50 * time.Second)
			done := make(chan error)
			go func() { _, err := l.Wait(ctx, shopA, Bulk, 1); done <- err }()
			synctest.Wait()
			l.Close()
			if err := <-done; !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			if _, err := l.Wait(ctx, shopA, Bulk, 1); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
	})
	t.Run("wakes everybody whose points are there", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l, 80)
			time.Sleep(30 * time.Second)
			start := time.Now()
			var wg sync.WaitGroup
			for range 80 {
				wg.Go(func() {
					g, err := l.Wait(ctx, shopA, Reconcile, 1)
					if err != nil || time.Since(start) != 30*time.Second {
						t.Errorf("%v after %v", err, time.Since(start))
						return
					}
					g.Settle(1, nil)
				})
			}
			wg.Wait()
		})
	})
}

func TestAProbeTeachesTheBudgetAndWakesTheQueue(t *testing.T) {
	db := openDB(t)
	synctest.Test(t, func(t *testing.T) {
		l, _ := Open(db, Options{})
		defer l.Close()
		if !l.NeedsProbe(shopA) {
			t.Fatal("no probe wanted for a new shop")
		}
		p, err := l.Probe(shopA, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Probe(shopA, 1); !errors.Is(err, ErrNoProbe) {
			t.Errorf("second probe: %v", err)
		}
		time.AfterFunc(300*time.Millisecond, func() { p.Settle(1, &ThrottleStatus{4000.0, 3999.0, 200.0}) })
		start := time.Now()
		g, err := l.Wait(context.Background(), shopA, Bulk, 1000)
		if err != nil || time.Since(start) != 300*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		g.Settle(167, nil)
		if s, _ := l.Snapshot(shopA); s.Mode != "adaptive" || s.Budget != 16000 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAQueueOfOneClassIsServedInOrder(t *testing.T) {
	l := fresh(t, Options{Fixed: true})
	l.AllowAt(epoch, shopA, Bulk, 80)
	var gs []*Grant
	for i := range 10 {
		g, err := l.ReserveAt(at(time.Second), shopA, Bulk, 1+(i*7)%20)
		if err != nil {
			t.Fatal(err)
		}
		gs = append(gs, g)
	}
	now := at(time.Minute)
	for i := 0; i < len(gs); {
		if d := gs[i].DelayFrom(now); d > 0 {
			for _, later := range gs[i:] {
				if later.DelayFrom(now) == 0 {
					t.Fatal("overtaken")
				}
			}
			now = now.Add(d)
			continue
		}
		gs[i].SettleAt(now, gs[i].Cost(), nil)
		i++
	}
}

// The documented shares: 6/10, 3/10 and 1/10 while all wait; what one leaves
// is shared by the others in the ratio of their weights.
func TestClassesShareTheirPointsByWeight(t *testing.T) {
	cases := []struct {
		name    string
		waiting []Class
		want    [3]float64
	}{
		{"all three", []Class{Bulk, Reconcile, WebhookRefetch}, [3]float64{0.6, 0.3, 0.1}},
		{"reconcile and bulk", []Class{Bulk, Reconcile}, [3]float64{0, 0.75, 0.25}},
		{"webhook refetch and bulk", []Class{Bulk, WebhookRefetch}, [3]float64{6.0 / 7, 0, 1.0 / 7}},
		{"bulk alone", []Class{Bulk}, [3]float64{0, 0, 1}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			l := fresh(t, Options{})
			teach(t, l, epoch, ThrottleStatus{2000, 0, 100})
			now, total := epoch, 0.0
			var got [3]float64
			queue := map[Class]*Grant{}
			for total < 100_000 {
				var first *Grant
				for _, c := range tc.waiting {
					if queue[c] == nil {
						queue[c], _ = l.ReserveAt(now, shopA, c, 10+int(total)%37*int(c+1))
					}
					first = queue[c]
				}
				d := first.DelayFrom(now)
				for _, c := range tc.waiting {
					select {
					case <-queue[c].Ready():
						got[c] += float64(queue[c].Cost())
						total += float64(queue[c].Cost())
						queue[c].SettleAt(now, queue[c].Cost(), nil)
						queue[c] = nil
					default:
					}
				}
				now = now.Add(max(d, 1))
			}
			for c := range got {
				if share := got[c] / total; share < tc.want[c]-0.01 || share > tc.want[c]+0.01 {
					t.Errorf("%v got %.3f of the points, want %.3f", Class(c), share, tc.want[c])
				}
			}
		})
	}
}

func TestAHigherClassDoesNotWaitBehindALongQueueOfALowerOne(t *testing.T) {
	l := fresh(t, Options{})
	teach(t, l, epoch, ThrottleStatus{2000, 0, 100})
	for range 1000 {
		l.ReserveAt(epoch, shopA, Bulk, 100)
	}
	g, _ := l.ReserveAt(epoch, shopA, WebhookRefetch, 50)
	if d := g.DelayFrom(epoch); d != 500*time.Millisecond {
		t.Errorf("waits %v", d)
	}
}

func TestAnIdleClassCannotSaveUpItsShare(t *testing.T) {
	l := fresh(t, Options{})
	teach(t, l, epoch, ThrottleStatus{2000, 0, 100})
	now := epoch
	var bulk, late []*Grant
	for range 40 {
		g, _ := l.ReserveAt(now, shopA, Bulk, 100)
		bulk = append(bulk, g)
	}
	settle := func(gs []*Grant) (n int) {
		for _, g := range gs {
			if g.DelayFrom(now) == 0 {
				g.SettleAt(now, g.Cost(), nil)
				n++
			}
		}
		return n
	}
	for range 20 {
		now = now.Add(time.Second)
		settle(bulk)
	}
	for range 40 { // comes now, with nothing served so far
		g, _ := l.ReserveAt(now, shopA, Reconcile, 100)
		late = append(late, g)
	}
	for range 8 {
		now = now.Add(time.Second)
		settle(late)
		settle(bulk)
	}
	waiting := 0
	for _, g := range late {
		if g.DelayFrom(now) > 0 {
			waiting++
		}
	}
	if got := 40 - waiting; got < 5 || got > 7 {
		t.Errorf("%d of 8 calls were its own, want 6", got)
	}
}
