package breaker

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

var (
	epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	key   = Key{"a.myshopify.com", "graphql"}
)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func openDB(t testing.TB) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "state.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// startAt is Open at an explicit instant.
func startAt(now time.Time, db DB, o Options) (*Breaker, error) {
	o = o.withDefaults()
	return open(now, db, o, o.Uptime.Read())
}

func openAt(t testing.TB, now time.Time, db *bolt.DB, o Options) *Breaker {
	t.Helper()
	b, err := startAt(now, db, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// call makes one call at d that ends at once, and tells whether it went out.
func call(t testing.TB, b *Breaker, d time.Duration, o Outcome) bool {
	t.Helper()
	p, err := b.Allow(at(d), key)
	if err != nil {
		return false
	}
	p.Done(at(d), o, 0)
	return true
}

func trip(t testing.TB, b *Breaker, d time.Duration) {
	t.Helper()
	for range 5 {
		if !call(t, b, d, Failure) {
			t.Fatal("refused before it tripped")
		}
	}
}

func refusal(t testing.TB, b *Breaker, d time.Duration) *OpenError {
	t.Helper()
	_, err := b.Allow(at(d), key)
	var oe *OpenError
	if !errors.As(err, &oe) {
		t.Fatalf("at %v: %v, want an OpenError", d, err)
	}
	return oe
}

func TestABreaker(t *testing.T) {
	const s = time.Second
	cases := []struct {
		name string
		opts Options
		run  func(t *testing.T, b *Breaker)
	}{
		{"trips at the threshold and not before", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			if e := refusal(t, b, 0); !e.RetryAt.Equal(at(30*s)) || e.Reason != ReasonFailures {
				t.Errorf("%+v", e)
			}
		}},
		{"starts counting again after a success", Options{}, func(t *testing.T, b *Breaker) {
			for i := range 20 {
				o := Failure
				if i%5 == 4 {
					o = Success
				}
				call(t, b, time.Duration(i)*10*s, o)
			}
			trip(t, b, 300*s)
		}},
		{"never trips on what says nothing about the service", Options{}, func(t *testing.T, b *Breaker) {
			for range 1000 {
				if !call(t, b, 0, Ignored) {
					t.Fatal("tripped by throttled, refused or cancelled calls")
				}
			}
			for range 4 {
				call(t, b, 0, Failure)
			}
			call(t, b, 0, Ignored)
			call(t, b, 0, Failure)
			refusal(t, b, 0) // neither does it excuse the failures around it
		}},
		{"trips on the share of failures", Options{Failures: 100}, func(t *testing.T, b *Breaker) {
			for range 9 {
				call(t, b, 0, Success)
			}
			for range 10 {
				call(t, b, s, Failure)
			}
			if !call(t, b, s, Failure) {
				t.Error("tripped before the minimum of calls")
			}
			if e := refusal(t, b, s); e.Reason != ReasonRate {
				t.Errorf("%+v", e)
			}
		}},
		{"forgets failures that left the window", Options{Failures: 100}, func(t *testing.T, b *Breaker) {
			for range 19 {
				call(t, b, 0, Failure)
			}
			if !call(t, b, 61*s, Failure) || !call(t, b, 61*s, Success) {
				t.Error("tripped by failures of an earlier window")
			}
		}},
		{"counts what ten slices hold and nothing before them", Options{Failures: 100}, func(t *testing.T, b *Breaker) {
			for d, opens := range map[time.Duration]bool{54 * s: true, 60 * s: false} {
				b.Force(epoch, key, Auto)
				for range 19 {
					call(t, b, 0, Failure)
				}
				call(t, b, d, Failure)
				if c := b.ShopAt(at(d), key.Shop)[0]; (c.State == StateOpen) != opens {
					t.Errorf("after %v: %v", d, c.State)
				}
			}
		}},
		{"keeps a slice apart from the next one however full it is", Options{Failures: 100}, func(t *testing.T, b *Breaker) {
			for range 1<<16 + 10 {
				call(t, b, 0, Success)
			}
			for range 30 {
				if !call(t, b, 0, Failure) {
					t.Fatal("the successes were not all counted")
				}
			}
		}},
		{"lets one probe through at its deadline and closes on success", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			refusal(t, b, 30*s-1)
			p, err := b.Allow(at(30*s), key)
			if err != nil {
				t.Fatal(err)
			}
			if e := refusal(t, b, 30*s); e.Reason != ReasonProbing {
				t.Errorf("%+v", e)
			}
			p.Done(at(31*s), Success, 0)
			if !call(t, b, 31*s, Success) {
				t.Error("still open")
			}
		}},
		{"doubles its wait when the probe fails, up to the cap", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			now := 30 * s
			for _, wait := range []time.Duration{60, 120, 240, 480, 600, 600} {
				if !call(t, b, now, Failure) {
					t.Fatalf("no probe at %v", now)
				}
				if e := refusal(t, b, now); !e.RetryAt.Equal(at(now+wait*s)) || e.Reason != ReasonProbe {
					t.Fatalf("%v, want a wait of %v s", e.RetryAt.Sub(epoch)-now, wait)
				}
				now += wait * s
			}
			for trips := range 70 { // far beyond what fits into the bits of a wait
				if call(t, b, now, Failure); !refusal(t, b, now).RetryAt.Equal(at(now + 600*s)) {
					t.Fatalf("%v after %d more", refusal(t, b, now).RetryAt.Sub(at(now)), trips)
				}
				now += 600 * s
			}
			call(t, b, now, Success)
			trip(t, b, now)
			if e := refusal(t, b, now); !e.RetryAt.Equal(at(now + 30*s)) {
				t.Error("the wait did not start again after it had closed")
			}
		}},
		{"waits as long as the server asks, in reason", Options{}, func(t *testing.T, b *Breaker) {
			for _, c := range []struct{ asks, waits time.Duration }{{7 * s, 7 * s}, {90 * s, 90 * s}, {48 * time.Hour, time.Hour}} {
				b.Force(epoch, key, Auto)
				for range 4 {
					call(t, b, 0, Failure)
				}
				p, _ := b.Allow(epoch, key)
				p.Done(epoch, Failure, c.asks)
				if e := refusal(t, b, 0); !e.RetryAt.Equal(at(c.waits)) {
					t.Errorf("asked for %v, waits %v", c.asks, e.RetryAt.Sub(epoch))
				}
			}
		}},
		{"counts an answer of a probe that is given twice once", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			p, err := b.Allow(at(30*s), key)
			if err != nil {
				t.Fatal(err)
			}
			p.Done(at(30*s), Ignored, 0)
			p.Done(at(30*s), Success, 0)
			if c := b.ShopAt(at(30*s), key.Shop)[0]; c.State != StateHalfOpen {
				t.Errorf("%+v", c)
			}
		}},
		{"gives a probe that starts late its whole time", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			call(t, b, 30*s, Ignored)
			late, err := b.Allow(at(100*s), key)
			if err != nil {
				t.Fatal(err)
			}
			if e := refusal(t, b, 219*s); e.Reason != ReasonProbing {
				t.Errorf("%+v", e)
			}
			late.Done(at(219*s), Success, 0)
			if !call(t, b, 219*s, Success) {
				t.Error("did not close")
			}
		}},
		{"says to ask again soon while a probe is under way", Options{Reset: s / 10}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			if _, err := b.Allow(at(s/10), key); err != nil {
				t.Fatal(err)
			}
			if e := refusal(t, b, s/10); !e.RetryAt.Equal(at(s / 5)) {
				t.Errorf("retry at %v", e.RetryAt.Sub(epoch))
			}
		}},
		{"gives an ignored probe's place to another", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			if !call(t, b, 30*s, Ignored) || !call(t, b, 31*s, Success) || !call(t, b, 31*s, Success) {
				t.Error("a throttled probe blocked the circuit")
			}
		}},
		{"opens again when a probe never answers", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			if _, err := b.Allow(at(30*s), key); err != nil {
				t.Fatal(err)
			}
			if e := refusal(t, b, 150*s); e.Reason != ReasonSilence || !e.RetryAt.Equal(at(210*s)) {
				t.Errorf("%+v", e)
			}
		}},
		{"ignores a late probe while another is under way", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			old, err := b.Allow(at(30*s), key)
			if err != nil {
				t.Fatal(err)
			}
			refusal(t, b, 150*s) // it never answered: open until 210 s
			probe, err := b.Allow(at(210*s), key)
			if err != nil {
				t.Fatal(err)
			}
			old.Done(at(210*s), Success, 0)
			refusal(t, b, 210*s)
			old.Done(at(210*s), Failure, 0)
			probe.Done(at(211*s), Success, 0)
			if !call(t, b, 211*s, Success) {
				t.Error("the late probe decided")
			}
		}},
		{"ignores answers to calls of an earlier state", Options{}, func(t *testing.T, b *Breaker) {
			var late []Permit
			for range 20 {
				p, _ := b.Allow(epoch, key)
				late = append(late, p)
			}
			trip(t, b, 0)
			late[0].Done(at(s), Success, 0)
			refusal(t, b, 2*s)
			probe, err := b.Allow(at(30*s), key)
			if err != nil {
				t.Fatal(err)
			}
			late[1].Done(at(30*s), Success, 0)
			refusal(t, b, 30*s)
			for _, p := range late[2:] {
				p.Done(at(30*s), Failure, time.Hour)
			}
			probe.Done(at(31*s), Success, 0)
			for _, p := range late {
				p.Done(at(31*s), Failure, time.Hour)
			}
			if c := b.ShopAt(at(31*s), key.Shop)[0]; c.State != StateClosed || b.circuit(key).run != 0 {
				t.Errorf("a late answer changed the new state: %+v", c)
			}
			late[2].Done(at(32*s), Success, 0)
			if calls, _ := b.circuit(key).rate(b.tick(at(32 * s))); calls != 0 {
				t.Errorf("%d late answers were counted", calls)
			}
			probe.Done(at(32*s), Failure, 0)
			if !call(t, b, 32*s, Success) {
				t.Error("a late probe reopened the circuit")
			}
		}},
		{"is held open and closed by hand", Options{}, func(t *testing.T, b *Breaker) {
			if err := b.Force(epoch, key, HeldOpen); err != nil {
				t.Fatal(err)
			}
			if e := refusal(t, b, 1000*time.Hour); !e.RetryAt.IsZero() || e.Reason != ReasonHand {
				t.Errorf("%+v", e)
			}
			b.Force(epoch, key, HeldClosed)
			for i := range 100 {
				if !call(t, b, 0, []Outcome{Success, Failure}[i%2]) {
					t.Fatal("tripped while held closed")
				}
			}
			if calls, _ := b.circuit(key).rate(b.tick(epoch)); calls != 0 || b.circuit(key).run != 0 {
				t.Errorf("%d calls were counted while held closed", calls)
			}
			b.Force(epoch, key, Auto)
			trip(t, b, 0)
			call(t, b, 30*s, Failure) // doubles the wait
			b.Force(at(30*s), key, Auto)
			trip(t, b, 30*s)
			if e := refusal(t, b, 30*s); !e.RetryAt.Equal(at(60 * s)) {
				t.Errorf("the wait did not start again: %v", e.RetryAt.Sub(epoch))
			}
		}},
		{"probes at once when asked to", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			b.TryNow(at(s), key)
			for probe := range 2 {
				if !call(t, b, s, Success) {
					t.Errorf("probe %d was not let through", probe)
				}
			}
		}},
		{"keeps its keys apart", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			for _, k := range []Key{{key.Shop, "bulk"}, {"b.myshopify.com", key.Class}} {
				if _, err := b.Allow(epoch, k); err != nil {
					t.Errorf("%v: %v", k, err)
				}
			}
		}},
		{"does not wait longer when the clock is set back", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			if e := refusal(t, b, -24*time.Hour); !e.RetryAt.Equal(at(-24*time.Hour + 30*s)) {
				t.Errorf("retry at %v", e.RetryAt)
			}
			if !call(t, b, -24*time.Hour+30*s, Success) {
				t.Error("stuck")
			}
		}},
		{"a probe that said nothing is followed by another", Options{}, func(t *testing.T, b *Breaker) {
			trip(t, b, 0)
			if !call(t, b, 30*time.Second, Ignored) || !call(t, b, time.Hour, Success) {
				t.Error("refused though no probe is under way")
			}
		}},
		{"forgets a shop, on disk too and whatever its calls still report", Options{}, func(t *testing.T, b *Breaker) {
			b.opts.OnTransition = func(tr Transition) {
				if tr.Key.Class == "bulk" {
					t.Errorf("told of a shop that is forgotten: %+v", tr)
				}
			}
			other := Key{key.Shop, "bulk"}
			var late []Permit
			for range 5 {
				p, _ := b.Allow(epoch, other)
				late = append(late, p)
			}
			trip(t, b, 0)
			old := b.circuit(key)
			if err := b.Forget(key.Shop); err != nil {
				t.Fatal(err)
			}
			for _, p := range late {
				p.Done(at(s), Failure, 0)
			}
			if err := b.write(b.tick(at(s)), old); err != nil { // of a call that tripped it meanwhile
				t.Error(err)
			}
			if again := openAt(t, at(s), b.db.(*bolt.DB), Options{}); len(again.ShopAt(at(s), key.Shop)) != 0 {
				t.Errorf("on disk: %+v", again.ShopAt(at(s), key.Shop))
			}
			if !call(t, b, 0, Success) {
				t.Error("still open")
			}
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, openAt(t, epoch, openDB(t), tc.opts)) })
	}
}

// A success of an earlier generation ends no failures of the present one.
func TestASuccessEndsTheFailuresOfItsOwnGenerationOnly(t *testing.T) {
	b := openAt(t, epoch, openDB(t), Options{})
	late, err := b.Allow(epoch, key)
	if err != nil {
		t.Fatal(err)
	}
	b.Force(epoch, key, Auto)
	for range 4 {
		call(t, b, 0, Failure)
	}
	late.Done(epoch, Success, 0)
	call(t, b, 0, Failure)
	if e := refusal(t, b, 0); e.Reason != ReasonFailures {
		t.Errorf("%+v", e)
	}
}

func TestOf128GoroutinesOneGetsTheProbe(t *testing.T) {
	b := openAt(t, epoch, openDB(t), Options{})
	trip(t, b, 0)
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 128 {
		wg.Go(func() {
			for tries := 0; tries < 20; {
				if _, err := b.Allow(at(30*time.Second), key); err == nil {
					n.Add(1)
				}
				if n.Load() > 0 { // half-open is on disk: the probe could be given out
					tries++
				}
			}
		})
	}
	wg.Wait()
	if n.Load() != 1 {
		t.Errorf("%d probes", n.Load())
	}
}
