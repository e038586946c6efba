package limiter

import (
	"context"
	"errors"
	"fmt"
	"stockroom/internal/uptime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// hooked is a store that calls a function before each write.
type hooked struct {
	*bolt.DB
	before atomic.Pointer[func()]
}

func (h *hooked) Update(fn func(*bolt.Tx) error) error {
	if f := h.before.Load(); f != nil {
		(*f)()
	}
	return h.DB.Update(fn)
}

func budgetNow(l *Limiter) int {
	s, _ := l.Snapshot(shopA)
	return s.Budget
}

// A budget that was lowered holds for one window, as high as it was in that time
// and no longer, over a restart too.
func TestALoweredBudgetHoldsForOneWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		l := openLimiter(t, db, Options{Uptime: m.uptime})
		until(0)
		teach(t, l, ThrottleStatus{4000, 4000, 200}) // 16,000 points a window
		say := func(d time.Duration, size, rate float64) {
			until(d)
			grab(t, l, Bulk, 10).Settle(Answer{Actual: 10, Status: &ThrottleStatus{size, size, rate}})
		}
		want := func(d time.Duration, budget int) {
			t.Helper()
			if until(d); budgetNow(l) != budget {
				t.Errorf("a budget of %d at %v, want %d", budgetNow(l), d, budget)
			}
		}
		say(10*time.Second, 2000, 100)
		say(20*time.Second, 1000, 50)
		want(20*time.Second, 16_000)
		l.settled()
		l.crash()
		until(30 * time.Second)
		l = openLimiter(t, db, Options{Uptime: m.uptime})
		want(80*time.Second-1, 16_000)
		want(80*time.Second, 4000)
		say(200*time.Second, 2000, 100)
		say(201*time.Second, 1000, 50)
		want(201*time.Second, 8000) // and not what held long ago
	})
}

func TestABudgetOfALongerWindowHoldsForOneOfOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		old := record{window: int64(time.Hour), known: true, size: 1000 * nano, rate: 50_000,
			held: 16_000, heldLeft: int64(time.Hour)}
		if err := db.Update(func(tx *bolt.Tx) error {
			if err := Buckets(tx); err != nil {
				return err
			}
			old.written = uptime.Source(m.uptime).Read()
			old.written.Wall = time.Now().UnixNano()
			return tx.Bucket(rootBucket).Bucket(shopsBucket).Put([]byte(shopA), old.encode(shopA))
		}); err != nil {
			t.Fatal(err)
		}
		l := openLimiter(t, db, Options{Uptime: m.uptime})
		if now := budgetNow(l); now != 16_000 {
			t.Errorf("a budget of %d, want what held", now)
		}
		time.Sleep(time.Minute)
		if now := budgetNow(l); now != 4000 {
			t.Errorf("a budget of %d a window later", now)
		}
	})
}

func TestASlowAnswerBoundsTheBucketWithinWhatItSays(t *testing.T) {
	for _, c := range []struct {
		name        string
		level, said float64
		others      int
		want        float64
	}{
		{"it says more than we believed", 100, 950, 0, 950},
		{"calls that it may know of are not taken off again", 1000, 990, 500, 540 + 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, l *Limiter) {
				teach(t, l, ThrottleStatus{1000, c.level, 50})
				slow := grab(t, l, Bulk, 10)
				if c.others > 0 {
					until(9 * time.Second)
					grab(t, l, Bulk, c.others).Settle(Answer{Actual: c.others})
				}
				until(11 * time.Second)
				slow.Settle(Answer{Actual: 10, Status: &ThrottleStatus{1000, c.said, 50}})
				if s, _ := l.Snapshot(shopA); s.Server.CurrentlyAvailable != c.want {
					t.Errorf("%v points are there, want %v", s.Server.CurrentlyAvailable, c.want)
				}
			})
		})
	}
}

func TestAnAnswerWithoutACostIsNoNews(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, l *Limiter) {
		teach(t, l, ThrottleStatus{1000, 1000, 50})
		until(11 * time.Second)
		grab(t, l, Bulk, 10).Settle(Answer{Actual: Unknown})
		until(12 * time.Second)
		grab(t, l, Bulk, 10)
		for i := 1; i <= 2; i++ { // one more per StaleAfter, each counted from the one before
			c := ask(l, shopA, Bulk, 10)
			until(time.Duration(12+10*i)*time.Second - 1)
			if c.over() {
				t.Errorf("call %d at %v", i, c.at.Sub(epoch))
			}
			until(time.Duration(12+10*i) * time.Second)
			if !c.over() || c.err != nil {
				t.Errorf("call %d is not let through: %v", i, c.err)
			}
		}
	})
}

