package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"stockroom/internal/config"
)

// TestADemoReadsNoSettingsFile: not that in its data dir either, which may be a real shop's.
func TestADemoReadsNoSettingsFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, config.FileName), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := said(t, "demo", "--data", dir, "--admin-listen", "192.0.2.1:1")
	if code != config.ExitConfig || !strings.Contains(errs, "the page of a demo is open") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestTheLinesOfTheDemoCanBePasted(t *testing.T) {
	var out strings.Builder
	data := filepath.Join(t.TempDir(), "it's a dir")
	greet(&out, "stockroom", "http://127.0.0.1:8081", data, "7100000035648")
	var lines []string
	for line := range strings.Lines(out.String()) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			lines = append(lines, command)
		}
	}
	words := func(line string) []string {
		text, err := exec.CommandContext(t.Context(), "sh", "-c", `for word in `+line+`; do printf '%s\n' "$word"; done`).Output()
		if err != nil {
			t.Skip("no shell: ", err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), &out)
	}
	if w := words(strings.TrimSpace(lines[0])); w[1] != "http://127.0.0.1:8081/api/v1/products?limit=3" || !strings.Contains(lines[0], "'") {
		t.Errorf("%q", w)
	}
	if w := words(strings.TrimSpace(lines[1])); len(w) != 3 || w[1] != filepath.Join(data, "products.db") {
		t.Errorf("%q", w)
	}
	for _, line := range lines[2:] {
		if w := words(strings.TrimSpace(line)); w[0] != "stockroom" || check(w[1:]) != nil {
			t.Errorf("%q: %v", w, check(w[1:]))
		}
	}
	out.Reset()
	greet(&out, "./bin/stockroom", "http://127.0.0.1:8081", "x", "1")
	if !regexp.MustCompile(`    '?/.*test'? explain demo-shop.myshopify.com 1 --data '?/`).MatchString(out.String()) {
		t.Errorf("a program called by a path, or a relative data dir:\n%s", &out)
	}
}
