package appliance

import (
	"testing"

	"pgregory.net/rapid"

	"stockroom/store"
)

// TestABrokenRuleIsFound leaves one rule out of the store at a time: the
// histories of TestOneComparisonMakesTheCopyEqual have to notice within 200 of
// them, or they would show nothing.
func TestABrokenRuleIsFound(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has nothing to find here, and takes long")
	}
	blank := blankDir(t)
	for _, rule := range []string{store.BreakOrder, store.BreakTombstone, store.BreakSweep} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			plans := rapid.Custom(drawPlan)
			for seed := range 200 {
				wrong := lived(t, plans.Example(seed), blank, rule)
				if wrong != nil {
					t.Logf("found by the %d. history: %v", seed+1, wrong)
					return
				}
			}
			t.Errorf("200 histories without the rule %q, and no difference", rule)
		})
	}
}
