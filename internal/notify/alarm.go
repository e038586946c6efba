package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/internal/status"
)

const (
	// A trouble that is not there for so long is over; one that was not told yet, when it
	// is not there for sameAgain. Less where Options.After is less.
	calmFor   = 5 * time.Minute
	sameAgain = time.Minute
	// milder is how long a trouble has to last that is less grave than what was told and
	// has taken its place.
	milder = time.Hour

	hourly     = 4 // messages
	linesMost  = 6 // of one kind in a message
	lettersFor = time.Hour
)

// quiet are the lines that are red or yellow and no reason for a message.
func quiet() map[string]string {
	const (
		strangers = "anybody can cause it"
		atWork    = "Stockroom is at work as planned; another line holds when it can't be"
	)
	return map[string]string{
		"secret-doubt": strangers, "misfits": strangers, "stranger": strangers,
		"first-read": atWork, "never-compared": atWork, "owed": atWork, "loss": atWork, "reading": atWork, "disputed": atWork,
		"late":          "changes are looked for meanwhile; `deaf` holds when nothing is heard",
		"calls-held":    "a person did it",
		"notify-failed": "it is about the messages themselves",
	}
}

// alarms reports whether a line is a reason for a message.
func alarms(l status.Line) bool {
	_, no := quiet()[l.Code]
	return !no && (l.Mood == status.Bad || l.Mood == status.Wait)
}

// record is what is known of troubles, and what is still to be sent.
type record struct {
	Troubles map[string]*trouble `json:"troubles,omitempty"`
	Sent     []time.Time         `json:"sent,omitempty"` // messages of the last hour
	Held     []string            `json:"held,omitempty"` // what too many messages held back
	Letters  []*letter           `json:"letters,omitempty"`
}

// trouble is a cause that is told of: the gravest line of a shop that stands against its
// copy (the others follow from it), or one that stands for itself.
type trouble struct {
	Since time.Time `json:"since"`
	Quiet time.Time `json:"quiet,omitzero"` // since when nothing of it holds
	Code  string    `json:"code"`           // of the gravest line now, since CodeSince
	From  time.Time `json:"from"`
	Told  string    `json:"told,omitempty"` // the code that was told last
	Says  string    `json:"says,omitempty"` // and what was said
	At    time.Time `json:"at,omitzero"`    // and when
	line  *status.Line
}

// letter is a message and who has not got it yet.
type letter struct {
	Message
	At    time.Time `json:"at"`
	To    []string  `json:"to"` // names of targets
	Tries int       `json:"tries,omitempty"`
	Next  time.Time `json:"next,omitzero"`
}

// heads are the lines to tell of, by the trouble that they are of, and the gravest that
// stands against all copies, nil for none: what hides the troubles of single shops.
func heads(a *status.Account) (all map[string]*status.Line, hides *status.Line) {
	all = map[string]*status.Line{}
	for i := range a.Lines {
		l := &a.Lines[i]
		of := l.Shop
		switch {
		case !alarms(*l):
			continue
		case !l.Against:
			of = l.Code + " " + l.Shop
		case l.Shop != "" && hides != nil:
			continue
		case l.Shop == "" && hides == nil:
			hides = l
		}
		if all[of] == nil {
			all[of] = l
		}
	}
	return all, hides
}

// see takes an account in. It returns what is to be told now: troubles that have lasted,
// and those that were told and are over. None are while what stands has yet to show.
func (r *record) see(a *status.Account, after time.Duration, settling bool) (begun, over []*trouble) {
	all, hides := heads(a)
	now := a.Now
	if r.Troubles == nil {
		r.Troubles = map[string]*trouble{}
	}
	for of, l := range all {
		t := r.Troubles[of]
		if t == nil {
			t = &trouble{Since: now}
			r.Troubles[of] = t
		}
		t.line, t.Quiet = l, time.Time{}
		if t.Code != l.Code {
			t.Code, t.From = l.Code, now
		}
		if t.due(now, after) {
			begun = append(begun, t)
		}
	}
	if settling {
		return nil, nil
	}
	over = r.age(all, hides != nil, now, after, len(begun) > 0)
	order := func(t, u *trouble) int { return rank(t.Code) - rank(u.Code) }
	slices.SortStableFunc(begun, order)
	slices.SortStableFunc(over, order)
	return begun, over
}

// age forgets troubles that have not held for long enough and returns those of them that
// were told: all at once, or beside what is told now. So they wait for those that may
// follow within minutes.
func (r *record) age(
	all map[string]*status.Line, hidden bool, now time.Time, after time.Duration, telling bool,
) (over []*trouble) {
	var gone []string
	waits := false
	for of, t := range r.Troubles {
		switch {
		case all[of] != nil:
			waits = waits || t.Told == ""
			continue
		case hidden && !strings.Contains(of, " "):
			t.line = nil
			continue // it can't be seen now whether it holds
		case t.Quiet.IsZero():
			t.Quiet = now
		}
		t.line = nil
		switch passed := now.Sub(t.Quiet); {
		case t.Told == "" && passed >= min(after, sameAgain):
			delete(r.Troubles, of)
		case t.Told != "" && passed >= min(after, calmFor):
			gone = append(gone, of)
		default:
			waits = true
		}
	}
	if waits && !telling {
		return nil
	}
	for _, of := range gone {
		over = append(over, r.Troubles[of])
		delete(r.Troubles, of)
	}
	return over
}

