package appliance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const brokenRule = "STOCKROOM_BROKEN_RULE"

// TestABrokenRuleIsFound takes one rule at a time out of the source of the store:
// the histories of TestOneComparisonMakesTheCopyEqual have to notice within 200 of
// them, or they would show nothing.
func TestABrokenRuleIsFound(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has nothing to find here, and takes long")
	}
	if os.Getenv(brokenRule) != "" {
		liveUntilFound(t)
		return
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is needed to build a store without the rule")
	}
	for _, rule := range []struct{ name, line, without string }{
		{"an older version does not win over a newer one", "return m.apart() < 0 }", "return false }"},
		{"a delivery does not bring a deleted product back", "buried := h.tombstone != 0\n", "buried := false\n"},
		{"a run removes what the shop has no more", "case h.tombstone != 0 && h.id == 0:", "case m.o.run != 0 || h.tombstone != 0 && h.id == 0:"},
	} {
		t.Run(rule.name, func(t *testing.T) {
			program := withoutRule(t, "judge.go", rule.line, rule.without)
			cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestABrokenRuleIsFound$")
			cmd.Env = append(os.Environ(), brokenRule+"="+rule.name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), foundIt) {
				t.Errorf("200 histories without the rule, and no difference: %v\n%s", err, out)
			}
		})
	}
}

const foundIt = "a history shows that the rule is broken"

func liveUntilFound(t *testing.T) {
	blank, plans := blankDir(t), rapid.Custom(drawPlan)
	for seed := range 200 {
		p := plans.Example(seed)
		p.Pull = false // the rules are of deliveries
		if wrong := lived(t, p, blank); wrong != nil {
			t.Fatalf("%s: the %d. of them: %v", foundIt, seed+1, wrong)
		}
	}
}

// withoutRule builds this package's tests with another text in place of one in a
// file of the store.
func withoutRule(t *testing.T, file, line, without string) string {
	dir := t.TempDir()
	path, err := filepath.Abs(filepath.Join("..", "..", "store", file))
	source, readErr := os.ReadFile(path)
	if err != nil || readErr != nil {
		t.Fatal(err, readErr)
	}
	if strings.Count(string(source), line) != 1 {
		t.Fatalf("%s does not have %q once", file, line)
	}
	broken := filepath.Join(dir, file)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		broken: strings.Replace(string(source), line, without, 1), filepath.Join(dir, "overlay.json"): string(overlay),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "broken.test.exe")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}
