package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stockroom/internal/catalog"
)

func (b *bench) drift(run int64) []Drift {
	b.t.Helper()
	list, err := b.s.Drift(b.t.Context(), run, 0, 2000)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func inWords(list []Drift) []string {
	var words []string
	for _, d := range list {
		s := fmt.Sprint(d.Kind, " ", d.ExternalID, " ", d.Title)
		for _, f := range d.Fields {
			s += fmt.Sprintf(" %s:%s>%s", f.Path, f.Old, f.New)
		}
		words = append(words, s)
	}
	return words
}

func TestAReportSaysWhatARepairChanged(t *testing.T) {
	b := open(t)
	for id := int64(1); id <= 4; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1")), Applied)
	}
	run, err := b.s.StartRun(t.Context(), SyncRun{Shop: testShop, Kind: RunReconcile, Trigger: "schedule"})
	if err != nil {
		t.Fatal(err)
	}
	r := Read{Shop: testShop, Source: "reconcile", Started: later(), Run: run.ID, Report: true}
	res := b.fetched(r, product(1, "v2", 20_000, "2"))
	if len(res.Diff) != 2 {
		t.Errorf("diff %v", res.Diff)
	}
	b.fetched(r, product(2, "v1", 10_000, "1")) // nothing to repair
	b.fetched(r, product(3, "v1", 20_000, "1")) // only its time moved
	b.fetched(r, product(9, "v1", 10_000, "1"))
	if _, err := b.s.PutGone(t.Context(), r, 4); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"different 1 Shirt v2 title:Shirt v1>Shirt v2 variants[100].price:1>2",
		"different 3 Shirt v1 updated_at:1970-01-01T00:00:10Z>1970-01-01T00:00:20Z",
		"missing 9 Shirt v1",
		"extra 4 Shirt v1",
	}
	if got := inWords(b.drift(run.ID)); !slices.Equal(got, want) {
		t.Errorf("report\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := b.run(run.ID); got.Added != 1 || got.Changed != 2 || got.Unchanged != 1 || got.Removed != 1 {
		t.Errorf("run %+v", got)
	}
}

func TestAReadWithoutARunReportsNothingAndStillTellsTheDiff(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	if res := b.fetched(Read{Shop: testShop, Source: "fetch", Started: later(), Report: true}, product(1, "v2", 20_000, "1")); len(res.Diff) != 1 {
		t.Errorf("%+v", res)
	}
}

func TestAReportHoldsAThousandRowsAndTheCountersTheRest(t *testing.T) {
	b := open(t)
	run, err := b.s.StartRun(t.Context(), SyncRun{Shop: testShop, Kind: RunReconcile, Trigger: "by hand", DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	for id := int64(1051); id <= 1100; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1")), Applied)
	}
	wide := product(1, "v1", 10_000)
	for id := range int64(150) {
		v := variant(id+1, "1")
		v.WeightGrams = catalog.Of(id)
		wide.Variants = catalog.Of(append(wide.Variants.Value(), v))
	}
	b.want(upsertOf(wide), Applied)
	edited := product(1, "v2", 20_000)
	edited.Variants = catalog.Of(slices.Clone(wide.Variants.Value()))
	for i := range edited.Variants.Value() {
		edited.Variants.Value()[i].Price = catalog.Of("2")
	}
	products := []*catalog.Product{edited}
	for id := int64(2); id <= 1050; id++ {
		products = append(products, product(id, "v1", 10_000))
	}
	r := Read{Shop: testShop, Source: "reconcile", Started: later(), Run: run.ID, Report: true, DryRun: true}
	for range 2 { // the answer to the first was lost
		if _, err := b.s.PutFetched(t.Context(), r, products...); err != nil {
			t.Fatal(err)
		}
		for id := int64(1051); id <= 1100; id++ {
			if _, err := b.s.PutGone(t.Context(), r, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := b.drift(run.ID)
	if len(got) != 1000 || got[0].Kind != DriftDifferent || len(got[0].Fields) != 100 || got[0].Shop != testShop || got[0].At == 0 {
		t.Errorf("%d rows, first %+v", len(got), got[0])
	}
	if row := b.run(run.ID); row.Added != 1049 || row.Changed != 1 || row.Removed != 50 {
		t.Errorf("run %+v", row)
	}
	page, err := b.s.Drift(t.Context(), run.ID, got[997].ID, 10)
	if err != nil || len(page) != 2 {
		t.Errorf("the last page is %v, %v", page, err)
	}
}

func TestADryRunSaysWhatDiffersAndChangesNothing(t *testing.T) {
	b := open(t)
	began := time.Now()
	b.want(upsertOf(product(1, "v2", 20_000, "1.00")), Applied)
	b.want(upsertOf(product(2, "v1", 10_000, "1")), Applied)
	b.want(deleteOf(5), Applied)
	b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{2, 3}})
	for _, tc := range []struct {
		name string
		p    *catalog.Product
		late bool // the read began after everything was stored
		want string
	}{
		{"the same in another form", product(1, "v2", 20_000, "1"), true, ""},
		{"another title", product(1, "v3", 30_000, "1"), false, "different 1 Shirt v3 title:Shirt v2>Shirt v3"},
		{"the same with a newer time", product(1, "v2", 30_000, "1"), false,
			"different 1 Shirt v2 updated_at:1970-01-01T00:00:20Z>1970-01-01T00:00:30Z"},
		{"an older version than one stored since the read began", product(1, "v1", 10_000, "1"), false, ""},
		{"an older version than one from before, which two reads decide", product(1, "v1", 10_000, "1"), true, ""},
		{"not selected, stored", product(2, "v2", 20_000, "1"), true, ""},
		{"not selected, not stored", product(3, "v2", 20_000, "1"), true, ""},
		{"not stored", product(4, "v1", 10_000, "1"), false, "missing 4 Shirt v1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := b.dryRun()
			r := Read{Source: "reconcile", Started: began, Run: run.ID, Report: true, DryRun: true}
			if tc.late {
				r.Started = later()
			}
			before := b.dump()
			res := b.fetched(r, tc.p)
			if got := strings.Join(inWords(b.drift(run.ID)), "\n"); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if after := b.dump(); after != before {
				t.Errorf("it changed something: %s", cmp.Diff(before, after))
			}
			if !res.Refused.IsZero() && tc.want != "" {
				t.Errorf("%+v", res)
			}
		})
	}
}