// What is on disk follows each change of a penalty, also one that comes while a
// record is being written.
func TestAPenaltyIsOnDisk(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(l *Limiter, db *hooked, g *Grant)
		left time.Duration
	}{
		{"the longer of two counts", func(_ *Limiter, _ *hooked, g *Grant) {
			g.Settle(Answer{Until: at(30 * time.Second)})
			g.Settle(Answer{Until: at(2 * time.Second)})
		}, 30 * time.Second},
		{"until it is lifted", func(l *Limiter, _ *hooked, g *Grant) {
			g.Settle(Answer{Until: at(30 * time.Second)})
			l.settled()
			l.Lift(shopA)
		}, 0},
		{"though it came during a write", func(l *Limiter, db *hooked, g *Grant) {
			during := func() {
				db.before.Store(nil)
				g.Settle(Answer{Until: at(30 * time.Second)})
			}
			db.before.Store(&during)
			l.mu.Lock()
			g.s.request(0)
			l.mu.Unlock()
		}, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, m := &hooked{DB: openDB(t)}, newMachine()
				l := openLimiter(t, db, Options{Fixed: true, Uptime: m.uptime})
				l.Snapshot(shopA)
				until(0)
				g := grab(t, l, Bulk, 1)
				l.settled()
				c.do(l, db, g)
				l.settled()
				l.crash()
				l = openLimiter(t, db, Options{Fixed: true, Uptime: m.uptime})
				s, _ := l.Snapshot(shopA)
				if left := max(s.Penalty.Sub(epoch), 0); left != c.left {
					t.Errorf("a penalty of %v after a restart, want %v", left, c.left)
				}
			})
		})
	}
}

func TestLiftLetsTheQueueGo(t *testing.T) {
	bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
		grab(t, l, Bulk, 1).Settle(Answer{Until: at(20 * time.Second)})
		c := ask(l, shopA, Bulk, 1)
		until(time.Second)
		if l.Lift(shopA); !c.over() || c.err != nil {
			t.Errorf("still waits: %v", c.err)
		}
	})
}

func TestWhatCannotBeWrittenIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &flaky{DB: openDB(t)}
		l := openLimiter(t, db, Options{})
		l.Snapshot(shopA)
		l.settled()
		db.down.Store(true)
		if _, err := probe(l); !errors.Is(err, syscall.EIO) || !l.wantsProbe() {
			t.Errorf("a probe that did not go out: %v, another is wanted: %v", err, l.wantsProbe())
		}
		for name, err := range map[string]error{"forget": l.Forget("b.myshopify.com"), "close": l.Close()} {
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A write that is under way when a probe is asked for does not know of it.
func TestAProbeWaitsForARecordOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &hooked{DB: openDB(t)}
		l := openLimiter(t, db, Options{})
		l.Snapshot(shopA)
		l.settled()
		next := make(chan struct{})
		hold := func() { <-next }
		db.before.Store(&hold)
		l.mu.Lock()
		l.shops[shopA].request(0)
		l.mu.Unlock()
		synctest.Wait() // it is written now, without the probe
		gone := make(chan error, 1)
		go func() { _, err := l.Acquire(t.Context(), Call{Shop: shopA, Cost: 1}); gone <- err }()
		for probed := false; !probed; {
			synctest.Wait()
			select {
			case err := <-gone:
				if probed = true; err != nil || noted(t, db.DB).probeAge < 0 {
					t.Errorf("it went out before it was on disk (%v)", err)
				}
			case next <- struct{}{}:
			}
		}
		db.before.Store(nil)
		close(next)
		l.settled()
	})
}

func TestAQueryThatKeepsItsCostKeepsItsBound(t *testing.T) {
	l := openLimiter(t, openDB(t), Options{})
	for i, ask := range []int{100, 80, 80, 80, 80, 80, 80, 80, 100, 80} {
		if l.ask("products/250", ask); l.Bound("products/250", 50) != 100 {
			t.Fatalf("answer %d: bound %d", i, l.Bound("products/250", 50))
		}
	}
	for i := range maxQueries {
		l.ask(fmt.Sprint("query ", i), 7)
	}
	if l.Bound("query 0", 5) != 7 || l.Bound(fmt.Sprint("query ", maxQueries-1), 5) != 5 {
		t.Error("what is remembered of queries has no bound, or a wrong one")
	}
}

