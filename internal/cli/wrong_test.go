package cli

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/wrong.txt again")

// TestWrongInputsSayWhatToDo holds the exit code and the words of what people
// type wrongly. A line that begins with $ is typed; = CODE and the words follow,
// up to an empty line.
func TestWrongInputsSayWhatToDo(t *testing.T) {
	table, err := filepath.Abs(filepath.Join("testdata", "wrong.txt"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("the table has the system's words of Unix")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for name, words := range map[string]string{"open.txt": "s", "number.toml": "listen = 5", "slip.toml": "lisen = \"x\""} {
		if err := os.WriteFile(name, []byte(words), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o644); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var got strings.Builder
	inputs := 0
	for line := range strings.Lines(string(text)) {
		typed, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !ok {
			continue
		}
		inputs++
		words := strings.Fields(strings.ReplaceAll(typed, "TAKEN", taken.Addr().String()))
		var environ []string
		for len(words) > 0 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "-") {
			environ, words = append(environ, words[0]), words[1:]
		}
		var stdout, stderr bytes.Buffer
		code := Run(t.Context(), Process{Args: words[1:], Environ: environ, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Version: "v1"})
		said := strings.NewReplacer(dir, "DIR", taken.Addr().String(), "TAKEN").Replace(stderr.String())
		if code == 0 || strings.Contains(said, "goroutine ") {
			t.Errorf("%s: exit %d: %s", typed, code, said)
		}
		fmt.Fprintf(&got, "$ %s\n= %d\n%s\n", typed, code, said)
	}
	if *update {
		if err := os.WriteFile(table, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got.String() != string(text) {
		t.Errorf("the words differ from %s; read them and run: go test ./internal/cli -run WrongInputs -update\n%s", table, got.String())
	}
	if inputs < 40 {
		t.Errorf("only %d inputs", inputs)
	}
}
