package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/status"
	"stockroom/queue"
	"stockroom/webhook"
)

// How many rows the overview shows of each list.
const (
	updatesShown  = 8
	changesShown  = 6
	cardsShown    = 5
	reloadSeconds = 5
)

// pageView is everything the template of the overview needs, in words.
type pageView struct {
	Head      status.Line
	Started   time.Time
	Version   string
	Notices   []status.Notice
	Shops     []shopCard
	MoreShops string // "and 988 more", "" when all are shown
	Dead      jobList
	Waiting   jobList
	Updates   []listRow
	Changes   []listRow
	Rejected  []webhook.Rejected
	Public    string
	DataDir   string
	Seq       int64
	Many      bool         // more than one shop
	Connect   *connectForm // nil where a shop is connected

	Certificates []status.Certificate
}

type shopCard struct {
	shopView
	Products, Active string // "" when they can't be counted now
	Waiting          int    // jobs, and changes that were found
	ToGo             string // how long those take, "" when that is not known
	Pull             bool
	DeadMood         mood // "" for none
	PointsBar        *meter
	Progress         *progressView
	Spark            spark
}

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	ctx := r.Context()
	a := s.account(ctx)
	now := a.Now
	recent, err := s.o.Store.Deliveries(ctx, "", 0, updatesShown)
	if err != nil {
		s.log.Debug("overview: deliveries", "error", err.Error())
	}
	names := s.newTitles(ctx, len(a.Shops) > 1)
	v := pageView{
		Head: a.Head, Notices: a.Notices,
		Started: s.o.Started, Version: s.o.Version,
		Public: s.o.PublicURL, DataDir: s.o.DataDir, Certificates: a.Certificates, Seq: s.o.Store.LastSeq(),
		Dead:    s.jobRows(ctx, now, queue.Filter{State: queue.Dead, Limit: jobsShown}, a.Queue.Dead, names, "/"),
		Waiting: s.jobRows(ctx, now, queue.Filter{State: queue.Waiting, Limit: jobsShown}, a.Queue.Waiting, names, "/"),
		Updates: updateRows(now, recent, names), Changes: s.changeRows(ctx, now, names),
		Rejected: s.o.Rejected(), Many: names.many,
	}
	v.Waiting.Working = workingWords(a.Queue.Leased, v.Waiting.Total)
	shown := slices.Clone(a.Shops)
	if len(shown) > cardsShown { // those that need a person first
		slices.SortStableFunc(shown, func(x, y status.Shop) int {
			return cmp.Compare(a.Of(y.Shop).Mood.Weight(), a.Of(x.Shop).Mood.Weight())
		})
		v.MoreShops = "and " + number(int64(len(shown)-cardsShown)) + " more"
		shown = shown[:cardsShown]
	}
	for _, shop := range shown {
		card := s.cardOf(ctx, a, shop)
		minutes := s.o.Store.Activity(shop.Shop, now)
		card.Spark = sparkOf(minutes[:])
		v.Shops = append(v.Shops, card)
	}
	page := sheet{Template: "overview.html", Title: a.Head.Mood.Label(), Section: "/", Reload: reloadSeconds}
	if len(a.Shops) == 0 && a.ShopsErr == nil {
		v.Connect, page.Reload = s.emptyForm(), 0
	}
	page.Data = v
	return s.show(w, r, page)
}

func (s *Server) cardOf(ctx context.Context, a *status.Account, shop status.Shop) shopCard {
	c := shopCard{shopView: shopOf(a, shop), Progress: progressOf(running(shop.Sync)), Waiting: shop.Jobs.Waiting}
	if shop.Sync != nil {
		l := shop.Sync.Looking
		c.Waiting, c.ToGo, c.Pull = c.Waiting+l.Waiting, l.ToGo(a.Now), l.Pull
	}
	if shop.Jobs.Dead > shop.Jobs.Misfits {
		c.DeadMood = moodBad
	} else if shop.Jobs.Dead > 0 {
		c.DeadMood = moodWait
	}
	if counts, err := s.counts.get(ctx, shop.Shop); err == nil {
		c.Products, c.Active = number(counts.Products), number(counts.Active)
	}
	if shop.Calls != nil {
		if m, ok := meterOf(int64(shop.Calls.Used), int64(shop.Calls.Budget)); ok {
			c.PointsBar = &m
		}
	}
	return c
}

// callsWords says how the calls to a shop stand, "" when nothing is known.
func callsWords(a *status.Account, s status.Shop) (string, mood) {
	c := s.Calls
	switch {
	case c == nil:
		return "", moodIdle
	case s.State != "active":
		return "No call goes out but to ask whether the shop goes on", moodWait
	case c.Held && c.Circuit == "open":
		return "Calls to Shopify are held back by hand", moodWait
	case c.Held:
		return "Calls go out by hand, however many fail", moodWait
	case c.Circuit == "open":
		return "Calls are stopped until the next try", moodWait
	case c.Circuit == "half-open":
		return "Shopify did not answer; the next call tries it", moodWait
	case c.Failed != "":
		return "The newest call failed", moodWait
	case c.Wait(a.Now):
		return "Calls to Shopify wait for their turn", moodWait
	}
	return "Calls to Shopify go out", moodGood
}
