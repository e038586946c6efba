package cli

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"stockroom/internal/config"
)

// said runs a command line without a data dir and returns what it wrote.
func said(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Run(t.Context(), Process{Args: args, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Version: "v1"})
	return code, stdout.String(), stderr.String()
}

// check reports what is wrong with a command line, without running it.
func check(args []string) error {
	_, _, err := parse(new(commands), Process{Args: args, Stdout: io.Discard, Stderr: io.Discard})
	return err
}

// leaves are all commands that do something, by path.
func leaves(t *testing.T) map[string]*kong.Node {
	t.Helper()
	all := map[string]*kong.Node{}
	for _, n := range newParser(new(commands), Process{Stdout: io.Discard, Stderr: io.Discard}).Model.Leaves(true) {
		all[pathOf(n)] = n
	}
	return all
}

func TestEveryCommandHasExamplesThatParse(t *testing.T) {
	all := leaves(t)
	for path := range all {
		m := manuals()[path]
		if len(m.examples) < 2 || len(m.examples) > 3 {
			t.Errorf("%s: %d examples", path, len(m.examples))
		}
		for _, example := range m.examples {
			line := strings.TrimSuffix(strings.TrimSuffix(example, ")"), " | source")
			line = regexp.MustCompile(`^(.* |.*\()?stockroom `).ReplaceAllString(line, "")
			if !strings.HasPrefix(line, path) {
				t.Errorf("%s: %s is an example of something else", path, example)
			}
			if err := check(block{language: "sh", lines: []string{line}}.commandLines()[0]); err != nil {
				t.Errorf("%s: %v", example, err)
			}
		}
	}
	for path, m := range manuals() {
		if all[path] == nil {
			t.Errorf("%q is no command", path)
		}
		for _, name := range strings.Fields(m.settings) {
			if name != everySetting && !slices.ContainsFunc(config.All(), func(s config.Setting) bool { return s.Name == name }) {
				t.Errorf("%s: there is no setting %s", path, name)
			}
		}
	}
}

func TestTheHelpBeginsWithTheCommands(t *testing.T) {
	for _, args := range [][]string{nil, {"help"}, {"--help"}} {
		code, out, errs := said(t, args...)
		if lines := strings.Count(out, "\n"); code != 0 || errs != "" || lines > 51 {
			t.Errorf("%v: %d, %d lines, %s", args, code, lines, errs)
		}
		if !regexp.MustCompile(`(?s)Run:\n +init .*\n +serve .*Shops:\n.*Catalogue:\n.*--data=DIR.*Default:\s+\./stockroom-data\..*--version.*stockroom help settings`).MatchString(out) ||
			strings.Contains(out, "--breaker-reset") {
			t.Errorf("%v:\n%s", args, out)
		}
	}
}

func TestTheHelpOfACommandShowsWhatItUses(t *testing.T) {
	for path := range leaves(t) {
		code, out, errs := said(t, append([]string{"help"}, strings.Fields(path)...)...)
		again, flag, _ := said(t, append(strings.Fields(path), "--help")...)
		if code != 0 || again != 0 || errs != "" || out != flag {
			t.Errorf("%s: %d, %d, %s\n%s\n%s", path, code, again, errs, out, flag)
		}
		for _, want := range []string{"Usage: stockroom ", "--data=DIR", "--json", "\nExamples:\n", "stockroom help settings"} {
			if !strings.Contains(out, want) {
				t.Errorf("help %s does not say %s:\n%s", path, want, out)
			}
		}
		if strings.Contains(out, "--version") || strings.Contains(out, "--keep-changes=") {
			t.Errorf("help %s shows what it does not use:\n%s", path, out)
		}
	}
	if _, out, _ := said(t, "help", "version"); strings.Count(out, "\n") > 24 {
		t.Errorf("help version:\n%s", out)
	}
	if _, out, _ := said(t, "help", "sync"); !strings.Contains(out, "--full") || !strings.Contains(out, "Settings it uses: --api-base,") {
		t.Errorf("help sync:\n%s", out)
	}
}

func TestTheHelpOfTheSettingsIsTheirTable(t *testing.T) {
	code, out, _ := said(t, "help", "settings")
	_, doc, _ := said(t, "help", "settings", "--json")
	for _, s := range config.All() {
		for _, want := range []string{s.Env, s.Default, s.Help} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is missing", s.Name, want)
			}
		}
		if !strings.Contains(doc, `"name": "`+s.Name) && !s.EnvOnly {
			t.Errorf("%s is not in the document", s.Name)
		}
	}
	if code != 0 || !strings.Contains(out, "--max-body  STOCKROOM_MAX_BODY  (8MiB)\n    Largest") || !strings.Contains(out, "SHOPIFY_API_SECRET") {
		t.Errorf("%d\n%s", code, out)
	}
}

func TestShortNamesAndTheVersionFlag(t *testing.T) {
	for _, line := range []string{"shop ls", "queue ls", "products ls --limit 3", "webhooks ls", "shop rm my-shop.myshopify.com", "--version", "serve --max-body 1MiB"} {
		if err := check(strings.Fields(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	_, flag, _ := said(t, "--version")
	if _, command, _ := said(t, "version"); flag != command || !strings.HasPrefix(flag, "stockroom v1 (go") {
		t.Errorf("%q, %q", flag, command)
	}
}

func TestAWrongCommandLineSaysWhatWasMeant(t *testing.T) {
	for line, want := range map[string]string{
		"serv":                           `did you mean one of "serve", "service"?`,
		"queue lst":                      `there is no command queue lst, did you mean "list"?`,
		"help qeue":                      `there is no command qeue, did you mean "queue"?`,
		"serve --lisen :80":              `unknown flag --lisen, did you mean "--listen"?`,
		"products get s":                 `products get needs <product>`,
		"doctor now":                     `doctor takes no further argument: now`,
		"--json":                         "the command line names no command",
		"queue":                          `queue needs one of list, show, retry, discard`,
		"products list -x":               "See: stockroom help products list",
		"sync --dry-run":                 "unknown flag --dry-run",
		"products list --limit 0":        "--limit needs a number from 1 to 1000, not 0",
		"queue list --limit x":           `--limit needs a whole number, not "x"`,
		"simulate --rate=-1":             "--rate needs a number from 0 to 10000, not -1",
		"simulate --index-lost 2":        "--index-lost needs a number from 0 to 1, not 2",
		"simulate --index-lag 60":        `--index-lag needs a time such as 90s or 15m, not "60"`,
		"demo --products=-1":             "--products needs a number from 0 to 1000000, not -1",
		"demo --rate":                    "--rate needs a value",
		"healthcheck --timeout 3":        `--timeout needs a time such as 90s or 15m, not "3"`,
		"serve --limit-adaptive=perhaps": `--limit-adaptive needs true or false, not "perhaps"`,
		"explain s.myshopify.com shirt":  `"shirt" is not a product's id`,
		"completion csh":                 `<shell> has to be one of "bash","zsh","fish", not "csh"`,
		"products ls -q a b":             "products list takes no further argument: b",
	} {
		code, out, errs := said(t, strings.Fields(line)...)
		if code != config.ExitUsage || out != "" || !strings.Contains(errs, want) || !strings.Contains(errs, "\nSee: stockroom help") && !strings.Contains(errs, "See: stockroom help") {
			t.Errorf("%s: %d, %q, %q", line, code, out, errs)
		}
	}
}
