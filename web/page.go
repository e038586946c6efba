package web

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/queue"
	"stockroom/store"
)

// How many rows the status page shows of each list.
const (
	updatesShown  = 12
	changesShown  = 8
	jobsShown     = 20
	rejectedShown = 10
	reloadSeconds = 5
)

// instant is a time as the page shows it: in words, with the absolute one
// behind.
type instant struct {
	ISO, Full, Words string
}

func since(now, t time.Time) instant { return at(t, ago(now, t)) }

func at(t time.Time, words string) instant {
	if t.IsZero() {
		return instant{}
	}
	return instant{t.UTC().Format(time.RFC3339), t.Format("Mon 2 Jan 2006, 15:04:05 MST"), words}
}

// pageView is everything the template of the status page needs, in words.
type pageView struct {
	Head     headline
	HeadWhen instant
	Label    string // the mood's word
	Started  instant
	Version  string
	Notices  []noticeRow
	Shops    []shopCard
	Dead     jobList
	Waiting  jobList
	Updates  []updateRow
	Changes  []changeRow
	Rejected []rejectedRow
	Public   string
	DataDir  string
	Seq      string
	Many     bool // more than one shop, so each row says which
}

type noticeRow struct {
	Mood       mood
	Label      string
	Text, Next string
}

type shopCard struct {
	Name, Domain     string
	Line             headline
	LineWhen         instant
	Label            string
	Last             instant // "" when the line says it
	Products, Active string  // "" when they can't be counted now
	Waiting, Dead    string
	HasDead          bool
	HasWaiting       bool
	Selection        string
	Points           string // "38 of 2,000 points used", "" when not known
	FromEnvironment  bool
}

// jobList is the first jobs of a state and how many there are.
type jobList struct {
	Total int
	More  string // "and 12 more", "" when all are shown
	Rows  []jobRow
}

type jobRow struct {
	ID, What, Subject, Shop string
	Why                     string  // in sentences, the tries included
	When                    instant // died, or next try
	Next                    string
	First, Last             string
	WebhookID, Class        string
}

type updateRow struct {
	Mood           mood
	What, Subject  string
	Shop           string
	Label, Meaning string
	Detail         string
	When           instant
}

type changeRow struct {
	Mood          mood
	What, Subject string
	Sub           string
	Shop          string
	When          instant
}

type rejectedRow struct {
	What, Detail, From string
	When               instant
}

func (s *Server) statusPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	now := time.Now()
	f, recent := s.gather(r.Context(), now)
	h := headlineOf(f)
	titles := s.newTitles(r.Context())
	v := pageView{
		Head: h, HeadWhen: since(now, h.When), Label: h.Mood.label(),
		Started: since(now, s.o.Started), Version: s.o.Version,
		Public: s.o.PublicURL, DataDir: s.o.DataDir, Seq: number(s.o.Store.LastSeq()),
		Dead:    s.jobRows(r.Context(), now, queue.Dead, f.queue.Dead, titles),
		Waiting: s.jobRows(r.Context(), now, queue.Waiting, f.queue.Waiting, titles),
		Updates: updateRows(now, recent, titles), Changes: s.changeRows(r.Context(), now, titles),
		Rejected: rejectedRows(now, s.o.Rejected()),
	}
	for _, n := range f.notices {
		v.Notices = append(v.Notices, noticeRow{Mood: n.Level.mood(), Label: n.Level.label(), Text: n.Text, Next: n.Next})
	}
	for _, shop := range f.shops {
		v.Shops = append(v.Shops, cardOf(now, shop))
	}
	v.Many = len(f.shops) > 1
	return s.show(w, r, sheet{Template: "overview.html", Title: h.Mood.label(), Section: "/", Reload: reloadSeconds, Data: v})
}

func (l Level) mood() mood {
	switch l {
	case LevelBad:
		return moodBad
	case LevelWarn:
		return moodWait
	}
	return moodIdle
}

func (l Level) label() string {
	switch l {
	case LevelBad:
		return "Problem"
	case LevelWarn:
		return "Careful"
	}
	return "Note"
}

