package e2e_test

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"stockroom/internal/fakeshopify"
)

// TestCommands runs the scripts of testdata/script against the real binary, each
// in a folder of its own. Beside testscript's own commands they use:
//
//	exit CODE CMD...         runs a command that has to exit with CODE
//	lacks FILE REGEXP        no match in a file
//	serve DIR [ARG...]       starts a server on DIR
//	deliver TOPIC FILE ID    posts a delivery of $SHOP signed with $SECRET
//	ask PATH FILE            asks the admin listener, with the token in FILE unless that is ''
//	terminate                stops the server, which has to exit 0
//
// and those of shopCommands.
func TestCommands(t *testing.T) {
	t.Parallel()
	commands := map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"exit": exitWith, "lacks": lacks, "deliver": deliver, "ask": ask,
		"serve": func(ts *testscript.TestScript, _ bool, args []string) {
			*serverOf(ts) = startServer(t, serveOptions{Dir: ts.MkAbs(args[0]), Args: args[1:], Env: []string{}})
		},
		"terminate": func(ts *testscript.TestScript, _ bool, _ []string) { (*serverOf(ts)).stop() },
	}
	maps.Copy(commands, shopCommands())
	path := filepath.Dir(binary(t)) + string(os.PathListSeparator) + os.Getenv("PATH")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Vars = append(cleanEnv("PATH="+path, "SHOP="+e2eShop, "SECRET="+e2eSecret), "WORK="+e.WorkDir)
			e.Values[running{}] = new(*server)
			e.Values[simulated{}] = new(*fakeshopify.Shop)
			return nil
		},
		Cmds: commands,
	})
}

// running is the key of a script's server.
type running struct{}

func serverOf(ts *testscript.TestScript) **server { return ts.Value(running{}).(**server) }

// exitWith runs a command and wants its exit code.
func exitWith(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: exit CODE CMD...")
	}
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		code = ended.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// lacks wants no match of a pattern in a file that has some text.
func lacks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lacks FILE REGEXP")
	}
	text := ts.ReadFile(args[0])
	if text == "" || regexp.MustCompile(args[1]).MatchString(text) {
		ts.Fatalf("there is a match, or no text")
	}
}

// deliver posts a delivery and writes its answer to standard output.
func deliver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: deliver TOPIC FILE ID")
	}
	d := delivery{
		Topic: args[0], Shop: ts.Getenv("SHOP"), Secret: ts.Getenv("SECRET"),
		Body: []byte(strings.TrimSpace(ts.ReadFile(args[1]))), WebhookID: args[2],
	}
	_, _ = ts.Stdout().Write([]byte((*serverOf(ts)).post(d).String() + "\n"))
}

// ask writes what the admin listener answers to standard output.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ask PATH FILE")
	}
	s, token := *serverOf(ts), ""
	if args[1] != "" {
		token = strings.TrimSpace(ts.ReadFile(args[1]))
	}
	_, _ = ts.Stdout().Write([]byte(s.as(token, http.MethodGet, args[0], "").String() + "\n"))
}
