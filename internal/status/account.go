package status

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Mood is how things stand; it picks the mark, its word and its colour.
type Mood string

// The moods, from best to worst.
const (
	Good Mood = "good" // proven, as of an instant that is named
	Idle Mood = "idle" // nothing wrong, nothing to tell yet
	Wait Mood = "wait" // something waits and goes on automatically, or may need a look
	Bad  Mood = "bad"  // a person has to do something, or nothing can be stored
)

// Label is the word beside the mark: state is never told by colour alone.
func (m Mood) Label() string {
	return cmp.Or(map[Mood]string{Good: "All well", Idle: "Ready", Wait: "Waiting"}[m], "Needs attention")
}

// Weight orders moods by how much they need a person.
func (m Mood) Weight() int { return slices.Index([]Mood{Good, Idle, Wait, Bad}, m) }

// Line is one thing that is so: a sentence, what happens next and, where
// something has to be typed, the command; a row gives the words of it only.
type Line struct {
	Code    string // of its row in the table
	Mood    Mood
	Shop    string // "" when it is about everything
	Text    Words
	Next    Words
	Command string
	// Against: while it holds, the copy is not in step.
	Against bool
}

// Sentence is its text with the instants in UTC.
func (l Line) Sentence(now time.Time) string { return l.Text.Text(now) }

// Account is how everything stands at one instant.
type Account struct {
	Facts
	Head  Line   // the gravest line, said of all shops that it holds for
	Lines []Line // all that hold, in the order of the table, those of one shop by shop
}

// judge asks each row of the table, in its order.
func judge(table []Row, f Facts) *Account {
	a := &Account{Facts: f}
	for _, row := range table {
		from := len(a.Lines)
		if row.Whole != nil {
			if l, ok := row.Whole(&a.Facts); ok {
				a.Lines = append(a.Lines, row.line(&a.Facts, "", l))
			}
		}
		if row.Shop != nil {
			for i := range a.Shops {
				if row.Mood == Good && a.against(a.Shops[i].Shop) != nil || row.Pushed && a.Shops[i].pull() {
					continue // a proof of before says nothing better than what is known since
				}
				if l, ok := row.Shop(&a.Facts, &a.Shops[i]); ok {
					a.Lines = append(a.Lines, row.line(&a.Facts, a.Shops[i].Shop, l))
				}
			}
		}
		if a.Head.Code == "" && len(a.Lines) > from {
			a.Head = headOf(row, &a.Facts, a.Lines[from:])
		}
	}
	for i := range a.Shops {
		a.step(&a.Shops[i])
	}
	return a
}

func (r Row) line(f *Facts, shop string, l Line) Line {
	if l.Command != "" {
		l.Command = f.command(l.Command)
	}
	l.Code, l.Shop, l.Against = r.Code, shop, r.Against
	if l.Mood == "" {
		l.Mood = r.Mood
	}
	return l
}

// command writes a command line.
func (f *Facts) command(words string) string {
	if f.Command == nil {
		return "stockroom " + words
	}
	return f.Command(words)
}

// headOf says the lines of one row as a headline.
func headOf(row Row, f *Facts, lines []Line) Line {
	h, shops := lines[0], len(f.Shops)
	switch {
	case len(lines) > 1 && row.All != nil:
		return row.All(f, lines)
	case shops < 2 || h.Shop == "":
		return h
	case len(lines) == 1:
		h.Text = say(ShortShop(h.Shop)+": ", h.Text)
		return h
	}
	var names []string
	for _, l := range lines {
		names = append(names, ShortShop(l.Shop))
	}
	of := fmt.Sprintf("%d of %d shops (%s): ", len(lines), shops, Enumerate(names))
	h.Text, h.Shop, h.Command = say(of, h.Text), "", ""
	h.Next = say("Each shop says below why, and what happens next.")
	return h
}

// step says whether a copy is in step with its shop, and what is against it.
func (a *Account) step(s *Shop) {
	if s.Sync == nil {
		return
	}
	l := a.against(s.Shop)
	if s.Sync.InStep = l == nil; l != nil {
		s.Sync.Why, s.Sync.Cause = l.Sentence(a.Now), l.Code
	}
}

// against is the gravest line that stands against a shop's copy being in step,
// nil for none.
func (a *Account) against(shop string) *Line {
	for i := range a.Lines {
		if l := &a.Lines[i]; l.Against && (l.Shop == "" || l.Shop == shop) {
			return l
		}
	}
	return nil
}

// Of is how one shop stands: its gravest line, or what is so for everything.
func (a *Account) Of(shop string) Line {
	for _, l := range a.Lines {
		if l.Shop == shop || l.Shop == "" && l.Against {
			return l
		}
	}
	return Line{Code: "unknown", Mood: Idle, Shop: shop, Text: say("Connected.")}
}

// Shop returns one of the shops, nil when it is not connected.
func (a *Account) Shop(name string) *Shop {
	for i := range a.Shops {
		if a.Shops[i].Shop == name {
			return &a.Shops[i]
		}
	}
	return nil
}

// Readiness is whether deliveries can be made durable, and what is not as it
// should be.
type Readiness struct {
	Status   string   `json:"status"`   // ready, degraded or unavailable
	Degraded []string `json:"degraded"` // names of the checks that are not ok
	Checks   []Check  `json:"checks"`
}

// Check is one line of it.
type Check struct {
	Name   string     `json:"name"`
	OK     bool       `json:"ok"`
	Reason string     `json:"reason,omitempty"` // one sentence
	Next   string     `json:"next,omitempty"`   // what happens next
	Since  *time.Time `json:"since,omitempty"`
}

// Ready says whether the catalogue or the retry queue can make a delivery durable,
// and lists what of the files and their disk is not as it should be. How a shop
// stands is no part of it: an orchestrator must not restart what takes deliveries.
func (a *Account) Ready() Readiness {
	ready := Readiness{Status: "ready"}
	add := func(c Check) {
		ready.Checks = append(ready.Checks, c)
		if !c.OK {
			ready.Degraded = append(ready.Degraded, c.Name)
			ready.Status = "degraded"
		}
	}
	catalogue := Check{Name: "catalogue", OK: a.Catalogue.OK}
	if !catalogue.OK {
		catalogue.Reason = "The catalogue can't be written: " + CauseWords(a.Catalogue) + "."
		catalogue.Next = a.storedWords()
		if since := a.Catalogue.Since.UTC(); !a.Catalogue.Since.IsZero() {
			catalogue.Since = &since
		}
	}
	add(catalogue)
	queue := Check{Name: "queue", OK: a.Queue.OK}
	if !queue.OK {
		queue.Reason, queue.Next = "The retry queue can't be used: "+a.Queue.Reason+".", "It is tried again automatically."
	}
	add(queue)
	for _, n := range a.Notices {
		if n.Level != LevelInfo {
			add(Check{Name: "notice", Reason: n.Text, Next: n.Next})
		}
	}
	for _, l := range a.Lines {
		if l.Code == "space-out" {
			add(Check{Name: l.Code, Reason: l.Text.Text(a.Now), Next: l.Next.Text(a.Now)})
		}
	}
	if !catalogue.OK && !queue.OK {
		ready.Status = "unavailable"
	}
	return ready
}

// AsOf is the oldest of the shops' newest proofs: as of then every copy equalled
// its shop's. Zero when one has none.
func (a *Account) AsOf() (t time.Time) {
	for _, s := range a.Shops {
		if s.Sync == nil || s.Sync.AsOf.IsZero() {
			return time.Time{}
		}
		t = earlier(t, s.Sync.AsOf)
	}
	return t
}
