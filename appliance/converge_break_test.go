package appliance

import (
	"os"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"stockroom/store"
)

// TestABrokenRuleIsFound leaves one rule out of the store at a time: the
// histories of TestOneComparisonMakesTheCopyEqual have to notice within 200 of
// them, or they would show nothing.
func TestABrokenRuleIsFound(t *testing.T) {
	blank := blankDir(t)
	for _, rule := range []string{store.BreakOrder, store.BreakTombstone, store.BreakSweep} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			plans := rapid.Custom(drawPlan)
			for seed := range 200 {
				p := plans.Example(seed)
				dir, err := os.MkdirTemp(blank, "world-")
				if err != nil {
					t.Fatal(err)
				}
				var wrong error
				synctest.Test(t, func(*testing.T) { wrong = p.live(blank, dir, rule) })
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if wrong != nil {
					t.Logf("found by the %d. history: %v", seed+1, wrong)
					return
				}
			}
			t.Errorf("200 histories without the rule %q, and no difference", rule)
		})
	}
}
