package store

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stockroom/internal/catalog"
)

func TestADeselectedProductBecomesInactiveAndStaysAsItWas(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	b.want(upsertOf(product(2, "v1", 10_000, "1")), Applied)
	e := b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{1}})
	if e.Deactivated != 1 || e.Activated != 0 {
		t.Errorf("effect %+v", e)
	}
	if p := b.product(1); p.Status != "INACTIVE" {
		t.Errorf("status %s", p.Status)
	}
	b.want(upsertOf(product(1, "v2", 20_000, "2")), Ignored)
	b.title(1, "Shirt v1")
	if p := b.product(1); p.Status != "INACTIVE" {
		t.Errorf("a webhook made it %s", p.Status)
	}
	b.want(upsertOf(product(2, "v2", 20_000, "2")), Applied)

	e = b.selection(catalog.Selection{})
	if e.Activated != 1 {
		t.Errorf("effect %+v", e)
	}
	if p := b.product(1); p.Status != "ACTIVE" {
		t.Errorf("selected again it is %s", p.Status)
	}
	if !slices.ContainsFunc(b.wanted(), func(w Wanted) bool { return w.Kind == WantProduct && w.ID == 1 }) {
		t.Errorf("selected again, no fetch is wanted: %v", b.wanted())
	}
	if got := b.kinds(0); !slices.Equal(got, []string{"created", "created", "deactivated", "updated", "activated"}) {
		t.Errorf("feed %v", got)
	}
}

func TestAnUnselectedProductIsNotCreated(t *testing.T) {
	b := open(t)
	b.selection(catalog.Selection{Mode: catalog.SelectInclude})
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Ignored)
	b.absent(1)
	e := b.selection(catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{1}})
	if e.ToFetch != 1 {
		t.Errorf("effect %+v, want a fetch of the newly included id", e)
	}
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	b.title(1, "Shirt v2")
}

func TestRulesJudgeTheIncomingBody(t *testing.T) {
	b := open(t)
	b.selection(catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: catalog.RuleTag, Value: "summer"}}})
	winter := func(version string, at int64) catalog.Change {
		p := product(1, version, at, "1")
		p.Tags = catalog.Of([]string{"winter"})
		return upsertOf(p)
	}
	b.want(winter("v1", 10_000), Ignored)
	b.absent(1)
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	b.want(winter("v3", 30_000), Applied)
	if p := b.product(1); p.Status != "INACTIVE" {
		t.Errorf("no rule matches any more and it is %s", p.Status)
	}
	b.want(winter("v4", 40_000), Ignored)
	b.want(upsertOf(product(1, "v5", 50_000, "1")), Applied)
	if p := b.product(1); p.Status != "ACTIVE" {
		t.Errorf("a rule matches again and it is %s", p.Status)
	}
	b.title(1, "Shirt v5")
}

// An older version that matches must not win over a newer one that did not.
func TestAVersionThatWasPassedOverStillOutranksOlderOnes(t *testing.T) {
	b := open(t)
	b.selection(catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: catalog.RuleTag, Value: "summer"}}})
	p := product(1, "v5", 50_000, "1")
	p.Tags = catalog.Of([]string{"winter"})
	b.want(upsertOf(p), Ignored)
	b.want(upsertOf(product(1, "v4", 40_000, "1")), Stale)
	b.absent(1)
	b.want(upsertOf(product(1, "v6", 60_000, "1")), Applied)
}

// Products that were never stored may match now, so the shop has to be read.
func TestAWidenedSelectionWantsAFullSync(t *testing.T) {
	b := open(t)
	wantsSync := func() bool {
		return slices.ContainsFunc(b.wanted(), func(w Wanted) bool { return w.Kind == WantSync })
	}
	if b.selection(catalog.Selection{Mode: catalog.SelectAll}); wantsSync() {
		t.Error("saying the default again asks for a sync")
	}
	if b.selection(catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{1}}); wantsSync() {
		t.Error("an include list asks for a sync; its ids are fetched one by one")
	}
	if e := b.selection(catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: catalog.RuleTag, Value: "x"}}}); !wantsSync() || !e.FullSync || e.ToFetch != 0 {
		t.Errorf("rules ask for no sync: %+v", e)
	}
}

func TestDraftsAreInactiveButKeptCurrent(t *testing.T) {
	for _, status := range []string{"draft", "archived", "unlisted"} {
		t.Run(status, func(t *testing.T) {
			b := open(t)
			b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
			p := product(1, "v2", 20_000, "1")
			p.Status = catalog.Of(status)
			b.want(upsertOf(p), Applied)
			if row := b.product(1); row.Status != "INACTIVE" || row.Title.Value() != "Shirt v2" {
				t.Errorf("%s %s", row.Status, row.Title.Value())
			}
		})
	}
}

