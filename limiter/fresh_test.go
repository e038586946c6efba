package limiter

import (
	"testing"
	"testing/synctest"
	"time"
)

// A shop without a record counts as a spent window. What opens it sooner is the
// shop's own word, and only as far as that goes.
func TestAFreshShopIsAsFreeAsItsProbesAnswerSays(t *testing.T) {
	for _, c := range []struct {
		name  string
		fixed bool
		said  *ThrottleStatus
		want  int // points to be had at once
	}{
		{"a full bucket: all but what the window holds", false, &ThrottleStatus{2000, 1999, 100}, 1999},
		{"a bucket that another client has all but emptied: what is left", false, &ThrottleStatus{2000, 30, 100}, 30},
		{"an empty bucket: nothing", false, &ThrottleStatus{2000, 0, 100}, 0},
		{"an answer without numbers: nothing", false, nil, 0},
		{"a fixed budget: nothing, for a full bucket does not tell what a window held", true, &ThrottleStatus{2000, 1999, 100}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := openLimiter(t, openDB(t), Options{Fixed: c.fixed})
				until(0)
				if !l.wantsProbe() == !c.fixed {
					t.Fatal("a probe is wanted exactly where it can teach something")
				}
				if !c.fixed {
					g, err := probe(l)
					if err != nil {
						t.Fatal(err)
					}
					g.Settle(Answer{Actual: 1, Status: c.said})
				} else if _, err := probe(l); err == nil {
					t.Error("a probe left in spite of the fixed budget")
				}
				l.mute()
				if got := most(l); got != c.want {
					t.Errorf("%d points to be had at once, want %d", got, c.want)
				}
				if c.want > 0 {
					return
				}
				until(time.Minute - 1)
				if spend(l, Bulk, 1) == (c.said == nil || c.fixed) {
					t.Error("the rest of the window is not as the answer says")
				}
				until(time.Minute)
				if !spend(l, Bulk, 80) {
					t.Error("a window later it is still spent")
				}
			})
		})
	}
}

// A probe is there to teach the budget. One that the shop never counted has
// neither taught nor cost anything, so it does not use up the window's only one.
func TestAProbeThatCostNothingIsFollowedByAnother(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   func(g *Grant)
		again bool
	}{
		{"it never left", func(g *Grant) { g.Settle(Answer{Actual: Unsent}) }, true},
		{"the shop turned it away", func(g *Grant) { g.Settle(Answer{Actual: 0}) }, true},
		{"it may have left", func(g *Grant) { g.Settle(Answer{Actual: Unknown}) }, false},
		{"its answer does not tell the cost", func(g *Grant) { g.Settle(Answer{Actual: Unknown}) }, false},
		{"its answer teaches", func(g *Grant) { g.Settle(Answer{Actual: 0, Status: &ThrottleStatus{2000, 2000, 100}}) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, m := openDB(t), newMachine()
				l := openLimiter(t, db, Options{Uptime: m.uptime})
				until(0)
				before, _ := l.Snapshot(shopA)
				until(time.Second)
				for range 3 {
					g, err := probe(l)
					if err != nil {
						t.Fatal(err)
					}
					c.end(g)
					if l.wantsProbe() != c.again {
						t.Fatalf("another probe: %v, want %v", !c.again, c.again)
					}
					if !c.again {
						return
					}
				}
				if after, _ := l.Snapshot(shopA); after.Used != before.Used {
					t.Errorf("%d points count after probes that cost nothing, %d before", after.Used, before.Used)
				}
				l.settled()
				l.crash()
				until(2 * time.Second)
				if l = openLimiter(t, db, Options{Uptime: m.uptime}); !l.wantsProbe() {
					t.Error("after a restart a probe that cost nothing counts")
				}
			})
		})
	}
}

func TestASnapshotTellsWhatIsOnlyAssumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLimiter(t, openDB(t), Options{})
		fixed := openLimiter(t, openDB(t), Options{Fixed: true})
		guessed := func(l *Limiter) bool {
			snap, _ := l.Snapshot(shopA)
			return snap.Guessed
		}
		if !guessed(l) || !guessed(fixed) {
			t.Error("the window before the first record is an assumption")
		}
		time.Sleep(time.Minute)
		if guessed(fixed) {
			t.Error("of a fixed budget only the window before the first record is assumed")
		}
		time.Sleep(time.Hour)
		if !guessed(l) {
			t.Error("a budget that no answer has told is an assumption")
		}
		teach(t, l, ThrottleStatus{2000, 30, 100})
		if guessed(l) {
			t.Error("the shop has told its budget")
		}
	})
}
