package web

import (
	"strings"
	"time"

	"stockroom/status"
	"stockroom/store"
)

// runWords names a kind of run.
func runWords(k store.RunKind) string {
	switch k {
	case store.RunFull:
		return "Full read"
	case store.RunReconcile:
		return "Comparison"
	case store.RunIncremental:
		return "Catch-up"
	}
	return string(k)
}

// runMeaning says what a kind of run does.
func runMeaning(k store.RunKind) string {
	switch k {
	case store.RunFull:
		return "reads every field of every product and repairs what differs"
	case store.RunReconcile:
		return "compares ids, times and variant counts with the shop and repairs what differs"
	case store.RunIncremental:
		return "reads what changed in the shop since the last comparison"
	}
	return ""
}

// phaseWords says what a running one does now.
func phaseWords(phase string) string {
	switch phase {
	case "waiting":
		return "waits for Shopify to begin"
	case "exporting":
		return "Shopify writes the export"
	case "reading":
		return "reads the export"
	case "listing":
		return "goes through the shop's products"
	case "repairing":
		return "repairs what differs"
	case "removing":
		return "looks for products the shop no longer has"
	}
	return phase
}

// scheduleWords names something that is done again and again.
func scheduleWords(name string) string {
	switch name {
	case "full_sync":
		return runWords(store.RunFull)
	case "reconcile":
		return runWords(store.RunReconcile)
	case "incremental":
		return runWords(store.RunIncremental)
	case "subscriptions":
		return "Check of subscriptions"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// progressView is how far a run is.
type progressView struct {
	Title string // "Full read: Shopify writes the export"
	Words string // "1,200 of 4,000 products, 35 a second, about 2 minutes left"
	Known bool   // how much there is in all
	meter
}

// progressOf says how far the running one is, nil when there is none.
func progressOf(now time.Time, st *status.Sync) *progressView {
	if st == nil || st.Running == nil {
		return nil
	}
	run := st.Running
	p := progressView{Title: runWords(run.Kind)}
	if run.DryRun {
		p.Title += " without changes"
	}
	if run.Phase != "" {
		p.Title += ": " + phaseWords(run.Phase)
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
	if st.Rate >= 1 {
		words = append(words, number(int64(st.Rate))+" a second")
	}
	switch {
	case st.Waits != "" && st.WaitsUntil.After(now):
		words = append(words, "waits "+span(max(time.Second, st.WaitsUntil.Sub(now)))+": "+small(strings.TrimSuffix(st.Waits, ".")))
	case st.Waits != "":
		words = append(words, "waits: "+small(strings.TrimSuffix(st.Waits, ".")))
	case st.EndsAt.Sub(now) >= time.Second:
		words = append(words, "about "+span(st.EndsAt.Sub(now))+" left")
	}
	p.Words = strings.Join(words, ", ")
	return &p
}

// stepView is whether a copy is in step with its shop, and since when that is
// known.
type stepView struct {
	Mood        mood
	Text        string // what stands against it, one sentence, "" for nothing
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
	v := stepView{Mood: moodGood, IDs: clock(now, st.ProvenIDs), Fields: clock(now, st.ProvenFields)}
	if !st.InStep {
		v.Mood, v.Text = moodWait, st.Why
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
