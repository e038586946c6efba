package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/queue"
	"stockroom/store"
)

const (
	jobsShown    = 5  // of each state on the overview
	jobsListed   = 20 // of each state on the page of jobs
	jobsPaged    = 30 // where it is the only list
	payloadShown = 12 << 10
)

// jobList is a part of the jobs of a state and how many there are.
type jobList struct {
	Total   int
	More    string // "and 12 more", "" when all are shown
	Working string // how many more are being worked on, "" for none
	Next    string // path of what follows, "" at the end
	Newest  string // the largest id, what "all" is bound by
	Seen    string // when it was read, in nanoseconds
	Back    string // the page to return to
	Shop    string // that it is narrowed to, "" for none
	Rows    []jobRow
}

// jobRow is a job in words.
type jobRow struct {
	Job
	Key, What, Subject, Shop string
	Path                     string // of the product's page, "" for none
	Dead                     bool
	Mood                     mood
	Failure                  string  // which one a retry is about: when it was, in nanoseconds
	Why                      string  // in sentences, the tries included
	When                     instant // died, or next try
	Next                     string
	Back                     string
}

// jobRows are jobs of a state behind an id: dead letters newest first, waiting
// jobs in the order they came.
func (s *Server) jobRows(ctx context.Context, now time.Time, f queue.Filter, total int, names *titles, back string) jobList {
	l := jobList{Total: total, Seen: strconv.FormatInt(now.UnixNano(), 10), Back: back, Shop: f.Labels[queue.LabelShop]}
	f.NewestFirst = f.State == queue.Dead
	jobs, next, err := s.o.Queue.List(ctx, f)
	if err != nil {
		s.log.Debug("page: jobs", "error", err.Error())
	}
	var newest uint64
	for _, j := range jobs {
		row := s.jobRow(ctx, now, j, names)
		row.Back = back
		l.Rows = append(l.Rows, row)
		newest = max(newest, j.ID)
	}
	l.Newest = strconv.FormatUint(newest, 10)
	l.Total = max(l.Total, len(l.Rows))
	if more := l.Total - len(l.Rows); more > 0 && len(l.Rows) > 0 && f.After == 0 {
		l.More = "and " + number(int64(more)) + " more"
	}
	if next != 0 {
		q := url.Values{"state": {string(f.State)}, "after": {strconv.FormatUint(next, 10)}}
		if l.Shop != "" {
			q.Set("shop", l.Shop)
		}
		l.Next = withQuery("/jobs", q)
	}
	return l
}

// workingWords says how many jobs are leased beside those that wait.
func workingWords(n, waiting int) string {
	more, are := "", "are"
	if waiting > 0 {
		more = " more"
	}
	switch n {
	case 0:
		return ""
	case 1:
		are = "is"
	}
	return number(int64(n)) + more + " " + are + " being worked on now."
}

func (s *Server) jobRow(ctx context.Context, now time.Time, j queue.Job, names *titles) jobRow {
	row := jobRow{
		Job: viewJob(j), Key: "j" + strconv.FormatUint(j.ID, 10), What: jobWords(j.Kind, j.Labels), Shop: names.tag(j.Labels["shop"]),
		Dead: j.State == queue.Dead, Mood: moodWait,
	}
	subject, product := s.jobSubject(ctx, j, names)
	row.Subject = subject
	if product != 0 && (j.Kind != store.DeliveryJob || names.product(j.Labels["shop"], product) != nil) {
		row.Path = productPath(j.Labels["shop"], product)
	}
	if verb := happened(j.Labels["topic"]); verb != "" && j.Kind == store.DeliveryJob && row.Subject != "" {
		row.What = verb
		if j.State == queue.Dead && j.Class == queue.ClassValidation {
			row.What = claimed(verb)
		}
	} else if j.Kind == string(store.WantProduct) && row.Subject != "" {
		row.What = "is to be read from Shopify again"
	}
	if j.State == queue.Dead {
		why := classWords(j.Class)
		if j.Kind != store.DeliveryJob || j.Class != queue.ClassValidation {
			row.Mood = moodBad
		} else {
			why = classWords("mismatch") // nobody was asked: it is about what was sent here
		}
		if j.LastError != "" {
			why += ": " + j.LastError
		}
		row.Why, row.When, row.Failure = sentences(why, triesWords(j)), since(now, j.DiedAt), strconv.FormatInt(j.DiedAt.UnixNano(), 10)
		return row
	}
	row.Why = sentences(row.Job.Why(), triesWords(j))
	row.When, row.Next = ahead(now, j.DueAt), "Next try"
	if j.State == queue.Leased {
		row.When, row.Next = instant{}, "Being worked on"
	} else if !s.o.Queue.HasWorker(j.Kind) {
		row.When, row.Next = instant{}, "Not scheduled"
		row.Why = sentences(row.Why, "It is done when the part of Stockroom that does this runs")
	}
	return row
}