func TestSelectionSurvivesARestartAndAFailedWrite(t *testing.T) {
	b := open(t)
	b.selection(catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{5}})
	b.fail(func(at string) error {
		if at == "before commit" {
			return &UnavailableError{Cause: CauseIO}
		}
		return nil
	})
	if _, err := b.s.SetSelection(t.Context(), testShop, catalog.Selection{}); err == nil {
		t.Fatal("the fault did not reach the caller")
	}
	b.fail(nil)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Ignored)
	b.reopen()
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Ignored)
	b.want(upsertOf(product(5, "v1", 10_000, "1")), Applied)
}

func TestTheRulePublishedFollowsTheDateOfPublication(t *testing.T) {
	b := open(t)
	for id := range int64(2) {
		p := product(id+1, "v1", 10_000, "1")
		if p.PublishedAt = catalog.Of(int64(5_000)); id == 1 {
			p.PublishedAt = catalog.Null[int64]()
		}
		b.want(upsertOf(p), Applied)
	}
	e := b.selection(catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: catalog.RulePublished, Value: "true"}}})
	if e.Deactivated != 1 || b.product(1).Status != "ACTIVE" || b.product(2).Status != "INACTIVE" {
		t.Errorf("effect %+v; %s and %s", e, b.product(1).Status, b.product(2).Status)
	}
	for i, at := range []catalog.Field[int64]{catalog.Of(int64(15_000)), catalog.Null[int64]()} {
		id := int64(2 - i)
		p := product(id, "v2", 20_000, "1")
		p.PublishedAt = at
		b.want(upsertOf(p), Applied)
	}
	if b.product(1).Status != "INACTIVE" || b.product(2).Status != "ACTIVE" {
		t.Errorf("published the other way round: %s and %s", b.product(1).Status, b.product(2).Status)
	}
}

func TestAPreviewTellsWhatASelectionDoesAndChangesNothing(t *testing.T) {
	b := open(t)
	for id := range int64(10) {
		p := product(id+1, "v1", 10_000, "1")
		p.Vendor = catalog.Of("Acme Supply")
		if id == 9 {
			p.Status = catalog.Of("draft")
		}
		b.want(upsertOf(p), Applied)
	}
	rules := func(vendor string) catalog.Selection {
		return catalog.Selection{Mode: catalog.SelectRules, Rules: []catalog.Rule{{Field: catalog.RuleVendor, Value: vendor}}}
	}
	preview := func(sel catalog.Selection) SelectionEffect {
		t.Helper()
		e, err := b.s.PreviewSelection(t.Context(), testShop, sel)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	feed := b.kinds(0)
	e := preview(rules("acme suply"))
	if e.Stored != 10 || e.Active != 9 || e.Deactivated != 9 || e.Activated != 0 || !e.FullSync || !e.Drastic() {
		t.Errorf("a rule that matches nothing: %+v", e)
	}
	want := []UnmatchedRule{{Rule: rules("acme suply").Rules[0], Near: []ValueCount{{"Acme Supply", 10}}}}
	if d := cmp.Diff(want, e.Unmatched); d != "" {
		t.Error(d)
	}
	if e := preview(rules(" acme SUPPLY ")); e.Deactivated != 0 || e.Unmatched != nil || e.Drastic() {
		t.Errorf("the same vendor in other letters: %+v", e)
	}
	if e := preview(catalog.Selection{Exclude: []int64{1, 99}}); e.Deactivated != 1 || !e.Drastic() || !slices.Equal(e.NotStored, []int64{99}) {
		t.Errorf("an exclude list: %+v", e)
	}
	if e := preview(catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{77, 1, 66}}); e.Deactivated != 8 || e.ToFetch != 2 || e.FullSync || !slices.Equal(e.NotStored, []int64{66, 77}) {
		t.Errorf("an include list: %+v", e)
	}
	if !slices.Equal(b.kinds(0), feed) || b.product(1).Status != "ACTIVE" || len(b.wanted()) != 0 {
		t.Error("a preview changed something")
	}
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	want0, got := preview(rules("acme suply")), b.selection(rules("acme suply"))
	want0.Wanted, got.Wanted = nil, nil
	if d := cmp.Diff(want0, got); d != "" {
		t.Errorf("the change did something else than its preview said: %s", d)
	}
}

func TestOneOfTenIsNotDrasticAndMoreIs(t *testing.T) {
	for _, tc := range []struct {
		active, deactivated int
		want                bool
	}{{100, 10, false}, {100, 11, true}, {1, 1, true}, {0, 0, false}, {9, 1, true}, {10, 1, false}} {
		if got := (SelectionEffect{Active: tc.active, Deactivated: tc.deactivated}).Drastic(); got != tc.want {
			t.Errorf("%d of %d: %v", tc.deactivated, tc.active, got)
		}
	}
}
