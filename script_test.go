package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestCommands runs the scripts of testdata/script against the real binary, each
// in a folder of its own. The syntax is a part of testscript's (the go command's
// own script tests): one command a line, 'text with blanks', $VARIABLE, a "!"
// before what has to fail, "[exec:NAME]" before what needs a program, and files
// after a line "-- NAME --".
//
//	exec CMD...      runs a command, exit code 0; with ! another one
//	exit CODE CMD... runs a command that has to exit with CODE
//	stdin FILE       is what the next command reads
//	stdout REGEXP, stderr REGEXP   match what the last command wrote
//	lacks FILE REGEXP              no match in a file
//	env NAME=VALUE, chmod MODE FILE, cp FILE FILE, cmp FILE FILE, exists FILE;
//	FILE may be stdout
//	serve DIR        starts a server on DIR
//	deliver TOPIC FILE ID          posts a delivery of $SHOP signed with $SECRET
//	terminate        stops the server, which has to exit 0
func TestCommands(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runScript(t, string(text))
		})
	}
}

// script is one script that runs.
type script struct {
	*testing.T
	dir            string
	env            map[string]string
	stdin          string
	stdout, stderr string
	server         *server
}

func runScript(t *testing.T, text string) {
	s := &script{T: t, dir: t.TempDir(), env: map[string]string{}}
	for _, v := range cleanEnv("PATH="+filepath.Dir(binary(t))+string(os.PathListSeparator)+os.Getenv("PATH"), "SHOP="+e2eShop, "SECRET="+e2eSecret) {
		name, value, _ := strings.Cut(v, "=")
		s.env[name] = value
	}
	marker := regexp.MustCompile(`(?m)^-- (\S+) --\n`)
	marks := marker.FindAllStringSubmatchIndex(text, -1)
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		if err := os.WriteFile(filepath.Join(s.dir, text[m[2]:m[3]]), []byte(text[m[1]:end]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(marks) > 0 {
		text = text[:marks[0][0]]
	}
	for i, line := range strings.Split(text, "\n") {
		words := s.words(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if program, ok := strings.CutPrefix(words[0], "[exec:"); ok {
			if _, err := exec.LookPath(strings.TrimSuffix(program, "]")); err != nil {
				continue
			}
			words = words[1:]
		}
		negated := words[0] == "!"
		if negated {
			words = words[1:]
		}
		if err := s.run(negated, words[0], words[1:]); err != nil {
			t.Fatalf("line %d: %s\n%v\nstdout: %s\nstderr: %s", i+1, line, err, s.stdout, s.stderr)
		}
	}
}

// words splits a line at blanks outside of quotes; ” inside quotes is a quote.
func (s *script) words(line string) []string {
	var words []string
	var word strings.Builder
	quoted, open := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'' && quoted && i+1 < len(line) && line[i+1] == '\'':
			word.WriteByte('\'')
			i++
		case c == '\'':
			quoted, open = !quoted, true
		case c == ' ' && !quoted:
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		case c == '$' && !quoted:
			name := regexp.MustCompile(`^[A-Z]+`).FindString(line[i+1:])
			word.WriteString(s.env[name])
			i += len(name)
			open = true
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}

func (s *script) run(negated bool, command string, args []string) error {
	want := func(ok bool, what string) error {
		if ok == negated {
			return errors.New(what)
		}
		return nil
	}
	switch command {
	case "exec":
		code, err := s.exec(args)
		return errors.Join(err, want(code == 0, fmt.Sprint("exit code ", code)))
	case "exit":
		code, err := s.exec(args[1:])
		return errors.Join(err, want(strconv.Itoa(code) == args[0], fmt.Sprint("exit code ", code)))
	case "stdout", "stderr":
		text := s.stdout
		if command == "stderr" {
			text = s.stderr
		}
		re, err := regexp.Compile("(?m)" + args[0])
		if err != nil {
			return err
		}
		return want(re.MatchString(text), "no match, or one that should not be")
	case "env":
		name, value, _ := strings.Cut(args[0], "=")
		s.env[name] = value
	case "exists":
		_, err := os.Stat(filepath.Join(s.dir, args[0]))
		return want(err == nil, "it is not so")
	case "chmod":
		mode, err := strconv.ParseUint(args[0], 8, 32)
		return errors.Join(err, os.Chmod(filepath.Join(s.dir, args[1]), os.FileMode(mode)))
	case "serve":
		s.server = startServer(s, serveOptions{Dir: filepath.Join(s.dir, args[0]), Env: []string{}})
	case "terminate":
		s.server.stop()
	default:
		return s.runOnFiles(command, args)
	}
	return nil
}

// runOnFiles runs the commands whose first argument, or second one, is a file's
// content.
func (s *script) runOnFiles(command string, args []string) error {
	var texts []string
	for _, name := range args[:min(2, len(args))] {
		text, err := os.ReadFile(filepath.Join(s.dir, name))
		if name == "stdout" {
			text, err = []byte(s.stdout), nil
		}
		if err != nil {
			text = nil // not a file: a topic, a pattern, a name to write
		}
		texts = append(texts, string(text))
	}
	switch command {
	case "stdin":
		s.stdin = texts[0]
	case "cp":
		return os.WriteFile(filepath.Join(s.dir, args[1]), []byte(texts[0]), 0o600)
	case "cmp":
		if texts[0] == "" || texts[0] != texts[1] {
			return errors.New("the files differ")
		}
	case "lacks":
		if texts[0] == "" || regexp.MustCompile(args[1]).MatchString(texts[0]) {
			return errors.New("there is a match, or no such file")
		}
	case "deliver":
		d := delivery{Topic: args[0], Shop: s.env["SHOP"], Secret: s.env["SECRET"], Body: []byte(strings.TrimSpace(texts[1])), WebhookID: args[2]}
		s.stdout, s.stderr = s.server.post(d).String()+"\n", ""
	default:
		return errors.New("no such command")
	}
	return nil
}

// exec runs a program and keeps what it wrote.
func (s *script) exec(args []string) (code int, err error) {
	path := filepath.Join(filepath.Dir(binary(s)), args[0])
	if args[0] != "stockroom" {
		if path, err = exec.LookPath(args[0]); err != nil {
			return 0, err
		}
	}
	cmd := exec.CommandContext(s.Context(), path, args[1:]...)
	cmd.Dir = s.dir
	for _, name := range slices.Sorted(maps.Keys(s.env)) {
		cmd.Env = append(cmd.Env, name+"="+s.env[name])
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(s.stdin), &out, &errs
	err = cmd.Run()
	s.stdin, s.stdout, s.stderr = "", out.String(), errs.String()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}
