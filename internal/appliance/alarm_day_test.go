package appliance

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/status"
)

// letters are the messages that arrived.
type letters struct {
	mu  sync.Mutex
	all []arrived
}

type arrived struct {
	at   time.Time
	text string
}

func (l *letters) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, arrived{time.Now(), string(body)})
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, err
}

// weather is what happens in a day.
type weather struct {
	name     string
	every    time.Duration // between two troubles, on average
	most     time.Duration // that one lasts
	troubles []string
	forged   time.Duration // between two bodies of strangers
}

var weathers = []weather{
	{"strangers alone", 0, 0, nil, time.Minute},
	{"mild", 90 * time.Minute, 16 * time.Minute, []string{"offline", "outage", "index lag", "queue full", "crash"}, time.Hour},
	{"wild", 40 * time.Minute, 2 * time.Hour, []string{"offline", "outage", "token", "scope", "frozen", "deaf", "wrong secret", "disk full", "queue full", "crash"}, 10 * time.Minute},
}

// calmCodes are the lines of which no message is wanted, said here once more on purpose.
var calmCodes = []string{
	"in-step", "secret-doubt", "misfits", "stranger", "first-read", "never-compared", "owed", "loss", "reading", "disputed",
	"late", "calls-held", "notify-failed",
}

// spell is a time in which the page had a reason for a message.
type spell struct {
	from, to time.Time
	codes    []string
	causes   []string
}

// alarmDay lives a day and keeps what was so.
type alarmDay struct {
	*truth
	weather
	rand   *rand.Rand
	spells []spell
	until  map[string]time.Time // when a trouble that lasts is to end
}

func (d *alarmDay) live(length time.Duration) error {
	next, forge := time.Now().Add(30*time.Minute), time.Now()
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(10 * time.Second) {
		now := time.Now()
		for name, at := range d.until {
			if now.After(at) {
				d.relieve(name)
				delete(d.until, name)
			}
		}
		if now.After(forge) {
			d.forge(d.rand.IntN(40))
			forge = now.Add(d.forged)
		}
		if d.every > 0 && now.After(next) && end.Sub(now) > d.most+90*time.Minute {
			name := d.troubles[d.rand.IntN(len(d.troubles))]
			if name == "crash" {
				if err := d.crash("before commit", 1, time.Second); err != nil {
					return err
				}
				d.isNew("crash")
			} else if !d.truth.lasts(name) {
				d.suffer(name)
				d.until[name] = now.Add(time.Minute + time.Duration(d.rand.Int64N(int64(d.most))))
			}
			next = now.Add(time.Duration(d.rand.ExpFloat64() * float64(d.every)))
		}
		if d.rand.IntN(30) == 0 {
			d.edit(func() { d.shop.RandomEdit() })
		}
		d.see()
	}
	return nil
}

// see notes whether the page has a reason for a message.
func (d *alarmDay) see() {
	synctest.Wait()
	a := d.status.Read(context.Background(), time.Now())
	var codes, causes []string
	for _, l := range a.Lines {
		if (l.Mood == status.Bad || l.Mood == status.Wait) && !slices.Contains(calmCodes, l.Code) {
			codes = append(codes, l.Code)
		}
	}
	for name := range d.began {
		causes = append(causes, name)
	}
	if len(codes) == 0 {
		return
	}
	last := len(d.spells) - 1
	if last < 0 || a.Now.Sub(d.spells[last].to) > time.Minute {
		d.spells = append(d.spells, spell{from: a.Now})
		last++
	}
	s := &d.spells[last]
	s.to = a.Now
	for _, c := range codes {
		if !slices.Contains(s.codes, c) {
			s.codes = append(s.codes, c)
		}
	}
	for _, c := range causes {
		if !slices.Contains(s.causes, c) {
			s.causes = append(s.causes, c)
		}
	}
}

// judge holds each message against what was so, and what was so against the messages.
func (d *alarmDay) judge(list []arrived) (table []string, wrong []string) {
	bad := false // what was told last
	for i, m := range list {
		title, _, _ := strings.Cut(m.text, "\n")
		why := ""
		for _, s := range d.spells {
			switch {
			case strings.HasSuffix(title, "needs attention") && !m.at.Before(s.from.Add(9*time.Minute)) && !m.at.After(s.to.Add(6*time.Minute)):
				why = fmt.Sprintf("since %s the page said %v; what was done: %v", s.from.Format("15:04"), s.codes, s.causes)
			case strings.HasSuffix(title, "well again") && bad && m.at.After(s.to) && m.at.Sub(s.to) < 20*time.Minute:
				why = fmt.Sprintf("nothing was wrong since %s", s.to.Format("15:04"))
			}
		}
		if why == "" {
			wrong = append(wrong, fmt.Sprintf("%s %q was not wanted", m.at.Format("15:04"), m.text))
		}
		bad = strings.HasSuffix(title, "needs attention")
		table = append(table, fmt.Sprintf("| %s | %s | %s |", m.at.Format("15:04"), strings.Join(strings.Fields(m.text[:min(len(m.text), 150)]), " "), why))
		if i >= 4 && m.at.Sub(list[i-4].at) < time.Hour {
			wrong = append(wrong, "more than four messages in the hour before "+m.at.Format("15:04"))
		}
	}
	if bad {
		wrong = append(wrong, "that all is well again was not told")
	}
	for _, s := range d.spells {
		told := slices.ContainsFunc(list, func(m arrived) bool {
			return !m.at.Before(s.from.Add(-time.Hour)) && m.at.Before(s.from.Add(75*time.Minute))
		})
		if s.to.Sub(s.from) > 12*time.Minute && !told {
			wrong = append(wrong, fmt.Sprintf("nobody was told of %v from %s to %s", s.codes, s.from.Format("15:04"), s.to.Format("15:04")))
		}
	}
	return table, wrong
}

// TestOverADayOfChaosEachMessageWasWanted lives a day of strangers, of mild and of wild
// chaos, and judges each message by what was done to the shop and what the page said.
// STOCKROOM_TORTURE lives the whole day, else it is six hours. -v shows the messages.
func TestOverADayOfChaosEachMessageWasWanted(t *testing.T) {
	if raceEnabled {
		t.Skip("days of one process; the race detector makes minutes of them")
	}
	blank, length := blankDir(t), 6*time.Hour
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		length = 24 * time.Hour
	}
	for i, w := range weathers {
		t.Run(w.name, func(t *testing.T) {
			var got letters
			d := &alarmDay{weather: w, rand: rand.New(rand.NewPCG(18, uint64(i))), until: map[string]time.Time{}}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				opt := fakeshopify.Options{Seed: 18, Products: 5, MaxVariants: 2, Large: -1, Huge: -1, Lean: true, RotationWindow: 1}
				opt.API.Plan = fakeshopify.Plus
				var err error
				d.truth, err = newTruth(dir, blank, nil, opt, func(w *truth) { w.messages = &got })
				if err != nil {
					t.Fatal(err)
				}
				if err := d.live(length); err != nil {
					t.Error(err)
				}
				if err := d.close(); err != nil {
					t.Error(err)
				}
			})
			table, wrong := d.judge(got.all)
			t.Logf("%d messages in %v:\n%s", len(got.all), length, strings.Join(table, "\n"))
			for _, w := range wrong {
				t.Error(w)
			}
			if len(w.troubles) == 0 && len(got.all) > 0 {
				t.Error("strangers caused messages")
			}
		})
	}
}
