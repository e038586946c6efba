package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/backup"
	"stockroom/internal/catalog"
	"stockroom/internal/status"
)

// statusView is the answer of /api/v1/status.
type statusView struct {
	Version   string           `json:"version"`
	StartedAt time.Time        `json:"started_at"`
	Now       time.Time        `json:"now"`
	Demo      bool             `json:"demo"`
	Mood      mood             `json:"mood"` // good, idle, wait or bad
	Sentence  string           `json:"sentence"`
	Code      string           `json:"code"`    // of the sentence, from a closed set
	AsOf      *time.Time       `json:"as_of"`   // every product of every shop equalled the shop's then, by the newest proofs; null without one
	InStep    bool             `json:"in_step"` // all shops are, as of then
	Next      string           `json:"next,omitempty"`
	Command   string           `json:"command,omitempty"`
	Ready     status.Readiness `json:"ready"`
	Queue     queueStatus      `json:"queue"`
	Shops     []shopStatus     `json:"shops"`
	Notices   []status.Notice  `json:"notices"`
	Lines     []lineStatus     `json:"lines"`    // all that is so, from worst to best
	LastSeq   int64            `json:"last_seq"` // newest number of the change feed
	LastAt    *time.Time       `json:"last_update_at"`
	Backups   *backup.Standing `json:"backups"` // by schedule; null when none are made
	PublicURL string           `json:"public_url,omitempty"`
	DataDir   string           `json:"data_dir,omitempty"`

	Certificates []certificateStatus `json:"certificates"` // of our own names; none behind a proxy
}

// certificateStatus is how the certificate of one name stands.
type certificateStatus struct {
	Name       string     `json:"name"`
	Deliveries bool       `json:"deliveries"` // Shopify delivers to this name
	From       *time.Time `json:"not_before"` // null when there is none
	Until      *time.Time `json:"not_after"`
	Issuer     string     `json:"issuer,omitempty"`
	Trying     bool       `json:"trying"`
	FailedAt   *time.Time `json:"failed_at"` // null when the newest try did not fail
	Error      string     `json:"error,omitempty"`
	NextTryAt  *time.Time `json:"next_try_at"` // at the latest; null while none is due
}

func certificatesOf(a *status.Account) []certificateStatus {
	list := make([]certificateStatus, 0, len(a.Certificates))
	for _, c := range a.Certificates {
		list = append(list, certificateStatus{
			c.Name, c.Awaited, optional(c.NotBefore), optional(c.NotAfter), c.Issuer,
			c.Trying, optional(c.Failed), c.Words, optional(c.Next),
		})
	}
	return list
}

// lineStatus is one line of the account of health.
type lineStatus struct {
	Code     string `json:"code"`
	Mood     mood   `json:"mood"`
	Shop     string `json:"shop,omitempty"` // absent when it is about everything
	Sentence string `json:"sentence"`
	Next     string `json:"next,omitempty"`
	Command  string `json:"command,omitempty"`
}

type queueStatus struct {
	Waiting  int        `json:"waiting"`
	Leased   int        `json:"leased"`
	Dead     int        `json:"dead"`
	OldestAt *time.Time `json:"oldest_enqueued_at"`
	NextAt   *time.Time `json:"next_due_at"`
	Paused   []string   `json:"paused"` // always empty: programs may count on its being there
}

type shopStatus struct {
	Shop         string        `json:"shop"`
	State        string        `json:"state"`
	Mood         mood          `json:"mood"`
	Sentence     string        `json:"sentence"`
	Code         string        `json:"code"`
	InStep       bool          `json:"in_step"`
	AsOf         *time.Time    `json:"as_of"`    // the newest proof, null for none
	Products     *int64        `json:"products"` // null when they can't be counted now
	Active       *int64        `json:"active"`
	Wanted       *int64        `json:"wanted"` // reads from Shopify that are still to be done
	LastUpdateAt *time.Time    `json:"last_update_at"`
	Waiting      int           `json:"waiting"`
	Dead         int           `json:"dead"`
	AtLeast      bool          `json:"at_least"` // always false: programs may count on its being there
	Selection    string        `json:"selection"`
	NextTryAt    *time.Time    `json:"next_try_at"` // when a paused shop is asked again
	Calls        *status.Calls `json:"calls"`
	MetricsLabel string        `json:"metrics_label"` // its label in /metrics, "other" when it shares one
}