// jobSubject is the product a job is about: what it is called and its id, "" and
// 0 when that is not known.
func (s *Server) jobSubject(ctx context.Context, j queue.Job, names *titles) (string, int64) {
	shop := j.Labels["shop"]
	switch {
	case j.Kind == string(store.WantProduct):
		if id, err := strconv.ParseInt(j.Labels["id"], 10, 64); err == nil {
			return names.of(shop, id), id
		}
	case j.Kind == store.DeliveryJob && j.PayloadBytes <= subjectMost:
		whole, err := s.o.Queue.Get(ctx, j.ID)
		if err != nil {
			return "", 0
		}
		title, id := subjectOf(whole.Payload)
		if title == "" && id != 0 {
			return names.of(shop, id), id
		}
		return title, id
	}
	return "", 0
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

// jobsView is the page of what waits and what failed.
type jobsView struct {
	Dead, Waiting *jobList // nil where the page shows only the other one
	Shops         []option
	Filtered      bool
	First         bool // the lists begin here
}

// option is one entry of a select.
type option struct {
	Value, Name string
	Chosen      bool
}

func (s *Server) jobsPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	now := time.Now()
	q := r.URL.Query()
	after, _, err := page(r, 0, 0)
	if err != nil {
		return err
	}
	shops, err := s.shopOptions(r.Context(), q.Get("shop"))
	if err != nil {
		return err
	}
	f := ofShop(q.Get("shop"))
	f.Limit, f.After = jobsListed, uint64(after)
	state := queue.State(q.Get("state"))
	switch state {
	case queue.Dead, queue.Waiting:
		f.Limit = jobsPaged
	case "":
		f.After = 0
	default:
		return answer.Refuse(http.StatusBadRequest, "Unknown state",
			"The lists are those of what waits and of what failed.")
	}
	v := jobsView{Shops: shops, Filtered: f.Labels != nil, First: f.After == 0}
	names := s.newTitles(r.Context(), len(shops) > 1)
	stats, back := s.o.Queue.Stats(), held(r.URL, false)
	list := func(st queue.State, total int) *jobList {
		f.State = st
		if v.Filtered {
			total = 0 // the number is that of all shops
		}
		l := s.jobRows(r.Context(), now, f, total, names, back)
		if st == queue.Waiting && !v.Filtered {
			l.Working = workingWords(stats.Leased, l.Total)
		}
		return &l
	}
	if state != queue.Waiting {
		v.Dead = list(queue.Dead, stats.Dead)
	}
	if state != queue.Dead {
		v.Waiting = list(queue.Waiting, stats.Waiting)
	}
	return s.show(w, r, sheet{Template: "jobs.html", Title: "Waiting and failed", Section: "/jobs", Reload: 10, Data: v})
}

