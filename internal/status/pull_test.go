package status

import (
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/syncer"
)

// pulling is a shop in pull mode, looked at 10 seconds ago.
func pulling(s *Shop) *Looking {
	s.Sync.Looking = Looking{Looking: syncer.Looking{Pull: true, Every: 30 * time.Second, Last: noon.Add(-10 * time.Second), Next: noon.Add(20 * time.Second)}}
	return &s.Sync.Looking
}

// Known changes may be read for as long as changes go unseen in pull mode, and a bit.
func TestInPullModeReadingIsDampedByTheTimeBetweenLooks(t *testing.T) {
	for _, every := range []time.Duration{30 * time.Second, 3 * time.Minute} {
		for _, tt := range []struct {
			since time.Duration
			want  string
		}{{every + 29*time.Second, "in-step"}, {every + 30*time.Second, "reading"}} {
			for name, change := range map[string]func(s *Shop, since time.Time){
				"jobs":       func(s *Shop, since time.Time) { s.Jobs.Reads, s.Jobs.ReadSince = 1, since },
				"looks":      func(s *Shop, since time.Time) { s.Sync.Looking.Waiting, s.Sync.Looking.WaitsSince = 1, since },
				"comparison": func(s *Shop, since time.Time) { s.Sync.Raw.Differ, s.Sync.Raw.DifferSince = 1, since },
			} {
				f := calm()
				pulling(&f.Shops[0]).Every = every
				change(&f.Shops[0], noon.Add(-tt.since))
				if h := judge(Table(), f).Head; h.Code != tt.want {
					t.Errorf("%s, looked for every %v, since %v: %s, want %s", name, every, tt.since, h.Code, tt.want)
				}
			}
		}
	}
}

// Where no delivery is waited for, nothing is wrong when none comes and nothing is
// subscribed. What stops Stockroom from looking is wrong there alone.
func TestPullModeIsAWayToRunAndNoFault(t *testing.T) {
	pushed := []string{"secret-missing", "secret-wrong", "deaf", "unsubscribed", "late", "subscriptions-unknown"}
	for _, r := range rows {
		f := calm()
		r.change(&f, &f.Shops[0])
		if !slices.Contains(pushed, r.code) {
			continue
		}
		pulling(&f.Shops[0])
		for _, l := range judge(Table(), f).Lines {
			if slices.Contains(pushed, l.Code) {
				t.Errorf("%s: %s", r.name, l.Sentence(noon))
			}
		}
	}
	f := calm()
	l := pulling(&f.Shops[0])
	if l.Pull, l.Failed, l.Words = false, noon, "x"; judge(Table(), f).Head.Code != "in-step" {
		t.Error("a failed look stands against a copy that deliveries keep")
	}
}

func TestAFailedLookIsToldOnlyWhereTheShopCanBeAsked(t *testing.T) {
	for want, change := range map[string]func(s *Shop){
		"paused":         func(s *Shop) { s.State, s.Reason = "paused", "frozen" },
		"unreachable":    func(s *Shop) { s.Calls.Failed = "no network" },
		"calls-held":     func(s *Shop) { s.Calls.Circuit, s.Calls.Held = "open", true },
		"never-compared": never,
	} {
		f := calm()
		l := pulling(&f.Shops[0])
		l.Failed, l.Words = noon, "no network"
		change(&f.Shops[0])
		a := judge(Table(), f)
		if len(a.Lines) != 1 || a.Head.Code != want {
			t.Errorf("%s: %+v", want, a.Lines)
		}
		if next := a.Head.Next.Text(f.Now); strings.Contains(next, "arrive") { // nothing does
			t.Errorf("%s: %s", want, next)
		}
	}
}

// The row names how often changes are really looked for.
func TestLateDeliveriesSayHowOftenIsLooked(t *testing.T) {
	for every, want := range map[time.Duration]string{30 * time.Second: "every 30 seconds", time.Minute: "every minute", 90 * time.Second: "every 90 seconds",
		150 * time.Second: "every 2 minutes", time.Hour: "every hour", 90 * time.Minute: "every 1 hour 30 minutes"} {
		for _, isDeaf := range []bool{false, true} {
			f := calm()
			f.Shops[0].Sync.Deliveries, f.Shops[0].Sync.Looking.Every = undelivered(true, isDeaf), every
			if next := judge(Table(), f).Head.Next.Text(noon); !strings.Contains(next, "looked for "+want+" until") {
				t.Errorf("%v: %s", every, next)
			}
		}
	}
}
