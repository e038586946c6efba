package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
	"stockroom/store"
)

// Run is a run as page, API and command line show it: with how fast it goes.
type Run struct {
	store.SyncRun
	Rate   float64   `json:"rate,omitempty"`   // products a second of a running one
	EndsAt time.Time `json:"ends_at,omitzero"` // when it will probably end
	// Waits is why a running one waits, "" when it does not; it goes on at
	// WaitsUntil.
	Waits      string    `json:"waits,omitempty"`
	WaitsUntil time.Time `json:"waits_until,omitzero"`
}

// RunList is a page of the API's list of runs, DriftList one of what a run found
// to differ.
type (
	RunList struct {
		Syncs []Run   `json:"syncs"`
		Next  *string `json:"next"`
	}
	DriftList struct {
		Drift []store.Drift `json:"drift"`
		Next  *string       `json:"next"`
	}
)

// running is the run that is under way, nil for none.
func running(st *status.Sync) *Run {
	if st == nil || st.Running == nil {
		return nil
	}
	return &Run{*st.Running, st.Rate, st.EndsAt, st.Waits, st.WaitsUntil}
}

// viewRun adds the pace, which only the one who makes the run knows. That one's
// word is newer than the row but for the counters: those the store raises in the
// row itself.
func (s *Server) viewRun(row store.SyncRun, now time.Time) Run {
	v := Run{SyncRun: row}
	if row.State != store.RunRunning {
		return v
	}
	if made := running(s.o.Status.Sync(row.Shop, now)); made != nil && made.ID == row.ID {
		v = *made
		v.Added, v.Changed, v.Removed = row.Added, row.Changed, row.Removed
		v.Unchanged, v.Ignored, v.Doubtful = row.Unchanged, row.Ignored, row.Doubtful
	}
	return v
}

// runs reads a page of runs, newest first; next is the id to go on behind, 0 at
// the end.
func (s *Server) runs(ctx context.Context, f store.RunFilter) (views []Run, next int64, err error) {
	limit := f.Limit
	f.Limit++
	rows, err := s.o.Store.Runs(ctx, f)
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	now := time.Now()
	views = make([]Run, 0, len(rows))
	for _, row := range rows {
		views = append(views, s.viewRun(row, now))
	}
	return views, next, err
}

// drift reads a page of the differences that a run found, in the order in which
// it did.
func (s *Server) drift(ctx context.Context, run, after int64, limit int) (list []store.Drift, next int64, err error) {
	list, err = s.o.Store.Drift(ctx, run, after, limit+1)
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, err
}

func runKind(text string) (store.RunKind, error) {
	switch kind := store.RunKind(text); kind {
	case store.RunFull, store.RunIncremental, store.RunReconcile:
		return kind, nil
	}
	return "", answer.Refuse(http.StatusBadRequest, "Unknown kind", "kind is full, incremental or reconcile.")
}

func (s *Server) apiSyncs(r *http.Request, _ httprouter.Params) (any, error) {
	before, limit, err := page(r, 50, 1000)
	if err != nil {
		return nil, err
	}
	f := store.RunFilter{Shop: r.URL.Query().Get("shop"), Before: before, Limit: limit}
	if text := r.URL.Query().Get("kind"); text != "" {
		if f.Kind, err = runKind(text); err != nil {
			return nil, err
		}
	}
	runs, next, err := s.runs(r.Context(), f)
	return RunList{runs, cursor(next)}, err
}

// run reads the run of the path.
func (s *Server) run(r *http.Request, p httprouter.Params) (store.SyncRun, error) {
	id, err := strconv.ParseInt(p.ByName("id"), 10, 64)
	if err != nil || id <= 0 {
		return store.SyncRun{}, answer.Refuse(http.StatusBadRequest, "Not a sync's id", "A sync's id is a number; /api/v1/syncs lists them.")
	}
	run, err := s.o.Store.Run(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return run, answer.Refuse(http.StatusNotFound, "No such sync", "There is no sync with this id, or it is so old that it is not kept any more; /api/v1/syncs lists those there are.")
	}
	return run, err
}

func (s *Server) apiSync(r *http.Request, p httprouter.Params) (any, error) {
	run, err := s.run(r, p)
	return s.viewRun(run, time.Now()), err
}

func (s *Server) apiDrift(r *http.Request, p httprouter.Params) (any, error) {
	run, err := s.run(r, p)
	if err != nil {
		return nil, err
	}
	after, limit, err := page(r, 100, 1000)
	if err != nil {
		return nil, err
	}
	list, next, err := s.drift(r.Context(), run.ID, after, limit)
	return DriftList{list, cursor(next)}, err
}

// comparing returns the shop of the path where there is one who compares it.
func (s *Server) comparing(r *http.Request, p httprouter.Params) (string, error) {
	shop, err := s.knownShop(r, p)
	if err == nil && s.o.Syncs == nil {
		err = nothingCompared()
	}
	return shop.Shop, err
}

func nothingCompared() *answer.Refusal {
	return answer.Refuse(http.StatusConflict, "Nothing is compared",
		"This server does not compare its copy with Shopify; stockroom serve does.")
}

func (s *Server) apiSyncStatus(r *http.Request, p httprouter.Params) (any, error) {
	shop, err := s.comparing(r, p)
	if err != nil {
		return nil, err
	}
	have := s.account(r.Context()).Shop(shop)
	if have == nil || have.Sync == nil {
		return nil, nothingCompared()
	}
	return have.Sync, nil
}

