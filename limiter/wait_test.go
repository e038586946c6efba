package limiter

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func spendAll(t *testing.T, l *Limiter) {
	t.Helper()
	if !spend(l, Bulk, 80) {
		t.Fatal("window not empty")
	}
}

// A call counts once, whatever of it happens: it waits, gets nothing, is throttled.
func TestACallThatIsHeldBackIsCountedOnce(t *testing.T) {
	held := map[string]int{}
	o := Options{Fixed: true, MaxWait: 2 * time.Minute, OnLimited: func(shop string) { held[shop]++ }}
	bubble(t, o, func(t *testing.T, l *Limiter) {
		step := func(what string, want int) {
			t.Helper()
			if held[shopA] != want {
				t.Errorf("%s: %d calls are counted, want %d", what, held[shopA], want)
			}
		}
		ctx := t.Context()
		g, err := l.Wait(ctx, shopA, Bulk, 80)
		if err != nil {
			t.Fatal(err)
		}
		g.SettleAt(time.Now(), 80, nil)
		step("one that went out at once", 0)
		if g, err = l.Wait(ctx, shopA, Bulk, 80); err != nil {
			t.Fatal(err)
		}
		step("one that waited", 1)
		g.PenaltyAt(time.Now(), time.Now().Add(time.Minute))
		g.SettleAt(time.Now(), 0, nil)
		step("the same, throttled as well", 1)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := l.Wait(short, shopA, Bulk, 1); err == nil {
			t.Error("a call was let go inside a penalty")
		}
		step("one that gave up", 2)
		if _, err := l.Wait(ctx, shopA, Bulk, 81); err == nil {
			t.Error("a call larger than the budget was let go")
		}
		step("one that is too dear", 3)
	})
}

// goneAfter is a context that is found ended after so many looks, and wakes nobody
// by it: the grant comes first.
type goneAfter struct {
	context.Context
	asks int
}

func (g *goneAfter) Err() error {
	if g.asks--; g.asks < 0 {
		return context.Canceled
	}
	return nil
}

