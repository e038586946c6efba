package cli

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"stockroom/config"
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

func TestAPersonIsAskedBeforeAShopIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	run := func(typed string, args ...string) (code int, out, talk string) {
		t.Helper()
		seen, tty := terminal(t, 80)
		if _, err := seen.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		code = Run(t.Context(), Process{Args: append(args, "--data", dir), Stdin: tty, Stdout: &stdout, Stderr: &stderr})
		return code, stdout.String(), stderr.String()
	}
	const shop = "linen.myshopify.com"
	if code, _, talk := run("\n", "shop", "add", shop, "--no-check"); code != config.ExitOK {
		t.Fatal(talk)
	}
	for _, flag := range []string{"--json", "--purge"} {
		code, _, talk := run("n\n", "shop", "remove", shop, flag)
		if code != config.ExitFailed || !strings.Contains(talk, shop+" is removed") || !strings.Contains(talk, "Go on? [y/N]") {
			t.Errorf("%s: %d %s", flag, code, talk)
		}
	}
	if _, out, _ := run("", "shop", "list"); !strings.Contains(out, shop) {
		t.Error("removed though a person said no")
	}
	if code, out, talk := run("y\n", "shop", "remove", shop, "--purge"); code != config.ExitOK || !strings.Contains(out, "Removed "+shop) {
		t.Errorf("%d %s %s", code, out, talk)
	}
}
