package web

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/status"
	"stockroom/store"
)

const runsListed = 20

// syncsView is the page of syncs.
type syncsView struct {
	Compares bool // this server compares at all
	Pull     bool // it looks for changes itself
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
	v := syncsView{Compares: s.o.Syncs != nil, Pull: s.o.PublicURL == "", Shops: shops, Kinds: kindChoices(), Runs: runs}
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

const driftListed = 20

// syncView is the page of one run.
type syncView struct {
	Run
	Drift []store.Drift
	pager
	Unlisted bool // it repaired something, and none of it is listed
}

func (s *Server) syncPage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	row, err := s.run(r, p)
	if err != nil {
		return err
	}
	after, _, err := page(r, 0, 0)
	if err != nil {
		return err
	}
	list, next, err := s.drift(r.Context(), row.ID, after, driftListed)
	if err != nil {
		return err
	}
	run := s.viewRun(row, time.Now())
	v := syncView{Run: run, Drift: list, Unlisted: len(list) == 0 && after == 0 && run.Added+run.Changed+run.Removed > 0}
	base := "/syncs/" + strconv.FormatInt(run.ID, 10)
	if next != 0 {
		v.Next = base + "?after=" + strconv.FormatInt(next, 10) + "#drift"
	}
	if after > 0 {
		v.First = base + "#drift"
	}
	sh := sheet{Template: "sync.html", Title: runTitle(run) + " of " + shortShop(run.Shop), Section: "/syncs", Data: v}
	if run.State == store.RunRunning {
		sh.Reload = reloadSeconds
	}
	return s.show(w, r, sh)
}

// meaningOf says what a run does.
func meaningOf(run Run) string {
	if run.DryRun {
		return "It compares ids, times and variant counts with the shop, lists what differs and changes nothing."
	}
	return sentences("it " + runMeanings[run.Kind])
}

type labelled struct{ Name, Value string }

// factsOf is a run in numbers.
func factsOf(run Run) (facts []labelled) {
	for _, n := range []struct {
		name string
		n    int64
	}{
		{"Products in the shop", run.Expected}, {"Products looked at", run.Read}, {"Added", run.Added}, {"Changed", run.Changed}, {"Removed", run.Removed},
		{"Unchanged", run.Unchanged}, {"Not selected", run.Ignored}, {"Read one by one", run.Doubtful}, {"Lines of the export", run.Objects}, {"Calls to Shopify", run.Calls}, {"Points used", run.Points},
	} {
		if n.n > 0 {
			facts = append(facts, labelled{n.name, number(n.n)})
		}
	}
	if run.Operation != "" {
		facts = append(facts, labelled{"Bulk operation", run.Operation})
	}
	return facts
}

// runNames name the kinds of runs, runMeanings say what each does.
var (
	runNames    = map[store.RunKind]string{store.RunFull: "Full read", store.RunReconcile: "Comparison", store.RunIncremental: "Catch-up"}
	runMeanings = map[store.RunKind]string{
		store.RunFull:        "reads every field of every product and repairs what differs",
		store.RunReconcile:   "compares ids, times and variant counts with the shop and repairs what differs",
		store.RunIncremental: "reads what was found when changes were looked for",
	}
)

// phases say what a running one does now.
var phases = map[string]string{
	"waiting":   "waits for Shopify to begin",
	"exporting": "Shopify writes the export",
	"reading":   "reads the export",
	"listing":   "goes through the shop's products",
	"repairing": "repairs what differs",
	"removing":  "looks for products the shop no longer has",
}

// schedules name what is done again and again.
var schedules = map[string]string{
	"full_sync": runNames[store.RunFull], "reconcile": runNames[store.RunReconcile], "incremental": "Look for changes",
	"subscriptions": "Check of subscriptions",
}

func scheduleWords(name string) string { return cmp.Or(schedules[name], plain(name)) }

// runTitle names a run.
func runTitle(run Run) string {
	words := cmp.Or(runNames[run.Kind], string(run.Kind))
	if run.DryRun {
		words += " without changes"
	}
	return words
}

// progressView is how far a run is.
type progressView struct {
	Title string // "Full read: Shopify writes the export"
	Words string // "1,200 of 4,000 products, 35 a second, about 2 minutes left"
	Known bool   // how much there is in all
	meter
}

// progressOf says how far the running one is, nil when there is none.
func progressOf(run *Run) *progressView {
	if run == nil {
		return nil
	}
	now := time.Now()
	p := progressView{Title: runTitle(*run)}
	if run.Phase != "" {
		p.Title += ": " + cmp.Or(phases[run.Phase], run.Phase)
	}
	var words []string
	switch {
	case run.Phase == "exporting" && run.ObjectsTotal > 0:
		words = append(words, number(run.ObjectsTotal)+" lines written by Shopify so far")
	case run.Expected > 0:
		all := max(run.Read, run.Expected)                    // some may have been added since they were counted
		p.meter, p.Known = meterOf(min(run.Read, all-1), all) // the last one comes with the end
		words = append(words, number(run.Read)+" of "+count(all, "product"))
	case run.BytesTotal > 0:
		p.meter, p.Known = meterOf(run.Bytes, run.BytesTotal)
		words = append(words, count(run.Read, "product"))
	default:
		words = append(words, count(run.Read, "product")+" so far")
	}
	if run.Rate >= 1 {
		words = append(words, number(int64(run.Rate))+" a second")
	}
	switch {
	case run.Waits != "" && run.WaitsUntil.After(now):
		words = append(words, "waits "+span(max(time.Second, run.WaitsUntil.Sub(now)))+": "+small(strings.TrimSuffix(run.Waits, ".")))
	case run.Waits != "":
		words = append(words, "waits: "+small(strings.TrimSuffix(run.Waits, ".")))
	case run.EndsAt.Sub(now) >= time.Second:
		words = append(words, "about "+span(run.EndsAt.Sub(now))+" left")
	}
	p.Words = strings.Join(words, ", ")
	return &p
}

// stepView is since when a copy is known to be in step with its shop, and what is
// done next.
type stepView struct {
	IDs, Fields instant
	NextWhat    string // the next automatic step, "" for none
	NextWhen    instant
	Held        string // why that is not done before, "" for nothing
	Overdue     string // what was missed, "" for nothing
	Deliveries  string // how many changes no delivery brought, "" for none
	Looked      status.Words
}

func stepOf(now time.Time, st *status.Sync) *stepView {
	if st == nil {
		return nil
	}
	v := stepView{IDs: clock(now, st.ProvenIDs), Fields: clock(now, st.ProvenFields)}
	if st.Looking.Pull {
		v.Looked = st.Looking.LookedWords()
	}
	// What is due already waits for the run that is under way.
	if next, ok := st.Next(); ok && (st.Running == nil || next.Next.After(now.Add(time.Second))) {
		v.NextWhat, v.NextWhen, v.Held = small(scheduleWords(next.Name)), ahead(now, next.Next), next.Held
	}
	for _, s := range st.Schedules {
		if s.Late {
			v.Overdue = sentences(scheduleWords(s.Name)+" is overdue", s.LastError)
			break
		}
	}
	if d := st.Deliveries; d.Undelivered > 0 {
		v.Deliveries = number(int64(d.Undelivered)) + " of " + count(int64(d.Changes), "change") + " of the last day were read before a delivery brought them."
	}
	return &v
}