// shopOptions lists the connected shops for a filter.
func (s *Server) shopOptions(ctx context.Context, chosen string) ([]option, error) {
	views, err := s.o.Shops.List(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]option, 0, len(views))
	for _, v := range views {
		list = append(list, option{Value: v.Shop, Name: shortShop(v.Shop), Chosen: v.Shop == chosen})
	}
	return list, nil
}

// jobPageView is one job.
type jobPageView struct {
	jobRow
	Tries   string
	Payload string
	Cut     bool // the payload goes on
	Damaged bool // it could not be read whole
}

func (s *Server) jobPage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	id, err := jobID(p)
	if err != nil {
		return err
	}
	j, err := s.o.Queue.Get(r.Context(), id)
	if err != nil {
		return err
	}
	v := jobPageView{
		jobRow: s.jobRow(r.Context(), time.Now(), j, s.newTitles(r.Context(), true)), Tries: triesWords(j),
		Damaged: j.Payload == nil && j.PayloadBytes > 0,
	}
	v.Payload, v.Cut = readable(v.Data)
	return s.show(w, r, sheet{Template: "job.html", Title: "Job " + strconv.FormatUint(id, 10), Section: "/jobs", Data: v})
}

// readable indents JSON and cuts what is too long for a page.
func readable(data json.RawMessage) (text string, cut bool) {
	var b bytes.Buffer
	if len(data) > 8*payloadShown || json.Indent(&b, data, "", "  ") != nil {
		b.Reset()
		b.Write(data[:min(len(data), payloadShown)])
		cut = len(data) > payloadShown
	}
	if b.Len() > payloadShown {
		b.Truncate(payloadShown)
		cut = true
	}
	return string(bytes.ToValidUTF8(b.Bytes(), []byte("\uFFFD"))), cut
}

// confirmView asks before something is deleted.
type confirmView struct {
	Title, Text, Undo string
	Action, Button    string
	Back, Stay        string // where the other button leads, and its words
	Hidden            []hiddenField
	Choice            string // of going further: purge
}

// hiddenField is what a form carries on from the page before it.
type hiddenField struct{ Name, Value string }

// discardPage asks whether to discard one job, or all that are listed.
func (s *Server) discardPage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	if p.ByName("action") != "discard" {
		return answer.Refuse(http.StatusNotFound, "Not found", "There is nothing at this path.")
	}
	q := r.URL.Query()
	v := confirmView{Stay: "Keep", Back: localPath(q.Get("back"), "/jobs"), Action: r.URL.Path, Undo: undoWords}
	if p.ByName("id") == "all" {
		for _, name := range []string{"newest", "seen", "shop"} {
			v.Hidden = append(v.Hidden, hiddenField{name, q.Get(name)})
		}
		ids, err := s.deadListed(r)
		if err != nil {
			return err
		}
		n := int64(len(ids))
		v.Title, v.Button = "Discard "+count(n, "item")+"?", "Discard "+count(n, "item")
		v.Text = "Each was kept because it failed for good. What came after you opened the list stays."
		if n > undoJobs {
			v.Undo = "That is more than can be kept for an undo: they are deleted for good."
		}
		return s.show(w, r, sheet{Template: "confirm.html", Title: v.Title, Section: "/jobs", Data: v})
	}
	id, err := jobID(p)
	if err != nil {
		return err
	}
	j, err := s.o.Queue.Get(r.Context(), id)
	if err != nil {
		return err
	}
	row := s.jobRow(r.Context(), time.Now(), j, s.newTitles(r.Context(), true))
	if v.Back == "/jobs/"+strconv.FormatUint(id, 10) {
		v.Back = "/jobs"
	}
	v.Title, v.Button = "Discard this?", "Discard"
	v.Text = sentences(row.Subject+" "+row.What, row.Why)
	if row.Subject == "" {
		v.Text = sentences(row.What, row.Why)
	}
	return s.show(w, r, sheet{Template: "confirm.html", Title: v.Title, Section: "/jobs", Data: v})
}
