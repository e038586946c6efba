package status

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestThePageOfHealthTellsTheTable holds docs/health.md to the table: every row, in
// its order, with its colour and whether it stands against the copy.
func TestThePageOfHealthTellsTheTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/health.md")
	if err != nil {
		t.Fatal(err)
	}
	colours := map[Mood]string{Good: "green", Idle: "grey", Wait: "yellow", Bad: "red"}
	var want, got []string
	for _, r := range Table() {
		against := ""
		if r.Against {
			against = "yes"
		}
		want = append(want, strings.Join([]string{r.Code, colours[r.Mood], against}, " "))
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([a-z]+) \\| ([a-z]*) ?\\|").FindAllStringSubmatch(string(text), -1) {
		got = append(got, strings.Join(m[1:], " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/health.md tells\n%v\nthe table is\n%v", got, want)
	}
}
