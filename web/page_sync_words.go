package web

import (
	"cmp"
	"strings"
	"time"

	"stockroom/internal/status"
	"stockroom/store"
)

// runNames name the kinds of runs, runMeanings say what each does.
var (
	runNames    = map[store.RunKind]string{store.RunFull: "Full read", store.RunReconcile: "Comparison", store.RunIncremental: "Catch-up"}
	runMeanings = map[store.RunKind]string{
		store.RunFull:        "reads every field of every product and repairs what differs",
		store.RunReconcile:   "compares ids, times and variant counts with the shop and repairs what differs",
		store.RunIncremental: "reads what changed in the shop since the last comparison",
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
	"full_sync": runNames[store.RunFull], "reconcile": runNames[store.RunReconcile], "incremental": runNames[store.RunIncremental],
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
}

func stepOf(now time.Time, st *status.Sync) *stepView {
	if st == nil {
		return nil
	}
	v := stepView{IDs: clock(now, st.ProvenIDs), Fields: clock(now, st.ProvenFields)}
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
