package house_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the documents, by path, without their fenced blocks.
func pages(t *testing.T) map[string]string {
	t.Helper()
	fenced := regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = fenced.ReplaceAllString(string(text), "")
		}
	}
	return all
}

// anchors are the names by which GitHub leads to the headings of a page.
func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

func TestEveryLinkBetweenThePagesLeadsSomewhere(t *testing.T) {
	all := pages(t)
	found := 0
	for file, text := range all {
		links := regexp.MustCompile(`(?:\]\(|(?:src|srcset|href)=")([^)" ]+)`).FindAllStringSubmatch(text, -1)
		for _, m := range links {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, ":") {
				continue // another site
			}
			found++
			to := file
			if path != "" {
				to = filepath.Join(filepath.Dir(file), filepath.FromSlash(path))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s leads nowhere", file, m[1])
			}
			if anchor != "" && !slices.Contains(anchors(all[to]), anchor) {
				t.Errorf("%s: %s has no heading for #%s", file, to, anchor)
			}
		}
	}
	if found < 120 {
		t.Errorf("only %d links were found", found)
	}
}

// TestEachPageAnswersOneQuestionOfTheREADME holds the table of questions to the pages: each
// has its page, each page its question, and says it first.
func TestEachPageAnswersOneQuestionOfTheREADME(t *testing.T) {
	all := pages(t)
	asked := map[string]string{}
	rows := regexp.MustCompile(`(?m)^\| (.+\?) \| \[(docs/\S+\.md)\]\((docs/\S+\.md)\) \|$`)
	for _, m := range rows.FindAllStringSubmatch(all["README.md"], -1) {
		if m[2] != m[3] || asked[m[2]] != "" {
			t.Errorf("a row of the README is wrong, or a second one of its page: %s", m[0])
		}
		asked[m[2]] = m[1]
	}
	files, err := fs.Glob(os.DirFS("."), "docs/*.md")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		lines := strings.SplitN(all[file], "\n", 4)
		if asked[file] == "" || lines[2] != "*"+asked[file]+"*" {
			t.Errorf("%s begins with %q, the README asks %q", file, lines[2], asked[file])
		}
		delete(asked, file)
	}
	if len(asked) > 0 {
		t.Errorf("no page answers %v", asked)
	}
}
