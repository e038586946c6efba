package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/status"
	"stockroom/store"
)

const runsListed = 20

// syncsView is the page of syncs.
type syncsView struct {
	Compares bool // this server compares at all
	Shops    []option
	Kinds    []kindChoice
	Filtered bool
	Rows     []runRow
	Next     string
	First    string
}

// kindChoice is one thing that can be started by hand.
type kindChoice struct{ Value, Name, Meaning string }

type runRow struct {
	Key, Path, Shop string
	Mood            mood
	Label           string
	What            string
	Result          string
	Progress        *progressView
	When            instant
	Took            string
}

func (s *Server) syncsPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	now, q := time.Now(), r.URL.Query()
	before, _, err := page(r, 0, 0)
	if err != nil {
		return err
	}
	shops, err := s.shopOptions(r.Context(), q.Get("shop"))
	if err != nil {
		return err
	}
	runs, err := s.o.Store.Runs(r.Context(), store.RunFilter{Shop: q.Get("shop"), Before: before, Limit: runsListed + 1})
	if err != nil {
		return err
	}
	v := syncsView{Compares: s.o.Syncs != nil, Shops: shops, Kinds: kindChoices(), Filtered: q.Get("shop") != ""}
	if before > 0 {
		v.First = withQuery("/syncs", onlyShop(q.Get("shop")))
	}
	if len(runs) > runsListed {
		runs = runs[:runsListed]
		next := onlyShop(q.Get("shop"))
		next.Set("after", strconv.FormatInt(runs[runsListed-1].ID, 10))
		v.Next = withQuery("/syncs", next)
	}
	for _, run := range runs {
		v.Rows = append(v.Rows, s.runRow(now, run, len(shops) > 1))
	}
	return s.show(w, r, sheet{Template: "syncs.html", Title: "Syncs", Section: "/syncs", Reload: reloadSeconds, Data: v})
}

func onlyShop(shop string) url.Values {
	if shop == "" {
		return url.Values{}
	}
	return url.Values{"shop": {shop}}
}

func kindChoices() []kindChoice {
	return []kindChoice{
		{"reconcile", "Compare and repair", capital(runMeaning(store.RunReconcile))},
		{"dry", "Compare only", "The same, but changes nothing: it lists what differs"},
		{"full", "Read everything", capital(runMeaning(store.RunFull))},
	}
}

func (s *Server) runRow(now time.Time, run store.SyncRun, many bool) runRow {
	st := &status.Sync{Running: &run}
	if run.State == store.RunRunning {
		if now := s.o.Status.Sync(run.Shop, now); now != nil && now.Running != nil && now.Running.ID == run.ID {
			st, run = now, underWay(run, *now.Running)
		}
	}
	id := strconv.FormatInt(run.ID, 10)
	row := runRow{Key: "r" + id, Path: "/syncs/" + id, What: runTitle(run), When: since(now, run.StartedAt.Time()), Result: resultWords(run)}
	row.Mood, row.Label = runStanding(run)
	if many {
		row.Shop = shortShop(run.Shop)
	}
	if run.State == store.RunRunning {
		row.Progress = progressOf(now, st)
	} else if run.FinishedAt > run.StartedAt {
		row.Took = tookWords(time.Duration(run.FinishedAt-run.StartedAt) * time.Millisecond)
	}
	return row
}

func tookWords(d time.Duration) string {
	if d < time.Second {
		return "less than a second"
	}
	return span(d)
}

func runTitle(run store.SyncRun) string {
	words := runWords(run.Kind)
	if run.DryRun {
		words += " without changes"
	}
	return words
}

// runStanding is how a run stands: its mark and its word.
func runStanding(run store.SyncRun) (mood, string) {
	switch run.State {
	case store.RunRunning:
		return moodWait, "Running"
	case store.RunFailed:
		return moodBad, "Failed"
	case store.RunCancelled:
		return moodIdle, "Cancelled"
	}
	switch {
	case run.DryRun && run.Added+run.Changed+run.Removed > 0:
		return moodWait, "Differences found"
	case run.ProvenAt > 0:
		return moodGood, "In step"
	case !run.Proven && run.Kind != store.RunIncremental:
		return moodWait, "Done, but the list was not complete"
	case run.Error != "" && run.Kind != store.RunIncremental && !run.DryRun:
		return moodWait, "Done, and something is left open"
	}
	return moodGood, "Done"
}

// resultWords says what a run did, "2 added, 1 changed", or found, "2 to add".
func resultWords(run store.SyncRun) string {
	if run.Error != "" {
		return sentences(run.Error)
	}
	var did []string
	for _, part := range []struct {
		n         int64
		did, todo string
	}{{run.Added, "added", "to add"}, {run.Changed, "changed", "to change"}, {run.Removed, "removed", "to remove"}} {
		word := part.did
		if run.DryRun {
			word = part.todo
		}
		if part.n > 0 {
			did = append(did, number(part.n)+" "+word)
		}
	}
	words := strings.Join(did, ", ")
	switch {
	case run.State == store.RunRunning && len(did) == 0:
		return ""
	case len(did) == 0:
		words = "no difference"
	}
	if run.Read > 0 && run.State != store.RunRunning {
		words = count(run.Read, "product") + " looked at, " + words
	}
	return sentences(words)
}

// startSync begins a run or leads to the one that runs already.
func (s *Server) startSync(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	p := httprouter.Params{{Key: "shop", Value: r.FormValue("shop")}}
	shop, syncs, err := s.comparing(r, p)
	if err != nil {
		return err
	}
	kind, dry := store.RunReconcile, false
	switch r.FormValue("kind") {
	case "dry":
		dry = true
	case "full":
		kind = store.RunFull
	case "reconcile":
	default:
		return refuse(http.StatusBadRequest, "Unknown kind", "Choose what to start on the page Syncs.")
	}
	before, err := s.o.Store.Runs(r.Context(), store.RunFilter{Limit: 1})
	if err != nil {
		return err
	}
	id, err := syncs.Start(r.Context(), shop, kind, dry)
	if err != nil {
		return outboundRefusal(err)
	}
	said := saying("started", 1)
	if len(before) > 0 && id <= before[0].ID {
		said = saying("joined", 1)
	}
	s.audit.Info("sync asked for on the page", "shop", shop, "kind", string(kind), "dry_run", dry, "run", id)
	return sayAndGo(w, "/syncs/"+strconv.FormatInt(id, 10), "/syncs", said)
}

// cancelSync ends a run, and no other one that began meanwhile.
func (s *Server) cancelSync(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	run, err := s.run(r, p)
	if err != nil {
		return err
	}
	said := saying("not-running", 1)
	if s.o.Syncs != nil && run.State == store.RunRunning {
		st := s.o.Status.Sync(run.Shop, time.Now())
		if st != nil && st.Running != nil && st.Running.ID == run.ID {
			was, err := s.o.Syncs.Cancel(r.Context(), run.Shop)
			if err != nil {
				return err
			}
			if was {
				s.audit.Info("sync cancelled on the page", "shop", run.Shop, "run", run.ID)
				said = saying("cancelled", 1)
			}
		}
	}
	return sayAndGo(w, "/syncs/"+strconv.FormatInt(run.ID, 10), "/syncs", said)
}
