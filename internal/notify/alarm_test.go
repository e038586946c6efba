package notify

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/status"
)

const (
	linen = "linen.myshopify.com"
	flax  = "flax.myshopify.com"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// clockwork lives minutes of accounts and keeps the messages.
type clockwork struct {
	now  time.Time
	r    record
	sent []Message
}

// lines are those of an account, as "code" or "code shop", in the order of the table.
func account(now time.Time, codes ...string) *status.Account {
	a := &status.Account{Facts: status.Facts{Now: now, Shops: []status.Shop{{Connection: status.Connection{Shop: linen}}, {Connection: status.Connection{Shop: flax}}}}}
	for _, row := range status.Table() {
		for _, c := range codes {
			if code, shop, _ := strings.Cut(c, " "); code == row.Code {
				l := status.Line{Code: code, Shop: shop, Mood: row.Mood, Against: row.Against}
				l.Text = status.Words{{Text: "It is so: " + code + "."}}
				l.Next = status.Words{{Text: "Do something about it."}}
				a.Lines = append(a.Lines, l)
			}
		}
	}
	if len(a.Lines) == 0 {
		a.Lines = []status.Line{{Code: "in-step", Mood: status.Good, Text: status.Words{{Text: "Equal to the shop."}}}}
	}
	a.Head = a.Lines[0]
	return a
}

// live has codes hold for some time, looked at every 10 seconds.
func (c *clockwork) live(d time.Duration, codes ...string) {
	for end := c.now.Add(d); c.now.Before(end); c.now = c.now.Add(10 * time.Second) {
		a := account(c.now, codes...)
		begun, over := c.r.see(a, 10*time.Minute, false)
		if m, ok := c.r.tell(a, begun, over, "https://page.test"); ok {
			c.sent = append(c.sent, m)
		}
	}
}

// want says of each message what its title ends with and what its text holds.
func (c *clockwork) want(t *testing.T, want ...[]string) {
	t.Helper()
	if len(c.sent) != len(want) {
		t.Errorf("%d messages, want %d: %+v", len(c.sent), len(want), c.sent)
		return
	}
	for i, m := range c.sent {
		for _, part := range want[i] {
			if part, not := strings.CutPrefix(part, "!"); strings.Contains(m.Title+"\n"+m.Text, part) == not {
				t.Errorf("message %d: %q, wanted %v:\n%s\n%s", i, part, !not, m.Title, m.Text)
			}
		}
	}
}

func TestATroubleIsToldOnceWhenItLastsAndOnceWhenItIsOver(t *testing.T) {
	c := &clockwork{now: noon}
	c.live(9*time.Minute, "unreachable "+linen)
	c.live(10 * time.Minute)
	c.want(t)
	c.live(3*time.Hour, "unreachable "+linen)
	c.live(4 * time.Minute) // too short for an end
	c.live(time.Hour, "unreachable "+linen)
	c.live(time.Hour)
	c.want(t,
		[]string{": needs attention", "linen: It is so: unreachable.", "Do something about it.", "Since 12:19 UTC, 10 minutes ago.", "https://page.test"},
		[]string{": well again", "Over since 16:23 UTC (told at 12:29 UTC): linen: It is so: unreachable.", "The status page says: Equal to the shop."})
}

func TestWhatStrangersCanCauseAndPlannedWorkMakeNoMessage(t *testing.T) {
	c := &clockwork{now: noon}
	var codes []string
	for code := range quiet() {
		codes = append(codes, code+" "+linen)
		if !slices.Contains(status.Codes(), code) {
			t.Errorf("%s is no code of the table", code)
		}
	}
	c.live(2*time.Hour, codes...)
	c.want(t)
}

func TestConsequencesOfATroubleMakeNoMessageAndGraverOnesDo(t *testing.T) {
	c := &clockwork{now: noon}
	c.live(20*time.Minute, "unreachable "+linen)
	c.live(5*time.Hour, "unreachable "+linen, "overdue "+linen, "unproven "+linen)
	c.live(30*time.Minute, "overdue "+linen)
	c.want(t, []string{"unreachable"})
	c.live(time.Hour, "overdue "+linen) // what is left stays
	c.live(time.Hour, "uninstalled "+linen, "overdue "+linen)
	c.want(t, []string{"unreachable"}, []string{"overdue"}, []string{"uninstalled", "Still so:\nlinen: It is so: overdue."})
}

func TestEachShopAndWhatStandsForItselfAreToldOf(t *testing.T) {
	c := &clockwork{now: noon}
	c.live(30*time.Minute, "space-low")
	c.live(30*time.Minute, "space-low", "unreachable "+linen)
	c.live(30*time.Minute, "space-low", "unreachable "+linen, "unreachable "+flax, "version-ends", "certificate-ends")
	c.live(30*time.Minute, "space-low", "version-ends", "certificate-ends")
	c.live(30 * time.Minute)
	c.want(t, []string{"space-low"}, []string{"linen", "Still so:\nIt is so: space-low"}, []string{"flax", "version-ends", "certificate-ends"},
		[]string{"needs attention", "Over since", "flax", "linen"}, []string{"well again", "version-ends"})
}

func TestATroubleOfAllShopsHidesThoseOfEach(t *testing.T) {
	c := &clockwork{now: noon}
	c.live(30*time.Minute, "unreachable "+linen)
	c.live(3*time.Hour, "store-both")
	c.live(30*time.Minute, "unreachable "+linen)
	c.live(30 * time.Minute)
	c.want(t, []string{"unreachable"}, []string{"store-both", "!Over since"}, []string{"Over since 15:30 UTC (told at 12:40 UTC): It is so: store-both"}, []string{"well again", "unreachable"})
}

func TestAtMostFourMessagesLeaveInAnHourAndTheNextTellsWhatWasHeldBack(t *testing.T) {
	c := &clockwork{now: noon}
	var codes []string
	for _, code := range []string{"space-low", "log-long", "version-ends", "certificate-ends", "certificate-page", "dead-other", "stuck"} {
		codes = append(codes, code)
		c.live(time.Minute, codes...)
	}
	c.live(20*time.Minute, codes...)
	if len(c.sent) != hourly {
		t.Fatalf("%d messages in an hour: %+v", len(c.sent), c.sent)
	}
	held := slices.Clone(c.r.Held)
	if len(held) == 0 {
		t.Fatal("nothing is held back")
	}
	c.live(90 * time.Minute)
	all := ""
	for _, m := range c.sent[hourly:] {
		all += m.Text
	}
	for _, h := range held {
		if !strings.Contains(all, h) {
			t.Errorf("%q is lost:\n%s", h, all)
		}
	}
	if last := c.sent[len(c.sent)-1]; !strings.HasSuffix(last.Title, "well again") {
		t.Errorf("the last says %q", last.Title)
	}
}

func TestWhatWasToldOutlivesARestart(t *testing.T) {
	c := &clockwork{now: noon}
	restart := func() {
		raw, err := json.Marshal(c.r)
		if err != nil {
			t.Fatal(err)
		}
		c.r = record{}
		if err := json.Unmarshal(raw, &c.r); err != nil {
			t.Fatal(err)
		}
	}
	c.live(6*time.Minute, "unreachable "+linen)
	restart()
	c.live(6*time.Minute, "unreachable "+linen)
	restart()
	c.live(time.Hour, "unreachable "+linen)
	restart()
	c.live(time.Hour)
	c.want(t, []string{"Since 12:00 UTC, 10 minutes ago."}, []string{"well again"})
}

func TestAMessageFitsWhateverIsWrong(t *testing.T) {
	a := account(noon, status.Codes()...)
	for i := range a.Lines {
		a.Lines[i].Text = status.Words{{Text: strings.Repeat("Größe ", 100)}}
	}
	var r record
	r.see(a, time.Minute, false)
	a.Now = noon.Add(time.Hour)
	begun, over := r.see(a, time.Minute, false)
	m, ok := r.tell(a, begun, over, "https://page.test")
	if n := len(m.Title) + len(m.Text); !ok || n > 1990 || !strings.HasSuffix(m.Text, "Status page: https://page.test") || !json.Valid([]byte(`"`+strings.ReplaceAll(m.Text, "\n", " ")+`"`)) {
		t.Errorf("%v, %d bytes: %s", ok, n, m.Text)
	}
}

func TestThePageOfTheAlarmTellsWhichLinesMakeNoMessage(t *testing.T) {
	text, err := os.ReadFile("../../docs/alarm.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (.+) \\|$").FindAllStringSubmatch(string(text), -1) {
		if told = append(told, m[1]); quiet()[m[1]] != m[2] {
			t.Errorf("%s: docs/alarm.md says %q, the table %q", m[1], m[2], quiet()[m[1]])
		}
	}
	if len(told) != len(quiet()) {
		t.Errorf("docs/alarm.md tells of %v", told)
	}
}
