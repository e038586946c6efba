package cli

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/term"

	"stockroom/internal/config"
)

func TestAPersonIsAskedOnATerminalAndNobodyElsewhere(t *testing.T) {
	for typed, goesOn := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "yesterday\n": false} {
		seen, tty := terminal(t, 80)
		if _, err := seen.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		var asked bytes.Buffer
		e := &env{ctx: t.Context(), Process: Process{Stdin: tty, Stderr: &asked}}
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

// TestAPersonWhoIsAskedCanStopTheCommand: a signal ends the wait for each thing that is
// asked for, and what is typed afterwards is seen again.
func TestAPersonWhoIsAskedCanStopTheCommand(t *testing.T) {
	for _, args := range [][]string{
		{"password", "set"}, {"password", "set", "--file", "-"}, {"shop", "add", "linen.myshopify.com", "--api-key", "k"},
	} {
		seen, tty := terminal(t, 80)
		before, err := term.GetState(int(tty.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var code int
		var talk, out bytes.Buffer
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			code = Run(ctx, Process{Args: append(args, "--data", filepath.Join(t.TempDir(), "d")), Stdin: tty, Stdout: &out, Stderr: &talk})
		}()
		for asked := args[len(args)-1] == "-"; !asked; runtime.Gosched() {
			now, err := term.GetState(int(tty.Fd())) // what is typed is hidden once it waits
			asked = err != nil || !reflect.DeepEqual(before, now)
		}
		cancel()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatalf("%v: it still waits", args)
		}
		after, err := term.GetState(int(tty.Fd()))
		if err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%v: the terminal is not as it was (%v)", args, err)
		}
		if code == config.ExitOK || !strings.Contains(talk.String(), "stopped; nothing was changed") {
			t.Errorf("%v: exit code %d, %q", args, code, talk.String())
		}
		_, _ = seen.WriteString("\n") // ends the read
	}
}

// TestALineThatNobodyWaitedForIsTheNextOne: what comes from a browser may end the wait
// for a line, and the next question must not share its answer with the reader left over.
func TestALineThatNobodyWaitedForIsTheNextOne(t *testing.T) {
	stdin, typed := io.Pipe()
	e := &env{ctx: t.Context(), Process: Process{Stdin: stdin}}
	left := e.nextLine()
	if again := e.nextLine(); again != left {
		t.Error("a second reader beside the first")
	}
	go func() { _, _ = io.WriteString(typed, "first\nsecond\n"+strings.Repeat("x", longestLine)+"\n") }()
	for _, want := range []string{"first\n", "second\n"} {
		if line, err := e.line(); line != want || err != nil {
			t.Errorf("%q %v, want %q", line, err, want)
		}
	}
	if _, err := e.line(); err == nil || err.Error() != "a line is longer than 4096 bytes" {
		t.Error(err)
	}
}
