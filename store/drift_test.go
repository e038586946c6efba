package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/catalog"
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
	var list []Drift
	for id := int64(1); id <= 1100; id++ {
		d := Drift{ExternalID: id, Title: "Shirt", Kind: DriftMissing}
		if id > 1050 {
			d.Kind = DriftExtra
		}
		list = append(list, d)
	}
	list[0].Kind = DriftDifferent
	for range 150 {
		list[0].Fields = append(list[0].Fields, catalog.FieldDiff{Path: "title", Old: "a", New: "b"})
	}
	for range 2 { // the answer to the first was lost
		if err := b.s.AddDrift(t.Context(), run.ID, list...); err != nil {
			t.Fatal(err)
		}
	}
	got := b.drift(run.ID)
	if len(got) != 1000 || len(got[0].Fields) != 100 || got[0].Shop != testShop || got[0].At == 0 {
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

func TestCompareSaysWhatDiffers(t *testing.T) {
	b := open(t)
	began := time.Now()
	b.want(upsertOf(product(1, "v2", 20_000, "1.00")), Applied)
	b.want(upsertOf(product(2, "v1", 10_000, "1")), Applied)
	b.want(deleteOf(5), Applied)
	b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{2, 3}})
	for _, tc := range []struct {
		name string
		p    *catalog.Product
		want string
	}{
		{"the same in another form", product(1, "v2", 20_000, "1"), ""},
		{"another title", product(1, "v3", 30_000, "1"), "different 1 Shirt v3 title:Shirt v2>Shirt v3"},
		{"the same with a newer time", product(1, "v2", 30_000, "1"), "different 1 Shirt v2 updated_at:1970-01-01T00:00:20Z>1970-01-01T00:00:30Z"},
		{"an older version than one stored since the read began", product(1, "v1", 10_000, "1"), ""},
		{"not selected, stored", product(2, "v2", 20_000, "1"), ""},
		{"not selected, not stored", product(3, "v2", 20_000, "1"), ""},
		{"not stored", product(4, "v1", 10_000, "1"), "missing 4 Shirt v1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seq := b.s.LastSeq()
			d, found, err := b.s.Compare(t.Context(), Read{Shop: testShop, Started: began}, tc.p)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if found {
				got = inWords([]Drift{d})[0]
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if b.s.LastSeq() != seq {
				t.Error("it changed something")
			}
		})
	}
	r := Read{Shop: testShop, Started: time.Now().Add(time.Second)}
	if d, found, err := b.s.Compare(t.Context(), r, product(1, "v1", 10_000, "1")); err != nil || !found || d.Kind != DriftDifferent {
		t.Errorf("an older version than one from before the read: %+v %v %v, want different", d, found, err)
	}
}