func (s *Server) apiStatus(r *http.Request, _ httprouter.Params) (any, error) {
	a := s.account(r.Context())
	v := statusView{
		Version: s.o.Version, StartedAt: s.o.Started, Now: a.Now, Demo: s.o.Admit.Demo,
		Mood: a.Head.Mood, Sentence: a.Head.Sentence(a.Now), Code: a.Head.Code, Next: a.Head.Next.Text(a.Now), Command: a.Head.Command, InStep: len(a.Shops) > 0,
		Ready: a.Ready(), Notices: a.Notices, LastSeq: s.o.Store.LastSeq(), LastAt: optional(a.Last),
		PublicURL: s.o.PublicURL, DataDir: s.o.DataDir,
		Queue: queueStatus{a.Queue.Waiting, a.Queue.Leased, a.Queue.Dead, optional(a.Queue.Oldest), optional(a.Queue.Next), []string{}},
		Shops: make([]shopStatus, 0, len(a.Shops)), Lines: make([]lineStatus, 0, len(a.Lines)),
	}
	v.Certificates = certificatesOf(a)
	if a.Backup.Every > 0 {
		v.Backups = &a.Backup
	}
	for _, l := range a.Lines {
		v.Lines = append(v.Lines, lineStatus{l.Code, l.Mood, l.Shop, l.Sentence(a.Now), l.Next.Text(a.Now), l.Command})
	}
	for _, shop := range a.Shops {
		line := a.Of(shop.Shop)
		view := shopStatus{
			Shop: shop.Shop, State: shop.State, Mood: line.Mood, Sentence: line.Sentence(a.Now), Code: line.Code, LastUpdateAt: optional(shop.Last),
			Waiting: shop.Jobs.Waiting, Dead: shop.Jobs.Dead, Selection: selectionWords(shop.Selection),
			NextTryAt: optional(shop.NextTry), Calls: shop.Calls, MetricsLabel: s.label(shop.Shop),
		}
		if shop.Sync != nil {
			view.InStep, view.AsOf = shop.Sync.InStep, optional(shop.Sync.AsOf)
		}
		v.InStep = v.InStep && view.InStep
		if counts, err := s.counts.get(r.Context(), shop.Shop); err == nil {
			view.Products, view.Active, view.Wanted = &counts.Products, &counts.Active, &counts.Wanted
		}
		v.Shops = append(v.Shops, view)
	}
	v.AsOf = optional(a.AsOf())
	return v, nil
}

// account reads how everything stands.
func (s *Server) account(ctx context.Context) *status.Account {
	return s.o.Status.Read(ctx, time.Now())
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
func (s *Server) apiSendSample(r *http.Request, _ httprouter.Params) (any, error) {
	if s.o.SendSample == nil {
		return nil, answer.Refuse(http.StatusConflict, "Not listening", "A sample is sent while stockroom serve runs.")
	}
	var body struct {
		Shop  string `json:"shop"`
		Topic string `json:"topic"`
		Body  string `json:"body"`
		Bytes []byte `json:"body_base64"` // instead of body, for one that is not UTF-8
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return nil, err
	}
	sent, err := s.o.SendSample(r.Context(), Sample{Shop: body.Shop, Topic: body.Topic, Body: append([]byte(body.Body), body.Bytes...)})
	if err != nil {
		return nil, err
	}
	sent.Answer = dataOf(sent.Answer) // a proxy may answer with a page
	s.audit.Info("sample sent", "shop", sent.Shop, "topic", sent.Topic, "status", sent.Status, "level", sent.Level)
	return sent, nil
}

func (s *Server) apiAcknowledge(r *http.Request, p httprouter.Params) (any, error) {
	n, err := s.acknowledge(r, p)
	return map[string]int{"acknowledged": n}, err
}

func (s *Server) acknowledgeAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	n, err := s.acknowledge(r, p)
	if err != nil {
		return err
	}
	return sayAndGo(w, "/", "/", saying("acknowledged", n))
}

func (s *Server) acknowledge(r *http.Request, p httprouter.Params) (int, error) {
	n, err := s.o.Acknowledge(r.Context(), p.ByName("id"))
	if n > 0 {
		s.audit.Info("notice acknowledged", "id", p.ByName("id"))
	}
	return n, err
}
