package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/store"
)

const runsListed = 20

// syncsView is the page of syncs.
type syncsView struct {
	Compares bool // this server compares at all
	Shops    []option
	Kinds    []kindChoice
	Runs     []Run
	pager
}

// kindChoice is one thing that can be started by hand.
type kindChoice struct{ Value, Name, Meaning string }

func (s *Server) syncsPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	shop := r.URL.Query().Get("shop")
	before, _, err := page(r, 0, 0)
	if err != nil {
		return err
	}
	shops, err := s.shopOptions(r.Context(), shop)
	if err != nil {
		return err
	}
	runs, next, err := s.runs(r.Context(), store.RunFilter{Shop: shop, Before: before, Limit: runsListed})
	if err != nil {
		return err
	}
	v := syncsView{Compares: s.o.Syncs != nil, Shops: shops, Kinds: kindChoices(), Runs: runs}
	if before > 0 {
		v.First = withQuery("/syncs", onlyShop(shop))
	}
	if next != 0 {
		q := onlyShop(shop)
		q.Set("after", strconv.FormatInt(next, 10))
		v.Next = withQuery("/syncs", q)
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
		{"reconcile", "Compare and repair", capital(runMeanings[store.RunReconcile])},
		{"dry", "Compare only", "The same, but changes nothing: it lists what differs"},
		{"full", "Read everything", capital(runMeanings[store.RunFull])},
	}
}

// tookWords says how long a run took, "" when it runs still.
func tookWords(run Run) string {
	switch d := time.Duration(run.FinishedAt-run.StartedAt) * time.Millisecond; {
	case run.State == store.RunRunning || d <= 0:
		return ""
	case d < time.Second:
		return "less than a second"
	default:
		return span(d)
	}
}

// runStanding is how a run stands: its mark and its word.
func runStanding(run Run) marked {
	switch run.State {
	case store.RunRunning:
		return marked{moodWait, "Running"}
	case store.RunFailed:
		return marked{moodBad, "Failed"}
	case store.RunCancelled:
		return marked{moodIdle, "Cancelled"}
	}
	switch {
	case run.DryRun && run.Added+run.Changed+run.Removed > 0:
		return marked{moodWait, "Differences found"}
	case run.ProvenAt > 0:
		return marked{moodGood, "In step"}
	case !run.Proven && run.Kind != store.RunIncremental:
		return marked{moodWait, "Done, but the list was not complete"}
	case run.Error != "" && run.Kind != store.RunIncremental && !run.DryRun:
		return marked{moodWait, "Done, and something is left open"}
	}
	return marked{moodGood, "Done"}
}

// resultWords says what a run did, "2 added, 1 changed", or found, "2 to add".
func resultWords(run Run) string {
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
	shop, err := s.comparing(r, p)
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
		return answer.Refuse(http.StatusBadRequest, "Unknown kind", "Choose what to start on the page Syncs.")
	}
	before, err := s.o.Store.Runs(r.Context(), store.RunFilter{Limit: 1})
	if err != nil {
		return err
	}
	id, err := s.start(r.Context(), "sync asked for on the page", shop, kind, dry)
	if err != nil {
		return outboundRefusal(err)
	}
	said := saying("started", 1)
	if len(before) > 0 && id <= before[0].ID {
		said = saying("joined", 1)
	}
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
		made := running(s.o.Status.Sync(run.Shop, time.Now()))
		if made != nil && made.ID == run.ID && s.o.Syncs.Cancel(run.Shop) {
			s.audit.Info("sync cancelled on the page", "shop", run.Shop, "run", run.ID)
			said = saying("cancelled", 1)
		}
	}
	return sayAndGo(w, "/syncs/"+strconv.FormatInt(run.ID, 10), "/syncs", said)
}