func TestWait(t *testing.T) {
	fixed := Options{Fixed: true}
	ctx := context.Background()
	t.Run("returns at the exact instant of the grant", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l)
			time.Sleep(40 * time.Second)
			start := time.Now()
			g, err := l.Wait(ctx, shopA, Bulk, 1)
			if err != nil || time.Since(start) != 20*time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			g.SettleAt(time.Now(), 1, nil)
		})
	})
	t.Run("tells at once that the bound will not do, and when to come back", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l)
			start := time.Now()
			_, err := l.Wait(ctx, shopA, Bulk, 1)
			var we *WaitError
			if !errors.As(err, &we) || time.Since(start) != 0 || we.Next.Sub(start) != time.Minute {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			time.Sleep(time.Until(we.Next))
			if !spend(l, Bulk, 80) {
				t.Error("nothing there at the instant it named")
			}
		})
	})
	t.Run("counts on what the calls ahead of it will take", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spend(l, Bulk, 40)
			until(20 * time.Second)
			spend(l, Bulk, 40)
			until(45 * time.Second)
			ahead := ask(l, shopA, Bulk, 40) // takes at 60 s all that comes back then
			_, err := l.Wait(ctx, shopA, Bulk, 1)
			var we *WaitError
			if !errors.As(err, &we) || !time.Now().Equal(at(45*time.Second)) || !we.Next.Equal(at(80*time.Second)) {
				t.Errorf("%v at %v", err, time.Since(epoch))
			}
			<-ahead.done
			if ahead.err != nil || !ahead.at.Equal(at(time.Minute)) {
				t.Errorf("the call ahead: %v at %v", ahead.err, ahead.at)
			}
		})
	})
	t.Run("holds nothing after an error, when its turn came as its time was up", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			for range 50 {
				spendAll(t, l)
				time.Sleep(50 * time.Second)
				short, cancel := context.WithTimeout(ctx, 10*time.Second)
				g, err := l.Wait(short, shopA, Bulk, 80)
				cancel()
				if err == nil {
					g.Cancel()
				}
				if snap, _ := l.Snapshot(shopA); snap.Used != 0 {
					t.Fatalf("%d points held after %v", snap.Used, err)
				}
			}
		})
	})
	t.Run("gives up after 31 s when only an answer could tell", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			g := grab(t, l, Bulk, 80)
			start := time.Now()
			_, err := l.Wait(ctx, shopA, Bulk, 1)
			var we *WaitError
			if !errors.As(err, &we) || time.Since(start) != 31*time.Second || !we.Next.After(time.Now()) {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			g.SettleAt(time.Now(), 80, nil)
		})
	})
	t.Run("is woken by a refund", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			g := grab(t, l, Bulk, 80)
			time.AfterFunc(3*time.Second, func() { g.SettleAt(time.Now(), 10, nil) })
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
			spendAll(t, l)
			time.Sleep(50 * time.Second)
			short, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			start := time.Now()
			_, err := l.Wait(short, shopA, Bulk, 80)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			time.Sleep(10 * time.Second)
			spendAll(t, l)
		})
	})
	t.Run("honours cancellation and spends nothing", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l)
			time.Sleep(50 * time.Second)
			gone, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			if _, err := l.Wait(gone, shopA, Bulk, 80); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			time.Sleep(9 * time.Second)
			spendAll(t, l)
		})
	})
	t.Run("gives a grant back that comes when its caller is gone", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l)
			time.Sleep(50 * time.Second)
			if _, err := l.Wait(&goneAfter{Context: ctx, asks: 1}, shopA, Bulk, 80); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			spendAll(t, l)
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
			spendAll(t, l)
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
					g.SettleAt(time.Now(), 1, nil)
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
		time.AfterFunc(300*time.Millisecond, func() { p.SettleAt(time.Now(), 1, &ThrottleStatus{4000.0, 3999.0, 200.0}) })
		start := time.Now()
		g, err := l.Wait(context.Background(), shopA, Bulk, 1000)
		if err != nil || time.Since(start) != 300*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		g.SettleAt(time.Now(), 167, nil)
		if s, _ := l.Snapshot(shopA); s.Mode != "adaptive" || s.Budget != 16000 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAQueueOfOneClassIsServedInOrder(t *testing.T) {
	bubble(t, Options{Fixed: true, MaxWait: time.Hour}, func(t *testing.T, l *Limiter) {
		for i := range 80 { // so that they come back one by one
			until(time.Duration(i) * time.Millisecond)
			spend(l, Bulk, 1)
		}
		until(time.Second)
		var calls []*call
		for i := range 10 {
			calls = append(calls, ask(l, shopA, Bulk, 1+(i*7)%20))
		}
		for i, c := range calls {
			<-c.done
			if c.err != nil {
				t.Fatal(c.err)
			}
			for _, later := range calls[i+1:] {
				if later.over() {
					t.Fatal("overtaken")
				}
			}
			c.grant.SettleAt(time.Now(), Unknown, nil)
		}
	})
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
			bubble(t, Options{MaxWait: time.Hour}, func(t *testing.T, l *Limiter) {
				teach(t, l, ThrottleStatus{2000, 0, 100})
				ctx, stop := context.WithCancel(context.Background())
				defer stop()
				var mu sync.Mutex
				total, got := 0, [3]int{}
				var wg sync.WaitGroup
				for _, class := range tc.waiting { // each always wants one more
					wg.Go(func() {
						mu.Lock()
						defer mu.Unlock()
						for total < 100_000 {
							cost := 10 + total%37*int(class+1)
							mu.Unlock()
							g, err := l.Wait(ctx, shopA, class, cost)
							if err == nil {
								g.SettleAt(time.Now(), cost, nil)
							}
							mu.Lock()
							if err == nil {
								total, got[class] = total+cost, got[class]+cost
							}
						}
						stop()
					})
				}
				wg.Wait()
				for c := range got {
					if share := float64(got[c]) / float64(total); share < tc.want[c]-0.01 || share > tc.want[c]+0.01 {
						t.Errorf("%v got %.3f of the points, want %.3f", Class(c), share, tc.want[c])
					}
				}
			})
		})
	}
}

func TestAHigherClassDoesNotWaitBehindALongQueueOfALowerOne(t *testing.T) {
	bubble(t, Options{MaxWait: time.Hour}, func(t *testing.T, l *Limiter) {
		teach(t, l, ThrottleStatus{2000, 0, 100})
		for range 1000 {
			ask(l, shopA, Bulk, 100)
		}
		c := ask(l, shopA, WebhookRefetch, 50)
		<-c.done
		if d := c.at.Sub(epoch); d != 500*time.Millisecond || c.err != nil {
			t.Errorf("waits %v: %v", d, c.err)
		}
	})
}

func TestAnIdleClassCannotSaveUpItsShare(t *testing.T) {
	bubble(t, Options{MaxWait: time.Hour}, func(t *testing.T, l *Limiter) {
		teach(t, l, ThrottleStatus{2000, 0, 100})
		var served [classes]atomic.Int64
		forty := func(class Class) {
			for range 40 {
				go func() {
					if g, err := l.Wait(context.Background(), shopA, class, 100); err == nil {
						served[class].Add(1)
						g.SettleAt(time.Now(), 100, nil)
					}
				}()
			}
			synctest.Wait()
		}
		forty(Bulk)
		until(20*time.Second + 1)
		if n := served[Bulk].Load(); n != 20 {
			t.Errorf("%d calls in 20 s, want 20", n)
		}
		forty(Reconcile) // comes now, with nothing served so far
		until(28*time.Second + 1)
		if n := served[Reconcile].Load(); n < 5 || n > 7 {
			t.Errorf("%d of 8 calls were its own, want 6", n)
		}
	})
}
