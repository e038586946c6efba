package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/catalog"
	"stockroom/store"
)

const (
	driftListed = 20
	diffsShown  = 6
	diffText    = 160 // bytes of one side of a difference
)

// syncView is the page of one run.
type syncView struct {
	runRow
	ID       string
	ShopName string
	Meaning  string
	Because  string
	Running  bool
	DryRun   bool
	Ended    instant
	Proven   instant // as of when the copy equals the shop's
	Facts    []labelled
	Drift    []driftRow
	Unlisted bool // it repaired something, and none of it is listed
	Next     string
	First    string
}

type driftRow struct {
	Key, Path, Title string
	Label            string
	Mood             mood
	Diffs            []catalog.FieldDiff
	More             string // "and 12 more", "" for none
}

func (s *Server) syncPage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	run, err := s.run(r, p)
	if err != nil {
		return err
	}
	after, _, err := page(r, 0, 0)
	if err != nil {
		return err
	}
	list, err := s.o.Store.Drift(r.Context(), run.ID, after, driftListed+1)
	if err != nil {
		return err
	}
	now := time.Now()
	run = s.viewRun(run, now).SyncRun
	v := syncView{
		runRow: s.runRow(now, run, true), ID: strconv.FormatInt(run.ID, 10), ShopName: run.Shop, Meaning: meaningOf(run),
		Because: run.Trigger, Running: run.State == store.RunRunning, DryRun: run.DryRun,
	}
	if run.FinishedAt > 0 {
		v.Ended = since(now, run.FinishedAt.Time())
	}
	if run.ProvenAt > 0 {
		v.Proven = clock(now, run.ProvenAt.Time())
	}
	for _, n := range []struct {
		name string
		n    int64
	}{
		{"Products in the shop", run.Expected}, {"Products looked at", run.Read}, {"Added", run.Added}, {"Changed", run.Changed}, {"Removed", run.Removed},
		{"Unchanged", run.Unchanged}, {"Not selected", run.Ignored}, {"Read one by one", run.Doubtful}, {"Lines of the export", run.Objects}, {"Calls to Shopify", run.Calls}, {"Points used", run.Points},
	} {
		if n.n > 0 {
			v.Facts = append(v.Facts, labelled{n.name, number(n.n)})
		}
	}
	if run.Operation != "" {
		v.Facts = append(v.Facts, labelled{"Bulk operation", run.Operation})
	}
	base := "/syncs/" + v.ID
	if len(list) > driftListed {
		list = list[:driftListed]
		v.Next = base + "?after=" + strconv.FormatInt(list[driftListed-1].ID, 10) + "#drift"
	}
	if after > 0 {
		v.First = base + "#drift"
	}
	v.Unlisted = len(list) == 0 && after == 0 && run.Added+run.Changed+run.Removed > 0
	for _, d := range list {
		v.Drift = append(v.Drift, driftRowOf(d))
	}
	sh := sheet{Template: "sync.html", Title: runTitle(run) + " of " + shortShop(run.Shop), Section: "/syncs", Data: v}
	if v.Running {
		sh.Reload = reloadSeconds
	}
	return s.show(w, r, sh)
}

// meaningOf says what a run does.
func meaningOf(run store.SyncRun) string {
	if run.DryRun {
		return "It compares ids, times and variant counts with the shop, lists what differs and changes nothing."
	}
	return sentences("it " + runMeaning(run.Kind))
}

func driftRowOf(d store.Drift) driftRow {
	row := driftRow{Key: "x" + strconv.FormatInt(d.ID, 10), Path: productPath(d.Shop, d.ExternalID), Title: d.Title, Mood: moodWait}
	if row.Title == "" {
		row.Title = "Product " + strconv.FormatInt(d.ExternalID, 10)
	}
	switch d.Kind {
	case store.DriftMissing:
		row.Label = "Missing here"
	case store.DriftExtra:
		row.Label = "No longer in the shop"
	default:
		row.Label = "Different"
	}
	for i, f := range d.Fields {
		if i == diffsShown {
			row.More = "and " + count(int64(len(d.Fields)-i), "more field")
			break
		}
		row.Diffs = append(row.Diffs, catalog.FieldDiff{Path: f.Path, Old: shortened(f.Old), New: shortened(f.New)})
	}
	return row
}

// shortened cuts a long text for a list.
func shortened(s string) string {
	if s == "" {
		return "nothing"
	}
	if len(s) <= diffText {
		return s
	}
	return strings.ToValidUTF8(s[:diffText], "") + " ..."
}
