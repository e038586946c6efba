package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// drawer keeps values in memory.
type drawer struct {
	mu   sync.Mutex
	puts int
	has  []byte
}

func (d *drawer) Get(string, string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.has, d.has != nil
}

func (d *drawer) Put(_, _ string, v []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.has, d.puts = v, d.puts+1
	return nil
}

// post office: what arrived, and whether anything does.
type office struct {
	mu      sync.Mutex
	fails   bool
	arrived []string
	tries   int
}

func (o *office) target(name string, ping bool) Target {
	return Target{Name: name, ping: ping, send: func(_ context.Context, _ http.RoundTripper, m Message) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.tries++; o.fails {
			return errors.New("hunter2")
		}
		o.arrived = append(o.arrived, name+" "+m.Title)
		return nil
	}}
}

// run has a notifier at work while codes hold for a time, as a process that then ends.
func run(d *drawer, set *metrics.Set, targets []Target, lives ...func(live func(time.Duration, ...string), n *Notifier)) {
	n := New(Options{Targets: targets, After: 10 * time.Minute, Keeper: d, Place: "https://page.test", Metrics: set, Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { n.Run(ctx); close(done) }()
	for _, do := range lives {
		do(func(d time.Duration, codes ...string) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Second) {
				n.See(account(time.Now(), codes...))
			}
		}, n)
	}
	stop()
	<-done
}

func TestAMessageIsTriedForAnHourAndItsFailureIsALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drawer
		o := &office{fails: true}
		set := metrics.NewSet()
		run(&d, set, []Target{o.target("ntfy://ntfy.test", false)}, func(live func(time.Duration, ...string), n *Notifier) {
			live(30*time.Minute, "unreachable "+linen)
			u := n.Unsent()
			if len(u) != 1 || u[0].Words != "the connection failed" || time.Since(u[0].Since).Round(time.Minute) != 20*time.Minute {
				t.Errorf("said is %+v", u)
			}
			o.fails = false
			live(30*time.Minute, "unreachable "+linen)
			if len(n.Unsent()) != 0 || len(o.arrived) != 1 || o.tries < 4 || o.tries > 8 {
				t.Errorf("%v, arrived %v after %d tries", n.Unsent(), o.arrived, o.tries)
			}
			o.fails = true
			live(3 * time.Hour)
			o.fails = false
			live(3 * time.Hour)
		})
		if len(o.arrived) != 1 {
			t.Errorf("what is older than an hour arrived: %v", o.arrived)
		}
		var b strings.Builder
		set.WritePrometheus(&b)
		for _, want := range []string{`stockroom_notifications_total{result="sent"} 1`, `stockroom_notifications_total{result="given_up"} 1`} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %s in\n%s", want, b.String())
			}
		}
	})
}

func TestARestartNeitherRepeatsNorLosesAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drawer
		o := &office{}
		targets := []Target{o.target("a", false), o.target("b", false)}
		for range 5 { // it never runs for as long as a trouble has to last
			run(&d, metrics.NewSet(), targets, func(live func(time.Duration, ...string), _ *Notifier) { live(3*time.Minute, "unreachable "+linen) })
		}
		if len(o.arrived) != 2 {
			t.Fatalf("arrived: %v", o.arrived)
		}
		o.fails = true
		run(&d, metrics.NewSet(), targets, func(live func(time.Duration, ...string), _ *Notifier) { live(8 * time.Minute) })
		o.fails = false
		run(&d, metrics.NewSet(), targets, func(live func(time.Duration, ...string), _ *Notifier) { live(20 * time.Minute) })
		if len(o.arrived) != 4 || !strings.HasSuffix(o.arrived[2], "well again") {
			t.Errorf("arrived: %v", o.arrived)
		}
	})
}

func TestLinesThatComeAndGoAreNotedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drawer
		run(&d, metrics.NewSet(), []Target{new(office).target("a", false)}, func(live func(time.Duration, ...string), _ *Notifier) {
			for range 100 {
				live(5*time.Second, "reads-fail "+linen)
				live(65 * time.Second)
			}
		})
		if d.puts > 130 {
			t.Errorf("%d notes in 2 hours", d.puts)
		}
	})
}

func TestASignOfLifeGoesOutEveryFiveMinutesWhileAccountsAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{}
		run(new(drawer), metrics.NewSet(), []Target{o.target("ping+https://hc.test", true)}, func(live func(time.Duration, ...string), n *Notifier) {
			live(time.Hour, "uninstalled "+linen)
			time.Sleep(time.Hour) // nobody reads accounts any more
			if len(o.arrived) != 12 {
				t.Errorf("%d signs of life, want 12: %v", len(o.arrived), o.arrived)
			}
		})
	})
}

func TestATestTellsOfEachTarget(t *testing.T) {
	good, bad := &office{}, &office{fails: true}
	run(new(drawer), metrics.NewSet(), []Target{good.target("a", false), bad.target("b", false), good.target("c", true)}, func(_ func(time.Duration, ...string), n *Notifier) {
		got := fmt.Sprint(n.Test(t.Context()))
		if want := "[{a true sent; look whether it has arrived} {b false the connection failed} {c true it was told that Stockroom works}]"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if u := n.Unsent(); len(u) != 1 || u[0].Target != "b" {
			t.Errorf("lines are %+v", u)
		}
	})
}

func TestAMessageThatIsOnItsWayAtAStopIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drawer
		o := &office{}
		slow := o.target("a", false)
		send := slow.send
		slow.send = func(ctx context.Context, by http.RoundTripper, m Message) error {
			err := send(ctx, by, m) // it has arrived, and the answer is slow
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return err
			}
		}
		run(&d, metrics.NewSet(), []Target{slow}, func(live func(time.Duration, ...string), n *Notifier) {
			live(10*time.Minute, "unreachable "+linen)
			n.See(account(time.Now(), "unreachable "+linen))
			synctest.Wait() // it is being sent
		})
		run(&d, metrics.NewSet(), []Target{slow}, func(live func(time.Duration, ...string), _ *Notifier) { live(10*time.Minute, "unreachable "+linen) })
		if len(o.arrived) != 1 {
			t.Errorf("arrived: %v", o.arrived)
		}
	})
}
