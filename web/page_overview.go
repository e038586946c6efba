package web

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/queue"
)

// How many rows the overview shows of each list.
const (
	updatesShown  = 8
	changesShown  = 6
	cardsShown    = 8
	rejectedShown = 5
	reloadSeconds = 5
)

// pageView is everything the template of the overview needs, in words.
type pageView struct {
	Head      headline
	HeadWhen  instant
	Label     string // the mood's word
	Started   instant
	Version   string
	Notices   []noticeRow
	Shops     []shopCard
	MoreShops string // "and 988 more", "" when all are shown
	Dead      jobList
	Waiting   jobList
	Updates   []updateRow
	Changes   []changeRow
	Rejected  []rejectedRow
	Public    string
	DataDir   string
	Seq       string
	Many      bool // more than one shop
}

type shopCard struct {
	Name, Domain     string
	Line             headline
	LineWhen         instant
	Label            string
	Last             instant // "" when the line says it
	Products, Active string  // "" when they can't be counted now
	Remote           string  // the shop's own count, "" when not known
	RemoteAt         instant // when it was counted
	Waiting, Dead    string
	Oldest           instant // of the waiting
	HasDead          bool
	HasWaiting       bool
	Selection        string
	Points           string // "38 of 2,000 points used", "" when not known
	PointsBar        *meter
	Circuit          string // how the calls to the shop stand, "" when not known
	CircuitMood      mood
	Step             *stepView
	Progress         *progressView
	Spark            spark
	FromEnvironment  bool
}

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	ctx, now := r.Context(), time.Now()
	f, recent := s.gather(ctx, now)
	h := headlineOf(f)
	names := s.newTitles(ctx, len(f.shops) > 1)
	v := pageView{
		Head: h, HeadWhen: since(now, h.When), Label: h.Mood.label(),
		Started: since(now, s.o.Started), Version: s.o.Version,
		Public: s.o.PublicURL, DataDir: s.o.DataDir, Seq: number(s.o.Store.LastSeq()),
		Dead:    s.jobRows(ctx, now, queue.Filter{State: queue.Dead, Limit: jobsShown}, f.queue.Dead, names, "/"),
		Waiting: s.jobRows(ctx, now, queue.Filter{State: queue.Waiting, Limit: jobsShown}, f.queue.Waiting, names, "/"),
		Updates: updateRows(now, recent[:min(len(recent), updatesShown)], names), Changes: s.changeRows(ctx, now, names),
		Rejected: rejectedRows(now, s.o.Rejected()), Many: names.many,
	}
	v.Waiting.Working = workingWords(f.queue.Leased, v.Waiting.Total)
	for _, n := range f.notices {
		v.Notices = append(v.Notices, noticeRow{Mood: n.Level.mood(), Label: n.Level.label(), Text: n.Text, Next: n.Next})
	}
	shown := f.shops
	if len(shown) > cardsShown { // those that need a person first
		slices.SortStableFunc(shown, func(a, b shopFacts) int {
			return cmp.Compare(shopLine(now, b).Mood.weight(), shopLine(now, a).Mood.weight())
		})
		v.MoreShops = "and " + number(int64(len(shown)-cardsShown)) + " more"
		shown = shown[:cardsShown]
	}
	s.countShops(ctx, shown)
	for _, shop := range shown {
		card := cardOf(now, shop)
		minutes := s.o.Store.Activity(shop.Shop, now)
		card.Spark = sparkOf(minutes[:])
		v.Shops = append(v.Shops, card)
	}
	return s.show(w, r, sheet{Template: "overview.html", Title: h.Mood.label(), Section: "/", Reload: reloadSeconds, Data: v})
}

// weight orders moods by how much they need a person.
func (m mood) weight() int {
	switch m {
	case moodBad:
		return 3
	case moodWait:
		return 2
	case moodIdle:
		return 1
	}
	return 0
}

func cardOf(now time.Time, s shopFacts) shopCard {
	line := shopLine(now, s)
	c := shopCard{
		Name: shortShop(s.Shop), Domain: s.Shop, Line: line, LineWhen: since(now, line.When), Label: line.Mood.label(),
		Waiting: atLeast(s.Waiting, s.AtLeast), Dead: atLeast(s.Dead, s.AtLeast), HasDead: s.Dead > 0, HasWaiting: s.Waiting > 0,
		Oldest: since(now, s.OldestJob), Selection: selectionWords(s.Selection), FromEnvironment: s.FromEnvironment, Points: pointsWords(s.Calls, now),
		Step: stepOf(now, s.Sync),
	}
	if s.CountsErr == nil {
		c.Products, c.Active = number(s.Counts.Products), number(s.Counts.Active)
	}
	if line.When != s.Last {
		c.Last = since(now, s.Last)
	}
	if s.Sync != nil {
		c.Progress = progressOf(now, s.Sync)
		if c.Progress != nil && c.Line.Next == sentences(c.Progress.Words) {
			c.Line.Next = "" // the bar below says so
		}
		if s.Sync.Remote >= 0 && !s.Sync.RemoteAt.IsZero() {
			c.Remote, c.RemoteAt = number(s.Sync.Remote), clock(now, s.Sync.RemoteAt)
		}
	}
	c.Circuit, c.CircuitMood = circuitWords(now, s.Calls)
	if s.Calls != nil {
		if m, ok := meterOf(int64(s.Calls.Used), int64(s.Calls.Budget)); ok {
			c.PointsBar = &m
		}
	}
	return c
}

// circuitWords says how the calls to a shop stand, "" when nothing is known.
func circuitWords(now time.Time, c *Calls) (string, mood) {
	switch {
	case c == nil:
		return "", moodIdle
	case c.Held && c.Circuit == "open":
		return "Calls to Shopify are held back by hand", moodWait
	case c.Held:
		return "Calls go out by hand, however many fail", moodWait
	case c.Circuit == "open" && c.RetryAt.After(now):
		return "Shopify is not answering, next try at " + c.RetryAt.Format("15:04:05") + ", " + until(now, c.RetryAt), moodWait
	case c.Circuit == "open":
		return "Shopify is not answering, next try with the next job", moodWait
	case c.Circuit == "half-open":
		return "Shopify did not answer; the next call tries it", moodWait
	}
	if c.wait(now) {
		return "Calls to Shopify wait for their turn", moodWait
	}
	return "Calls to Shopify go out", moodGood
}

func atLeast(n int, more bool) string {
	if more && n > 0 {
		return number(int64(n)) + "+"
	}
	return number(int64(n))
}
