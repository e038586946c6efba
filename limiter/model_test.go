package limiter

import (
	"math"
	"testing"
	"time"

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

func (o *oracle) allow(now time.Time, cost int) bool {
	sum := 0
	for _, e := range o.log {
		if e.at.After(now.Add(-o.window)) {
			sum += e.points
		}
	}
	if sum+cost > o.budget {
		return false
	}
	o.log = append(o.log, oracleEntry{now, cost})
	return true
}

func TestTheWindowDecidesAsTheOracleDoes(t *testing.T) {
	db := openDB(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		budget := rapid.IntRange(1, 500).Draw(rt, "budget")
		window := time.Duration(rapid.IntRange(1, 100).Draw(rt, "window")) * time.Second
		n++
		shop := string(rune('a'+n%26)) + string(rune('a'+n/26%26)) + string(rune('a'+n/676)) + ".myshopify.com"
		o := oracle{budget: budget, window: window}
		m := &machine{boot: "b"}
		opts := Options{Fixed: true, Points: budget, Window: window, Uptime: m.uptime}
		l, err := OpenAt(epoch, db, opts)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { l.crash() }()
		l.SnapshotAt(epoch, shop)
		now := epoch.Add(window)
		var flying []*Grant
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(window)/4).Draw(rt, "d")))
			},
			"a call": func(rt *rapid.T) {
				cost := rapid.IntRange(1, budget).Draw(rt, "cost")
				// calls under way count, but are not in the log yet
				held := 0
				for _, g := range flying {
					held += g.Cost()
				}
				o.budget = budget - held
				if got, want := l.AllowAt(now, shop, Bulk, cost), o.allow(now, cost); got != want {
					rt.Fatalf("allow %d at %v: %v, want %v", cost, now.Sub(epoch), got, want)
				}
			},
			"a reservation": func(rt *rapid.T) {
				g, err := l.ReserveAt(now, shop, Bulk, rapid.IntRange(1, budget).Draw(rt, "cost"))
				if err != nil {
					rt.Fatal(err)
				}
				if g.DelayFrom(now) > 0 {
					g.CancelAt(now)
					return
				}
				flying = append(flying, g)
			},
			"an answer": func(rt *rapid.T) {
				if len(flying) == 0 {
					rt.Skip()
				}
				g := flying[0]
				flying = flying[1:]
				actual := rapid.IntRange(0, g.Cost()).Draw(rt, "actual")
				g.SettleAt(now, actual, nil)
				o.log = append(o.log, oracleEntry{now, actual})
			},
			"a clean restart": func(rt *rapid.T) {
				for _, g := range flying {
					g.CancelAt(now)
				}
				flying = nil
				m.reboot("b", now.Sub(epoch))
				if err := l.CloseAt(now); err != nil {
					rt.Fatal(err)
				}
				if l, err = OpenAt(now, db, opts); err != nil {
					rt.Fatal(err)
				}
				if len(o.log) > recordEntries {
					// the log on disk is coarser: never earlier, so only compare
					// once the window has passed
					now = now.Add(window)
				}
			},
		})
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
