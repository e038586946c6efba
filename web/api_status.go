package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/catalog"
)

// statusView is the answer of /api/v1/status.
type statusView struct {
	Version   string       `json:"version"`
	StartedAt time.Time    `json:"started_at"`
	Now       time.Time    `json:"now"`
	Demo      bool         `json:"demo"`
	Mood      mood         `json:"mood"` // good, idle, wait or bad
	Sentence  string       `json:"sentence"`
	Next      string       `json:"next,omitempty"`
	Command   string       `json:"command,omitempty"`
	Ready     readiness    `json:"ready"`
	Queue     queueStatus  `json:"queue"`
	Shops     []shopStatus `json:"shops"`
	Notices   []Notice     `json:"notices"`
	LastSeq   int64        `json:"last_seq"` // newest number of the change feed
	LastAt    *time.Time   `json:"last_update_at"`
	PublicURL string       `json:"public_url,omitempty"`
	DataDir   string       `json:"data_dir,omitempty"`
}

type queueStatus struct {
	Waiting  int        `json:"waiting"`
	Leased   int        `json:"leased"`
	Dead     int        `json:"dead"`
	OldestAt *time.Time `json:"oldest_enqueued_at"`
	NextAt   *time.Time `json:"next_due_at"`
	Paused   []string   `json:"paused"`
}

type shopStatus struct {
	Shop         string     `json:"shop"`
	State        string     `json:"state"`
	Mood         mood       `json:"mood"`
	Sentence     string     `json:"sentence"`
	Products     *int64     `json:"products"` // null when they can't be counted now
	Active       *int64     `json:"active"`
	Wanted       *int64     `json:"wanted"` // reads from Shopify that are still to be done
	LastUpdateAt *time.Time `json:"last_update_at"`
	Waiting      int        `json:"waiting"`
	Dead         int        `json:"dead"`
	AtLeast      bool       `json:"at_least"` // waiting and dead were not counted to the end
	Selection    string     `json:"selection"`
	NextTryAt    *time.Time `json:"next_try_at"` // when a paused shop is asked again
	Calls        *Calls     `json:"calls"`
	MetricsLabel string     `json:"metrics_label"` // its label in /metrics, "other" when it shares one
}

func (s *Server) apiStatus(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	f, _ := s.gather(r.Context(), time.Now())
	s.countShops(r.Context(), f.shops)
	h := headlineOf(f)
	v := statusView{
		Version: s.o.Version, StartedAt: s.o.Started.UTC(), Now: f.now.UTC(), Demo: s.o.Demo,
		Mood: h.Mood, Sentence: h.sentence(f.now), Next: h.Next, Command: h.Command,
		Ready: readinessOf(f), Notices: f.notices, LastSeq: s.o.Store.LastSeq(), LastAt: optional(f.last),
		PublicURL: s.o.PublicURL, DataDir: s.o.DataDir,
		Queue: queueStatus{f.queue.Waiting, f.queue.Leased, f.queue.Dead, optional(f.queue.Oldest), optional(f.queue.Next), f.queue.Paused},
		Shops: make([]shopStatus, 0, len(f.shops)),
	}
	if v.Notices == nil {
		v.Notices = []Notice{}
	}
	if v.Queue.Paused == nil {
		v.Queue.Paused = []string{}
	}
	for _, shop := range f.shops {
		line := shopLine(f.now, shop)
		view := shopStatus{
			Shop: shop.Shop, State: shop.State, Mood: line.Mood, Sentence: line.sentence(f.now), LastUpdateAt: optional(shop.Last),
			Waiting: shop.Waiting, Dead: shop.Dead, AtLeast: shop.AtLeast, Selection: selectionWords(shop.Selection),
			NextTryAt: optional(shop.NextTry), Calls: shop.Calls, MetricsLabel: s.label(shop.Shop),
		}
		if shop.CountsErr == nil {
			view.Products, view.Active, view.Wanted = &shop.Counts.Products, &shop.Counts.Active, &shop.Counts.Wanted
		}
		v.Shops = append(v.Shops, view)
	}
	return writeJSON(w, http.StatusOK, v)
}

// selectionWords says the selection to a merchant.
func selectionWords(sel catalog.Selection) string {
	words := sel.String()
	switch {
	case sel.Mode == catalog.SelectInclude && len(sel.Include) == 0:
		return "no products"
	case sel.Mode == catalog.SelectInclude && len(sel.Include) == 1:
		return strings.Replace(words, "1 listed products", "1 listed product", 1)
	case sel.Mode == catalog.SelectRules:
		return "products with " + words
	}
	return words
}

// apiSendSample sends a signed sample delivery: only the server knows the
// secret that signs it.
func (s *Server) apiSendSample(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if s.o.SendSample == nil {
		return refuse(http.StatusConflict, "Not listening", "A sample is sent through the public address, which is open while stockroom serve runs.")
	}
	var body struct {
		Shop  string `json:"shop"`
		Topic string `json:"topic"`
		Body  string `json:"body"`
		Bytes []byte `json:"body_base64"` // instead of body, for one that is not UTF-8
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	sent, err := s.o.SendSample(r.Context(), Sample{Shop: body.Shop, Topic: body.Topic, Body: append([]byte(body.Body), body.Bytes...)})
	if err != nil {
		return err
	}
	sent.Answer = dataOf(sent.Answer) // a proxy may answer with a page
	s.log.Info("sample sent", "shop", sent.Shop, "topic", sent.Topic, "status", sent.Status)
	return writeJSON(w, http.StatusOK, sent)
}