func cardOf(now time.Time, s shopFacts) shopCard {
	line := shopLine(now, s)
	c := shopCard{
		Name: shortShop(s.Shop), Domain: s.Shop, Line: line, LineWhen: since(now, line.When), Label: line.Mood.label(),
		Waiting: atLeast(s.Waiting, s.AtLeast), Dead: atLeast(s.Dead, s.AtLeast), HasDead: s.Dead > 0, HasWaiting: s.Waiting > 0,
		Selection: selectionWords(s.Selection), FromEnvironment: s.FromEnvironment, Points: pointsWords(s.Calls, now),
	}
	if s.CountsErr == nil {
		c.Products, c.Active = number(s.Counts.Products), number(s.Counts.Active)
	}
	if line.Mood != moodGood {
		c.Last = since(now, s.Last)
	}
	return c
}

func atLeast(n int, more bool) string {
	if more && n > 0 {
		return number(int64(n)) + "+"
	}
	return number(int64(n))
}

// titles looks up what products are called, each once.
type titles struct {
	find func(shop string, id int64) (store.ProductRow, error)
	seen map[productKey]*store.ProductRow
}

type productKey struct {
	shop string
	id   int64
}

func (s *Server) newTitles(ctx context.Context) *titles {
	return &titles{
		find: func(shop string, id int64) (store.ProductRow, error) { return s.o.Store.Product(ctx, shop, id) },
		seen: map[productKey]*store.ProductRow{},
	}
}

// product returns the stored product, nil when there is none.
func (t *titles) product(shop string, id int64) *store.ProductRow {
	key := productKey{shop, id}
	if p, ok := t.seen[key]; ok {
		return p
	}
	var found *store.ProductRow
	if p, err := t.find(shop, id); err == nil {
		found = &p
	}
	t.seen[key] = found
	return found
}

// of returns a product's title, or its id in words.
func (t *titles) of(shop string, id int64) string {
	if p := t.product(shop, id); p != nil && p.Title != nil && *p.Title != "" {
		return *p.Title
	}
	return "Product " + strconv.FormatInt(id, 10)
}

func updateRows(now time.Time, recent []store.DeliveryRow, names *titles) []updateRow {
	rows := make([]updateRow, 0, updatesShown)
	for _, d := range recent[:min(len(recent), updatesShown)] {
		label, meaning := outcomeWords(d.Outcome)
		row := updateRow{
			Mood: outcomeMood(d.Outcome), What: arrival(d.Topic), Shop: shortShop(d.Shop), Label: label, Meaning: meaning,
			When: since(now, time.UnixMilli(d.ReceivedAt)),
		}
		if d.Error != nil && *d.Error != "" {
			row.Meaning = *d.Error
		}
		if verb := happened(d.Topic); verb != "" && d.ExternalID != nil {
			row.Subject, row.What = names.of(d.Shop, *d.ExternalID), verb
		}
		rows = append(rows, row)
	}
	return rows
}

