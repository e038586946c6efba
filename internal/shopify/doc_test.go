package shopify

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestThePageOfAccessTellsTheTables holds docs/access.md to what is needed of an app and to
// the refusals that are known.
func TestThePageOfAccessTellsTheTables(t *testing.T) {
	text, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, scope := range NeededScopes() {
		want = append(want, "| `"+scope+"` | "+Without(scope)+" |")
	}
	for _, r := range tokenRefusals {
		code := "`" + r.code + "`"
		if r.says != "" {
			code += ": " + r.says
		}
		want = append(want, "| "+code+" | "+r.words+" | "+r.step+" |")
	}
	got = append(got, regexp.MustCompile("(?m)^\\| `.*$").FindAllString(string(text), -1)...)
	if !slices.Equal(got, want) {
		t.Errorf("docs/access.md tells\n%q\nthe tables are\n%q", got, want)
	}
}