// apiStartSync begins a run or joins the one that runs, and answers with it.
func (s *Server) apiStartSync(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := s.comparing(r, p)
	if err != nil {
		return err
	}
	var body struct {
		Kind   string `json:"kind"`
		DryRun bool   `json:"dry_run"`
	}
	if err := answer.ReadJSON(r, &body); err != nil {
		return err
	}
	kind, err := runKind(body.Kind)
	if err != nil {
		return err
	}
	if body.DryRun && kind != store.RunReconcile {
		return answer.Refuse(http.StatusBadRequest, "No dry run of this",
			"Only a reconcile can be run dry: it compares and tells, and changes nothing.")
	}
	id, err := s.start(r.Context(), "sync asked for", shop, kind, body.DryRun)
	if err != nil {
		return err
	}
	run, err := s.o.Store.Run(r.Context(), id)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/syncs/"+strconv.FormatInt(id, 10))
	return answer.JSON(w, http.StatusAccepted, s.viewRun(run, time.Now()))
}

// start begins a run or joins the one that runs; line is what the log says of it.
func (s *Server) start(ctx context.Context, line, shop string, kind store.RunKind, dry bool) (int64, error) {
	id, err := s.o.Syncs.Start(ctx, shop, kind, dry)
	if err == nil {
		s.audit.Info(line, "shop", shop, "kind", string(kind), "dry_run", dry, "run", id)
	}
	return id, err
}

func (s *Server) apiCancelSync(r *http.Request, p httprouter.Params) (any, error) {
	shop, err := s.comparing(r, p)
	if err != nil {
		return nil, err
	}
	was := s.o.Syncs.Cancel(shop)
	s.audit.Info("sync cancelled", "shop", shop, "was_running", was)
	return map[string]any{"shop": shop, "cancelled": was}, nil
}

// apiSubscriptions asks the shop which webhook subscriptions there are. It
// changes none.
func (s *Server) apiSubscriptions(r *http.Request, p httprouter.Params) (any, error) {
	shop, err := s.comparing(r, p)
	if err != nil {
		return nil, err
	}
	got, err := s.o.Syncs.CheckSubscriptions(r.Context(), shop, false)
	return got, outboundRefusal(err)
}

func (s *Server) apiRegister(r *http.Request, p httprouter.Params) (any, error) {
	return s.register(r, p, "subscriptions registered")
}

// register creates the subscriptions that are missing and mends those that lead to
// a wrong address; line is what the log says of it.
func (s *Server) register(r *http.Request, p httprouter.Params, line string) (got status.Subscriptions, err error) {
	shop, err := s.comparing(r, p)
	if err != nil {
		return got, err
	}
	if got, err = s.o.Syncs.CheckSubscriptions(r.Context(), shop, true); err == nil {
		s.audit.Info(line, "shop", shop, "present", got.Present)
	}
	return got, outboundRefusal(err)
}

// outboundRefusal turns an error of a call to Shopify into an answer. Others
// stay as they are.
func outboundRefusal(err error) error {
	var known *answer.Refusal
	var e *shopify.Error
	if errors.As(err, &known) || !errors.As(err, &e) {
		return err
	}
	r := &answer.Refusal{Status: http.StatusBadGateway, Title: "Shopify can't be reached", Code: answer.CodeUnreachable, Detail: capital(e.Words()) + ". Check the network and status.shopify.com; Stockroom tries again automatically."}
	switch e.Root().Kind {
	case shopify.KindCancelled:
		return err
	case shopify.KindToken, shopify.KindScope, shopify.KindFrozen, shopify.KindUninstalled, shopify.KindMoved:
		r.Status, r.Title, r.Code = http.StatusConflict, "Shopify does not let the app in", answer.CodeRefused
		r.Detail = capital(e.Words()) + ". stockroom doctor says how to mend it."
	case shopify.KindThrottled, shopify.KindBudget, shopify.KindBusy:
		r.Status, r.Title, r.Code, r.Detail = http.StatusServiceUnavailable, "Not now", answer.CodeNotNow, capital(e.Words())+". Try again in a minute."
	case shopify.KindRefused, shopify.KindTooDear, shopify.KindPartial, shopify.KindChanging:
		r.Title, r.Code, r.Detail = "Shopify refuses", answer.CodeRefused, capital(e.Words())+"."
	case shopify.KindLocal:
		return err
	}
	if !e.RetryAt.IsZero() {
		r.RetryAfter = max(1, int(time.Until(e.RetryAt).Seconds()+0.5))
	}
	return r
}

// Syncs is how comparisons with the shop are started and ended. nil in Options:
// nothing is compared. Errors that a person can mend are a *answer.Refusal.
type Syncs interface {
	// Start begins a run at once, or joins the one of its kind that runs or
	// waits; the run's id is found in the list of runs.
	Start(ctx context.Context, shop string, kind store.RunKind, dryRun bool) (run int64, err error)
	// Cancel ends the shop's run. It reports whether there was one.
	Cancel(shop string) bool
	// CheckSubscriptions compares the wanted subscriptions with those present;
	// with fix it creates and mends them.
	CheckSubscriptions(ctx context.Context, shop string, fix bool) (status.Subscriptions, error)
}
