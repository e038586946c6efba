package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestAPersonIsAskedOnATerminalAndNobodyElsewhere(t *testing.T) {
	for typed, goesOn := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "yesterday\n": false} {
		seen, tty := terminal(t, 80)
		if _, err := seen.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		var asked bytes.Buffer
		e := &env{Process: Process{Stdin: tty, Stderr: &asked}}
		err := e.confirm("3 products would become INACTIVE.")
		if (err == nil) != goesOn || err != nil && err.Error() != "nothing was changed" {
			t.Errorf("%q: %v", typed, err)
		}
		if asked.String() != "3 products would become INACTIVE. Go on? [y/N] " {
			t.Errorf("asked %q", asked.String())
		}
	}
	e := &env{Process: Process{Stdin: strings.NewReader("y\n")}}
	if err := e.confirm("3 products would become INACTIVE."); err == nil || !strings.Contains(err.Error(), "add --yes") {
		t.Errorf("without a terminal: %v", err)
	}
}
