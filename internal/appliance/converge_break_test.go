package appliance

import (
	"encoding/json"
	"fmt"
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
	rules := []breakable{
		{"an older version does not win over a newer one", "return m.apart() < 0 }", "return m.apart() < 0 && !%s }"},
		{"a delivery does not bring a deleted product back", "buried := h.tombstone != 0\n", "buried := h.tombstone != 0 && !%s\n"},
		{"a run removes what the shop has no more", "case h.tombstone != 0 && h.id == 0:", "case %s && m.o.run != 0 || h.tombstone != 0 && h.id == 0:"},
	}
	program := withoutARule(t, "judge.go", rules)
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
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

// breakable is a rule: its line, and that line when what stands for %s says that it is broken.
type breakable struct{ name, line, broken string }

// withoutARule builds this package's tests with a store that goes by all the rules of
// a file but the one that the environment names.
func withoutARule(t *testing.T, file string, rules []breakable) (program string) {
	dir := t.TempDir()
	path, err := filepath.Abs(filepath.Join("..", "..", "store", file))
	source, readErr := os.ReadFile(path)
	if err != nil || readErr != nil {
		t.Fatal(err, readErr)
	}
	text := string(source)
	for _, rule := range rules {
		if strings.Count(text, rule.line) != 1 {
			t.Fatalf("%s does not have %q once", file, rule.line)
		}
		text = strings.Replace(text, rule.line, fmt.Sprintf(rule.broken, fmt.Sprintf("broken(%q)", rule.name)), 1)
	}
	asks := fmt.Sprintf("package store\n\nimport \"os\"\n\nfunc broken(rule string) bool { return os.Getenv(%q) == rule }\n", brokenRule)
	changed, added := filepath.Join(dir, file), filepath.Join(dir, "broken.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed, filepath.Join(filepath.Dir(path), "broken.go"): added}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		changed: text, added: asks, filepath.Join(dir, "overlay.json"): string(overlay),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(dir, "broken.test.exe")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}
