package cli

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is a fenced block of a page.
type block struct {
	file           string
	line           int // of its first line
	language, kind string
	lines          []string
}

// blocksOf reads the fenced blocks of a page. A fence names the language and
// whether the block is only shown, or run in the journey of a person, who may
// leave it running; the journeys are in browsertest.
func blocksOf(t *testing.T, file string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("^ *```(.*)$")
	marks := regexp.MustCompile("^([a-z]+) (?:(show)|(run) (?:demo|download|shop|developer|offline|router|operator)(?: stays)?)$")
	var open *block
	blank := true
	for i, line := range strings.Split(string(text), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open != nil:
			all, open = append(all, *open), nil
		case m != nil:
			marked := marks.FindStringSubmatch(m[1])
			if marked == nil {
				t.Errorf("%s:%d: the block is not marked as in ```sh run shop or ```sh show", file, i+1)
				marked = []string{"", "text", "show", ""}
			}
			open = &block{file: file, line: i + 2, language: marked[1], kind: marked[2] + marked[3]}
		case open != nil:
			open.lines = append(open.lines, line)
		case blank && strings.HasPrefix(line, "    "):
			t.Errorf("%s:%d: an indented block; put it between ```sh show and ```", file, i+1)
		}
		blank = strings.TrimSpace(line) == ""
	}
	if open != nil {
		t.Errorf("%s:%d: the block has no end", file, open.line)
	}
	return all
}

// commandLines are the simple commands of a block for a shell, split into words:
// pipes and lists are taken apart, continued lines joined, comments and the
// output of a console left out.
func (b block) commandLines() (all [][]string) {
	var text strings.Builder
	for _, line := range b.lines {
		if b.language == "console" {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if !ok {
				continue
			}
			line = command
		}
		text.WriteString(line + "\n")
	}
	var words []string
	for _, word := range regexp.MustCompile(`\\\n|(?m:(?:^|\s)#.*$)|(?:'[^']*'|"[^"]*"|[^\s'"|&;()<>])+|[<>]+&?|\|\||&&|[\n|&;()]`).FindAllString(text.String(), -1) {
		switch {
		case word == "\\\n" || strings.HasPrefix(strings.TrimSpace(word), "#"):
		case strings.Trim(word, "\n|&;()") == "":
			all, words = append(all, words), nil
		default:
			words = append(words, strings.NewReplacer("'", "", `"`, "").Replace(word))
		}
	}
	return append(all, words)
}

// ours are the arguments of a command line that calls stockroom.
func ours(words []string) (args []string, ok bool) {
	for i, word := range words {
		switch {
		case i > 0 && strings.HasPrefix(words[i-1], "-"): // sudo -u NAME
		case filepath.Base(word) == "stockroom":
			args = slices.Clone(words[i+1:])
			if end := slices.IndexFunc(args, func(w string) bool { return strings.Trim(w, "<>&") == "" }); end >= 0 {
				args = args[:end] // a redirection
			}
			return args, true
		case strings.Contains(word, "=") || word == "sudo" || word == "exec" || word == "nohup" || strings.HasPrefix(word, "-"):
		default:
			return nil, false
		}
	}
	return nil, false
}

// checkLine parses a command line of ours; words in capitals stand for values.
func checkLine(args []string) error {
	err := check(args)
	if err == nil {
		return nil
	}
	placeholder := regexp.MustCompile(`^\[?[A-Z][A-Z0-9_]+\]?$`)
	filled := slices.Clone(args)
	for i, word := range filled {
		if placeholder.MatchString(word) {
			filled[i] = "1"
		}
	}
	if check(filled) == nil {
		return nil
	}
	return err
}

func TestEveryBlockOfThePagesIsMarkedAndItsCommandsParse(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	parsed, run := 0, map[string]int{}
	for _, page := range append([]string{"../../README.md", "../../CONTRIBUTING.md"}, pages...) {
		for _, b := range blocksOf(t, page) {
			if b.kind == "run" {
				run[filepath.Base(page)]++
				if b.language != "sh" {
					t.Errorf("%s:%d: only sh can be run, not %s", b.file, b.line, b.language)
				}
			}
			if b.language != "sh" && b.language != "console" {
				continue
			}
			for _, words := range b.commandLines() {
				args, ok := ours(words)
				if !ok {
					continue
				}
				parsed++
				if err := checkLine(args); err != nil {
					t.Errorf("%s, block of line %d: stockroom %s: %v", b.file, b.line, strings.Join(args, " "), err)
				}
			}
		}
	}
	text, err := os.ReadFile("../../docs/runbook.md") // whose lines have whole commands in them
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range regexp.MustCompile("`stockroom ([^`]*)`").FindAllStringSubmatch(string(text), -1) {
		parsed++
		if err := checkLine(strings.Fields(span[1])); err != nil {
			t.Errorf("docs/runbook.md: stockroom %s: %v", span[1], err)
		}
	}
	// How many blocks the journeys run, so that none is only shown by a slip.
	want := map[string]int{
		"README.md": 15, "alarm.md": 2, "api.md": 1, "feed.md": 1, "monitoring.md": 1, "operate.md": 8, "queries.md": 1,
	}
	if !maps.Equal(run, want) {
		t.Errorf("blocks that are run: %v, want %v", run, want)
	}
	if parsed < 50 {
		t.Errorf("only %d command lines were found", parsed)
	}
}

func TestCommandLinesAreFoundInBlocks(t *testing.T) {
	b := block{language: "sh", lines: strings.Split(`# a comment
A=1 sudo -u stock ./bin/stockroom shop add my-shop.myshopify.com \
  --api-key CLIENT_ID   # another
curl 'http://127.0.0.1:8081/x?a=1&b=2' | jq . > out.json; stockroom queue list --json > "a b"
source <(stockroom completion bash) && stockroom products get SHOP PRODUCT
docker run stockroom serve`, "\n")}
	var got []string
	for _, words := range b.commandLines() {
		if args, ok := ours(words); ok {
			got = append(got, strings.Join(args, " "))
			if err := checkLine(args); err != nil {
				t.Errorf("%v: %v", args, err)
			}
		}
	}
	want := []string{"shop add my-shop.myshopify.com --api-key CLIENT_ID", "queue list --json", "completion bash", "products get SHOP PRODUCT"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if checkLine([]string{"serv"}) == nil || checkLine([]string{"sync", "--ful"}) == nil {
		t.Error("a wrong command line passes")
	}
}
