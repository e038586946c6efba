package limiter

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

// oracle is the sliding window in its plainest form.
type oracle struct {
	budget int
	window time.Duration
	log    []oracleEntry
}

type oracleEntry struct {
	at     time.Time
	points int
}

func (o *oracle) fits(now time.Time, cost int) bool {
	sum := 0
	for _, e := range o.log {
		if e.at.After(now.Add(-o.window)) {
			sum += e.points
		}
	}
	return sum+cost <= o.budget
}

func TestTheWindowDecidesAsTheOracleDoes(t *testing.T) {
	db := openDB(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		shop := fmt.Sprintf("%d.myshopify.com", n)
		// What ends a check is a panic, which rapid must see outside the bubble.
		var ended any
		synctest.Test(t, func(t *testing.T) {
			defer func() { ended = recover() }()
			checkTheWindow(rt, db, shop)
		})
		if ended != nil {
			panic(ended)
		}
	})
}

// checkTheWindow walks a limiter and an oracle through the same calls.
func checkTheWindow(rt *rapid.T, db *bolt.DB, shop string) {
	budget := rapid.IntRange(1, 500).Draw(rt, "budget")
	window := time.Duration(rapid.IntRange(1, 100).Draw(rt, "window")) * time.Second
	o := oracle{window: window}
	opts := Options{Fixed: true, Points: budget, Window: window, MaxFlight: 24 * time.Hour, Uptime: newMachine().uptime}
	l, err := Open(db, opts)
	if err != nil {
		rt.Fatal(err)
	}
	defer func() { l.crash() }()
	l.Snapshot(shop)
	time.Sleep(window)
	var flying []*Grant
	draw := func(rt *rapid.T) (cost int, fits bool) {
		cost, o.budget = rapid.IntRange(1, budget).Draw(rt, "cost"), budget
		for _, g := range flying { // calls under way count, but are not in the log yet
			o.budget -= g.Cost
		}
		return cost, o.fits(time.Now(), cost)
	}
	rt.Repeat(map[string]func(*rapid.T){
		"time passes": func(rt *rapid.T) {
			time.Sleep(time.Duration(rapid.Int64Range(0, int64(window)/4).Draw(rt, "d")))
		},
		"a call": func(rt *rapid.T) {
			cost, fits := draw(rt)
			g, err := ask(l, shop, Bulk, cost).now()
			if (err == nil) != fits {
				rt.Fatalf("a call of %d at %v: %v, want %v", cost, time.Since(epoch), err, fits)
			}
			if err == nil {
				flying = append(flying, g)
			}
		},
		"a call that is answered at once": func(rt *rapid.T) {
			cost, fits := draw(rt)
			g, err := ask(l, shop, Bulk, cost).now()
			if (err == nil) != fits {
				rt.Fatalf("a call of %d at %v: %v, want %v", cost, time.Since(epoch), err, fits)
			}
			if err == nil {
				g.Settle(Answer{Actual: Unknown})
				o.log = append(o.log, oracleEntry{time.Now(), cost})
			}
		},
		"a call whose turn is told": func(rt *rapid.T) {
			cost, fits := draw(rt)
			c := ask(l, shop, Bulk, cost)
			if fits {
				g, err := c.now()
				if err != nil {
					rt.Fatal(err)
				}
				g.Settle(Answer{Actual: Unsent})
				return
			}
			var we *WaitError
			if _, err := c.now(); !errors.As(err, &we) {
				rt.Fatalf("a call of %d: %v", cost, err)
			}
			if len(flying) == 0 && (!o.fits(we.Next, cost) || o.fits(we.Next.Add(-1), cost)) {
				rt.Fatalf("a call of %d is told to come at %v", cost, we.Next.Sub(epoch))
			}
		},
		"an answer": func(rt *rapid.T) {
			if len(flying) == 0 {
				rt.Skip()
			}
			g := flying[0]
			flying = flying[1:]
			actual := rapid.IntRange(0, g.Cost).Draw(rt, "actual")
			g.Settle(Answer{Actual: actual})
			o.log = append(o.log, oracleEntry{time.Now(), actual})
		},
		"a clean restart": func(rt *rapid.T) {
			for _, g := range flying {
				g.Settle(Answer{Actual: Unsent})
			}
			flying = nil
			if err := l.Close(); err != nil {
				rt.Fatal(err)
			}
			if l, err = Open(db, opts); err != nil {
				rt.Fatal(err)
			}
			if len(o.log) > recordEntries {
				// the log on disk is coarser: never earlier, so only compare
				// once the window has passed
				time.Sleep(window)
			}
		},
	})
}

func TestTheBucketDecidesAsXTimeRateDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 40_000).Draw(rt, "size")
		perSecond := rapid.IntRange(1, 2000).Draw(rt, "rate")
		lim := rate.NewLimiter(rate.Limit(perSecond), size)
		b := bucket{}
		b.set(0, ThrottleStatus{float64(size), float64(size), float64(perSecond)})
		lim.AllowN(epoch, 0)
		var now int64
		for range 200 {
			now += rapid.Int64Range(0, int64(10*time.Second)).Draw(rt, "d")
			cost := rapid.Int64Range(1, int64(size)).Draw(rt, "cost")
			exact, tokens := float64(b.levelAt(now))/nano, lim.TokensAt(at(time.Duration(now)))
			if math.Abs(exact-tokens) > 1e-3 {
				rt.Fatalf("level %v, x/time/rate has %v", exact, tokens)
			}
			if math.Abs(tokens-float64(cost)) < 1e-3 {
				continue // within its floating point error
			}
			due, ok := b.holds(now, cost)
			if fits := ok && due == now; fits != lim.AllowN(at(time.Duration(now)), int(cost)) {
				rt.Fatalf("%v of %v: we say %v", cost, exact, fits)
			} else if fits {
				b.charge(now, cost)
			} else {
				r := lim.ReserveN(at(time.Duration(now)), int(cost))
				want := r.DelayFrom(at(time.Duration(now)))
				r.CancelAt(at(time.Duration(now)))
				if d := time.Duration(due-now) - want; d < -time.Microsecond || d > time.Microsecond {
					rt.Fatalf("wait %v, x/time/rate waits %v", time.Duration(due-now), want)
				}
				if b.levelAt(due) < cost*nano || b.levelAt(due-1) >= cost*nano {
					rt.Fatal("the wait is not exact")
				}
			}
		}
	})
}
