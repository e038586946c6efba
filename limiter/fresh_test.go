package limiter

import (
	"testing"
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
			l := openAt(t, epoch, openDB(t), Options{Fixed: c.fixed})
			if !l.NeedsProbeAt(epoch, shopA) == !c.fixed {
				t.Fatal("a probe is wanted exactly where it can teach something")
			}
			if !c.fixed {
				g, err := l.ProbeAt(epoch, shopA, 1)
				if err != nil {
					t.Fatal(err)
				}
				g.SettleAt(epoch, 1, c.said)
			} else if _, err := l.ProbeAt(epoch, shopA, 1); err == nil {
				t.Error("a probe left in spite of the fixed budget")
			}
			if got := most(l, epoch); got != c.want {
				t.Errorf("%d points to be had at once, want %d", got, c.want)
			}
			if c.want > 0 {
				return
			}
			if l.AllowAt(at(time.Minute-1), shopA, Bulk, 1) == (c.said == nil || c.fixed) {
				t.Error("the rest of the window is not as the answer says")
			}
			if !l.AllowAt(at(time.Minute), shopA, Bulk, 80) {
				t.Error("a window later it is still spent")
			}
		})
	}
}
