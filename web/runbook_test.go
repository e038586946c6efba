package web

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stockroom/internal/status"
)

// Who gets an alert, or reads a sentence of the page, finds its section in the runbook: of
// every alert and every row of the table, in their order, and of nothing else.
func TestTheRunbookHasASectionForEveryAlertAndEverySentence(t *testing.T) {
	text, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, a := range alerts(t) {
		want = append(want, a.Alert)
	}
	want = append(want, status.Codes()...)
	lines := regexp.MustCompile(`^- \*\*Means\*\* .+\.\n- \*\*By itself\*\* .+\.\n- \*\*You\*\* .+\.\n- \*\*Worry\*\* .+\.\n+(## .*\n+)?$`)
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		got = append(got, name)
		if !lines.MatchString(body + "\n") {
			t.Errorf("%s has not its four lines, each a sentence:\n%s", name, body)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/runbook.md has sections of\n%q\nwant\n%q", got, want)
	}
}