func rank(code string) int { return slices.Index(status.Codes(), code) }

// due reports whether a trouble that holds is to be told: it has lasted, and nothing as
// grave was told of it.
func (t *trouble) due(now time.Time, after time.Duration) bool {
	switch {
	case t.Told == "":
		return now.Sub(t.Since) >= after
	case t.Told == t.Code:
		return false
	case rank(t.Code) < rank(t.Told):
		return now.Sub(t.From) >= after
	}
	return now.Sub(t.From) >= max(after, milder)
}

// tell makes of what is new the message to send now, false for none, and notes that it was
// told. More than a few in an hour are held back until there is room.
func (r *record) tell(a *status.Account, begun, over []*trouble, place string) (m Message, ok bool) {
	now := a.Now
	r.Sent = slices.DeleteFunc(r.Sent, func(at time.Time) bool { return now.Sub(at) >= time.Hour })
	full := len(r.Sent) >= hourly
	if len(begun)+len(over) == 0 && (len(r.Held) == 0 || full) {
		return m, false
	}
	var text paragraphs
	text.add("", begunWords(a, begun))
	text.add("", overWords(over))
	for _, t := range begun {
		t.Told, t.Says, t.At = t.Code, named(a, t.line), now
	}
	if full {
		for _, p := range slices.Concat(begunShort(a, begun), overWords(over)) {
			r.Held = append(r.Held, clock(now)+" "+p)
		}
		return m, false
	}
	text.add("Held back, as there were more than "+fmt.Sprint(hourly)+" messages in an hour:\n", r.Held)
	r.Held, r.Sent = nil, append(r.Sent, now)
	still := still(a, begun)
	text.add("Still so:\n", still)
	title, last := "needs attention", "You get a message when it is well again."
	if len(begun)+len(still) == 0 && !r.anyTold() {
		title, last = "well again", "The status page says: "+a.Head.Sentence(now)
	}
	text.add("", []string{last})
	text.add("", []string{"Status page: " + place})
	return Message{Title: "Stockroom" + about(a) + ": " + title, Text: text.String()}, true
}

// anyTold reports whether something that was told is not over.
func (r *record) anyTold() bool {
	for _, t := range r.Troubles {
		if t.Told != "" {
			return true
		}
	}
	return false
}

// begunWords says what is wrong, what to do, and since when.
func begunWords(a *status.Account, begun []*trouble) (list []string) {
	for _, t := range begun {
		next := strings.TrimSpace(t.line.Next.Text(a.Now) + " " + t.line.Command)
		if next != "" {
			next = "\nWhat to do, and what happens next: " + next
		}
		since := clock(t.Since)
		if t.Since.UTC().YearDay() != a.Now.UTC().YearDay() {
			since = t.Since.UTC().Format("2 Jan 15:04 UTC")
		}
		list = append(list, named(a, t.line)+next+"\nSince "+since+", "+status.Ago(a.Now, t.Since)+".")
	}
	return list
}

func begunShort(a *status.Account, begun []*trouble) (list []string) {
	for _, t := range begun {
		list = append(list, named(a, t.line))
	}
	return list
}

func overWords(over []*trouble) (list []string) {
	for _, t := range over {
		list = append(list, "Over since "+clock(t.Quiet)+" (told at "+clock(t.At)+"): "+t.Says)
	}
	return list
}

// still are the other lines that hold and are a reason for a message.
func still(a *status.Account, begun []*trouble) (list []string) {
	for i := range a.Lines {
		l := &a.Lines[i]
		if alarms(*l) && !slices.ContainsFunc(begun, func(t *trouble) bool { return t.line == l }) {
			list = append(list, named(a, l))
		}
	}
	return list
}

// named is a line's sentence with its shop.
func named(a *status.Account, l *status.Line) string {
	text := l.Sentence(a.Now)
	if l.Shop != "" {
		text = status.ShortShop(l.Shop) + ": " + text
	}
	return text
}

// about names the shop where there is one.
func about(a *status.Account) string {
	if len(a.Shops) == 1 {
		return ", " + status.ShortShop(a.Shops[0].Shop)
	}
	return ""
}

func clock(t time.Time) string { return t.UTC().Format("15:04 UTC") }

// paragraphs are the parts of a message.
type paragraphs []string

// add adds a part of some lines below a title, as many as a message may hold.
func (p *paragraphs) add(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	if more := len(lines) - linesMost; more > 0 {
		lines = append(slices.Clone(lines[:linesMost]), "and "+fmt.Sprint(more)+" more, which the status page shows")
	}
	*p = append(*p, title+strings.Join(lines, "\n"))
}

// most bounds a message: Discord takes 2,000 characters.
const most = 1800

func (p paragraphs) String() string {
	text := strings.Join(p, "\n\n")
	if len(text) <= most {
		return text
	}
	last := p[len(p)-1] // where the page is
	return strings.ToValidUTF8(text[:most-len(last)], "") + " ...\n\n" + last
}
