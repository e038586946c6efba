package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/store"
)

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