func TestTheQueue(t *testing.T) {
	ctx := context.Background()
	t.Run("owes nothing to a class once it was empty", func(t *testing.T) {
		bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
			spendAll(t, l)
			until(45 * time.Second)
			bulk := ask(l, shopA, Bulk, 40)
			<-bulk.done
			if bulk.err != nil || !spend(l, Bulk, 40) {
				t.Fatal(bulk.err)
			}
			bulk.grant.Settle(Answer{Actual: 40})
			until(100 * time.Second)
			first, second, bulk := ask(l, shopA, Reconcile, 40), ask(l, shopA, Reconcile, 40), ask(l, shopA, Bulk, 40)
			until(2 * time.Minute)
			if !first.over() || second.over() || !bulk.over() || first.err != nil || bulk.err != nil {
				t.Error("a class pays for what it was given before the queue was empty")
			}
		})
	})
	t.Run("goes on when the call at its head gives up", func(t *testing.T) {
		bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
			spend(l, Bulk, 40)
			until(40 * time.Second)
			head, behind := ask(l, shopA, Bulk, 41), ask(l, shopA, Bulk, 40)
			until(45 * time.Second)
			if _, err := head.now(); err == nil {
				t.Error("the head was granted")
			}
			if !behind.over() || behind.err != nil || !behind.at.Equal(time.Now()) {
				t.Errorf("the one behind it waits still: %v", behind.err)
			}
		})
	})
	for _, o := range []Options{{Fixed: true}, {}} { // together they ask for more than the budget, learnt or not
		t.Run(fmt.Sprint("is left at once by a call whose time will not do, fixed: ", o.Fixed), func(t *testing.T) {
			bubble(t, o, func(t *testing.T, l *Limiter) {
				spendAll(t, l)
				until(40 * time.Second)
				ask(l, shopA, Bulk, 80)
				short, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				_, err := l.Acquire(short, Call{Shop: shopA, Class: Bulk, Cost: 80})
				var we *WaitError
				if !errors.As(err, &we) || !time.Now().Equal(at(40*time.Second)) || !we.Next.Equal(at(time.Minute)) {
					t.Errorf("%v at %v", err, time.Since(epoch))
				}
			})
		})
	}
	t.Run("is not left while an answer may free points", func(t *testing.T) {
		bubble(t, Options{Fixed: true}, func(t *testing.T, l *Limiter) {
			spend(l, Bulk, 40)
			g := grab(t, l, Bulk, 40)
			c := ask(l, shopA, Bulk, 40)
			until(3 * time.Second)
			if g.Settle(Answer{Actual: 0}); !c.over() || c.err != nil {
				t.Errorf("gave up: %v", c.err)
			}
		})
	})
}

func TestAProbeCountsForOneWindowOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, m := openDB(t), newMachine()
		l := openLimiter(t, db, Options{Uptime: m.uptime})
		until(0)
		if _, err := probe(l); err != nil {
			t.Fatal(err)
		}
		l.crash()
		until(30 * time.Second)
		l = openLimiter(t, db, Options{Uptime: m.uptime})
		until(time.Minute - 1)
		early := l.wantsProbe()
		until(time.Minute)
		if early || !l.wantsProbe() {
			t.Errorf("another is wanted a window after the last: %v, early: %v", l.wantsProbe(), early)
		}
	})
}

func TestNoProbeGoesOutDuringAPenalty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLimiter(t, openDB(t), Options{})
		until(0)
		g, err := probe(l)
		if err != nil {
			t.Fatal(err)
		}
		g.Settle(Answer{Until: at(20 * time.Second)})
		until(20*time.Second - 1)
		early := l.wantsProbe()
		until(20 * time.Second)
		if early || !l.wantsProbe() {
			t.Error("a probe is not wanted from the end of the penalty on")
		}
	})
}

// A log that is longer than it keeps exactly holds points longer, never shorter.
func TestALongLogHoldsItsPointsTheLonger(t *testing.T) {
	w := window{span: exactEntries * 1000}
	for i := range int64(exactEntries) {
		w.add(i*1000, 1)
	}
	last := int64(exactEntries-1)*1000 + 500
	w.add(last, 1)
	if w.expire(last + w.span - 1); w.sum != 2 || len(w.live()) != 1 {
		t.Errorf("%d points in %d entries are left before the last has gone", w.sum, len(w.live()))
	}
	if w.expire(last + w.span); w.sum != 0 {
		t.Errorf("%d points are left for ever", w.sum)
	}
}

func TestWhoeverWaitsForAForgottenGrantWaitsNoLonger(t *testing.T) {
	bubble(t, Options{Fixed: true, MaxWait: time.Hour}, func(t *testing.T, l *Limiter) {
		grab(t, l, Bulk, 80)
		until(time.Minute)
		c := ask(l, shopA, Bulk, 1)
		<-c.done
		if c.err != nil || !c.at.Equal(at(6*time.Minute)) {
			t.Errorf("%v at %v, want MaxFlight and a window", c.err, c.at.Sub(epoch))
		}
	})
}