// changeRows are the newest changes of the copy, one a product.
func (s *Server) changeRows(ctx context.Context, now time.Time, names *titles) []changeRow {
	last := s.o.Store.LastSeq()
	list, _, err := s.o.Store.Changes(ctx, max(0, last-5*changesShown), 5*changesShown)
	if err != nil {
		s.log.Debug("status: changes", "error", err.Error())
		return nil
	}
	var rows []changeRow
	shown := map[productKey]bool{}
	for i := len(list) - 1; i >= 0 && len(rows) < changesShown; i-- {
		c := list[i]
		key := productKey{c.Shop, c.ExternalID}
		if shown[key] {
			continue
		}
		shown[key] = true
		row := changeRow{What: changeWords(c.Kind), Subject: names.of(c.Shop, c.ExternalID), Shop: shortShop(c.Shop), When: since(now, time.UnixMilli(c.At)), Mood: moodIdle}
		if p := names.product(c.Shop, c.ExternalID); p != nil {
			row.Sub = productWords(p)
			if p.Status == "ACTIVE" {
				row.Mood = moodGood
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// productWords says how a product stands: its state, variants, price.
func productWords(p *store.ProductRow) string {
	state := "active"
	switch {
	case !p.Selected:
		state = "not selected"
	case p.Status != "ACTIVE":
		state = cmp.Or(text(p.ShopifyStatus), "inactive")
	}
	words := state + ", " + count(int64(len(p.Variants)), "variant")
	price := ""
	for i, v := range p.Variants {
		if i > 0 && text(v.Price) != price {
			return words + ", several prices"
		}
		price = text(v.Price)
	}
	if price != "" {
		words += ", " + price
	}
	return words
}

// jobRows are the first jobs of a state: dead letters newest first, waiting
// jobs in the order they came.
func (s *Server) jobRows(ctx context.Context, now time.Time, state queue.State, total int, names *titles) jobList {
	l := jobList{Total: total}
	jobs, _, err := s.o.Queue.List(ctx, queue.Filter{State: state, NewestFirst: state == queue.Dead, Limit: jobsShown})
	if err != nil {
		s.log.Debug("status: jobs", "error", err.Error())
	}
	for _, j := range jobs {
		l.Rows = append(l.Rows, s.jobRow(ctx, now, j, names))
	}
	l.Total = max(l.Total, len(l.Rows))
	if more := l.Total - len(l.Rows); more > 0 && len(l.Rows) > 0 {
		l.More = "and " + number(int64(more)) + " more"
	}
	return l
}

func (s *Server) jobRow(ctx context.Context, now time.Time, j queue.Job, names *titles) jobRow {
	row := jobRow{
		ID: strconv.FormatUint(j.ID, 10), What: jobWords(j.Kind, j.Labels), Shop: shortShop(j.Labels["shop"]),
		First: j.FirstError, Last: j.LastError, WebhookID: j.Labels["webhook_id"], Class: string(j.Class),
	}
	row.Subject = s.jobSubject(ctx, j, names)
	if verb := happened(j.Labels["topic"]); verb != "" && j.Kind == deliveryKind && row.Subject != "" {
		row.What = verb
	} else if j.Kind == string(store.WantProduct) && row.Subject != "" {
		row.What = "is to be read from Shopify again"
	}
	if j.State == queue.Dead {
		why := classWords(j.Class)
		if j.LastError != "" {
			why += ": " + j.LastError
		}
		row.Why, row.When = sentences(why, triesWords(j)), since(now, j.DiedAt)
		return row
	}
	row.Why = sentences(cmp.Or(j.Reason, j.LastError, j.Labels["waits_for"], j.Labels["reason"]), triesWords(j))
	row.When, row.Next = at(j.DueAt, until(now, j.DueAt)), "Next try"
	if !s.o.Queue.HasWorker(j.Kind) {
		row.When, row.Next = instant{}, "Not scheduled"
		row.Why = sentences(row.Why, "It is done when the part of Stockroom that does this runs")
	}
	return row
}

// jobSubject is the product a job is about, "" when that is not known.
func (s *Server) jobSubject(ctx context.Context, j queue.Job, names *titles) string {
	shop := j.Labels["shop"]
	switch {
	case j.Kind == string(store.WantProduct):
		if id, err := strconv.ParseInt(j.Labels["id"], 10, 64); err == nil {
			return names.of(shop, id)
		}
	case j.Kind == deliveryKind && j.PayloadBytes <= subjectMost:
		whole, err := s.o.Queue.Get(ctx, j.ID)
		if err != nil {
			return ""
		}
		title, id := subjectOf(whole.Payload)
		if title == "" && id != 0 {
			return names.of(shop, id)
		}
		return title
	}
	return ""
}

func triesWords(j queue.Job) string {
	switch {
	case j.Attempts == 0 && j.State == queue.Dead:
		return "not tried, because no try can work"
	case j.Attempts == 0:
		return "not tried yet"
	}
	return strconv.Itoa(j.Attempts) + " of " + strconv.Itoa(j.MaxAttempts) + " tries"
}

func rejectedRows(now time.Time, list []Rejected) []rejectedRow {
	rows := make([]rejectedRow, 0, rejectedShown)
	for _, r := range list[:min(len(list), rejectedShown)] {
		from := r.Address
		if r.Shop != "" {
			from += ", says it is " + shortShop(r.Shop)
		}
		rows = append(rows, rejectedRow{What: rejectedWords(r.Reason), Detail: r.Detail, From: from, When: since(now, r.At)})
	}
	return rows
}
