package breaker

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// oracle is a breaker in its plainest form: one probe, everything recounted
// from a list of outcomes.
type oracle struct {
	failures   int
	state      State
	gen, trips int
	until      time.Time // of the wait, or of the probe
	probing    bool
	base       time.Time // slices are counted from the start of the process
	log        []struct {
		slice  int64
		failed bool
	}
}

func (o *oracle) allow(now time.Time) bool {
	if o.state == StateHalfOpen && o.probing && !now.Before(o.until) {
		o.open(now) // the probe did not answer
	}
	if o.state == StateOpen && !now.Before(o.until) {
		o.state, o.probing = StateHalfOpen, false
		o.gen++
	}
	if o.state != StateHalfOpen {
		return o.state == StateClosed
	}
	if o.probing {
		return false
	}
	o.probing, o.until = true, now.Add(2*time.Minute)
	return true
}

func (o *oracle) done(now time.Time, gen int, out Outcome) {
	if gen != o.gen {
		return
	}
	if o.state == StateHalfOpen {
		switch out {
		case Ignored:
			o.probing = false
		case Success:
			*o = oracle{failures: o.failures, base: o.base, gen: o.gen + 1}
		case Failure:
			o.open(now)
		}
		return
	}
	if out == Ignored {
		return
	}
	slice := now.Sub(o.base.Add(-origin)) / (6 * time.Second)
	o.log = append(o.log, struct {
		slice  int64
		failed bool
	}{int64(slice), out == Failure})
	run, calls, failed := 0, 0, 0
	for _, e := range o.log {
		run++
		if !e.failed {
			run = 0
		}
		if e.slice > int64(slice)-10 {
			calls++
			if e.failed {
				failed++
			}
		}
	}
	if out == Failure && (run >= o.failures || calls >= 20 && failed*2 >= calls) {
		o.open(now)
	}
}

func (o *oracle) open(now time.Time) {
	wait := min(30*time.Second<<o.trips, 10*time.Minute)
	o.trips++
	o.state, o.until, o.log = StateOpen, now.Add(wait), nil
	o.gen++
}

func TestTheBreakerDecidesAsTheOracleDoes(t *testing.T) {
	db := openDB(t)
	rapid.Check(t, func(rt *rapid.T) {
		o := oracle{base: epoch, failures: rapid.IntRange(1, 30).Draw(rt, "failures")}
		m := &machine{boot: "b"}
		opts := Options{Failures: o.failures, Uptime: m.uptime}
		b, err := startAt(epoch, db, opts)
		if err != nil {
			rt.Fatal(err)
		}
		if err := b.Forget(key.Shop); err != nil {
			rt.Fatal(err)
		}
		now := epoch
		type flight struct {
			p   Permit
			gen int
		}
		var flights []flight
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(rt, "d")))
			},
			"a call": func(rt *rapid.T) {
				p, err := b.Allow(now, key)
				if want := o.allow(now); (err == nil) != want {
					rt.Fatalf("allow: %v, want %v", err, want)
				}
				if err == nil {
					flights = append(flights, flight{p, o.gen})
				}
			},
			"an answer": func(rt *rapid.T) {
				if len(flights) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(flights)-1).Draw(rt, "which")
				f := flights[i]
				flights = append(flights[:i], flights[i+1:]...)
				out := rapid.SampledFrom([]Outcome{Failure, Success, Failure, Ignored}).Draw(rt, "outcome")
				f.p.Done(now, out, 0)
				o.done(now, f.gen, out)
			},
			"the process is killed and started": func(rt *rapid.T) {
				if o.state == StateClosed {
					rt.Skip() // its counts are lost, which the oracle's are not
				}
				flights = nil
				m.up = now.Sub(epoch)
				if b, err = startAt(now, db, opts); err != nil {
					rt.Fatal(err)
				}
				if o.state == StateHalfOpen {
					o.state, o.until = StateOpen, now.Add(30*time.Second)
				}
				o.gen++
				o.base = now
			},
			"": func(rt *rapid.T) {
				for _, c := range b.ShopAt(now, key.Shop) {
					if c.Key == key && c.State != o.state {
						rt.Fatalf("%v, want %v", c.State, o.state)
					}
				}
			},
		})
	})
}
