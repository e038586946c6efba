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
		g, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 80})
		if err != nil {
			t.Fatal(err)
		}
		g.Settle(Answer{Actual: 80})
		step("one that went out at once", 0)
		if g, err = l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 80}); err != nil {
			t.Fatal(err)
		}
		step("one that waited", 1)
		g.Settle(Answer{Until: time.Now().Add(time.Minute)})
		step("the same, throttled as well", 1)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := l.Acquire(short, Call{Shop: shopA, Class: Bulk, Cost: 1}); err == nil {
			t.Error("a call was let go inside a penalty")
		}
		step("one that gave up", 2)
		if _, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 81}); err == nil {
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
			g, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 1})
			if err != nil || time.Since(start) != 20*time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			g.Settle(Answer{Actual: 1})
		})
	})
	t.Run("tells at once that the bound will not do, and when to come back", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l)
			start := time.Now()
			_, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 1})
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
			_, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 1})
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
				g, err := l.Acquire(short, Call{Shop: shopA, Class: Bulk, Cost: 80})
				cancel()
				if err == nil {
					g.Settle(Answer{Actual: Unsent})
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
			_, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 1})
			var we *WaitError
			if !errors.As(err, &we) || time.Since(start) != 31*time.Second || !we.Next.After(time.Now()) {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			g.Settle(Answer{Actual: 80})
		})
	})
	t.Run("is woken by a refund", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			g := grab(t, l, Bulk, 80)
			time.AfterFunc(3*time.Second, func() { g.Settle(Answer{Actual: 10}) })
			start := time.Now()
			h, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 70})
			if err != nil || time.Since(start) != 3*time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			h.Settle(Answer{Actual: Unsent})
		})
	})
	t.Run("honours the deadline and spends nothing", func(t *testing.T) {
		bubble(t, fixed, func(t *testing.T, l *Limiter) {
			spendAll(t, l)
			time.Sleep(50 * time.Second)
			short, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			start := time.Now()
			_, err := l.Acquire(short, Call{Shop: shopA, Class: Bulk, Cost: 80})
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
			if _, err := l.Acquire(gone, Call{Shop: shopA, Class: Bulk, Cost: 80}); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
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
			if _, err := l.Acquire(&goneAfter{Context: ctx, asks: 1}, Call{Shop: shopA, Class: Bulk, Cost: 80}); !errors.Is(err, context.Canceled) {
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
			go func() { _, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 1}); done <- err }()
			synctest.Wait()
			l.Close()
			if err := <-done; !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			if _, err := l.Acquire(ctx, Call{Shop: shopA, Class: Bulk, Cost: 1}); !errors.Is(err, ErrClosed) {
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
					g, err := l.Acquire(ctx, Call{Shop: shopA, Class: Reconcile, Cost: 1})
					if err != nil || time.Since(start) != 30*time.Second {
						t.Errorf("%v after %v", err, time.Since(start))
						return
					}
					g.Settle(Answer{Actual: 1})
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
		p, err := probe(l)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := probe(l); err == nil {
			t.Error("a second probe went out beside the first")
		}
		time.AfterFunc(300*time.Millisecond, func() { p.Settle(Answer{Actual: 1, Status: &ThrottleStatus{4000.0, 3999.0, 200.0}}) })
		start := time.Now()
		g, err := l.Acquire(context.Background(), Call{Shop: shopA, Class: Bulk, Cost: 1000})
		if err != nil || time.Since(start) != 300*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		g.Settle(Answer{Actual: 167})
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
			c.grant.Settle(Answer{Actual: Unknown})
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
							g, err := l.Acquire(ctx, Call{Shop: shopA, Class: class, Cost: cost})
							if err == nil {
								g.Settle(Answer{Actual: cost})
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
					if g, err := l.Acquire(context.Background(), Call{Shop: shopA, Class: class, Cost: 100}); err == nil {
						served[class].Add(1)
						g.Settle(Answer{Actual: 100})
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

// Calls that come while a probe is under way wait for what it teaches. When it taught
// nothing and cost nothing, the next of them gets another, and so on.
func TestEachOfThoseWhoWaitGetsTheProbeThatCostNothing(t *testing.T) {
	held := 0
	synctest.Test(t, func(t *testing.T) {
		l := openLimiter(t, openDB(t), Options{OnLimited: func(string) { held++ }})
		var calls []*call
		for range 3 {
			calls = append(calls, ask(l, shopA, Bulk, 1000))
		}
		for i, c := range calls {
			if !c.over() || c.err != nil || !c.grant.Probe || c.grant.Cost != ProbePoints {
				t.Fatalf("call %d has no probe: %+v, %v", i, c.grant, c.err)
			}
			if i+1 < len(calls) && calls[i+1].over() {
				t.Fatal("two probes at once")
			}
			time.Sleep(time.Second)
			c.grant.Settle(Answer{Actual: Unsent})
		}
		if snap, _ := l.Snapshot(shopA); snap.Used != 80 || held != 0 {
			t.Errorf("%d points count, %d calls count as held back", snap.Used, held)
		}
		if _, err := probe(l); err != nil {
			t.Error("the last one's probe is lost:", err)
		}
	})
}

// A probe that was noted for a call whose caller left is the next caller's.
func TestAProbeOfACallerThatLeftIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &hooked{DB: openDB(t)}
		l := openLimiter(t, db, Options{})
		l.Snapshot(shopA)
		l.settled()
		next := make(chan struct{})
		hold := func() { <-next }
		db.before.Store(&hold)
		if _, err := ask(l, shopA, Bulk, 1).now(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		db.before.Store(nil)
		close(next)
		l.settled()
		if s := l.shops[shopA]; s.due || s.probed != never {
			t.Errorf("its probe still counts: due %v, at %d", s.due, s.probed)
		}
		if _, err := probe(l); err != nil {
			t.Error(err)
		}
	})
}
