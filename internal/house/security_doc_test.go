package house_test

import (
	"fmt"
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// asvsItems are the items of OWASP ASVS 5.0 at level 1 or 2, by section.
func asvsItems() map[string][]int {
	to := func(n int) []int {
		list := make([]int, n)
		for i := range list {
			list[i] = i + 1
		}
		return list
	}
	return map[string][]int{
		"1.1": to(2), "1.2": to(9), "1.3": to(11), "1.4": to(3), "1.5": to(2),
		"2.1": to(3), "2.2": to(3), "2.3": to(4), "2.4": to(1),
		"3.2": to(2), "3.3": to(4), "3.4": to(6), "3.5": to(5), "3.7": to(2),
		"4.1": to(3), "4.2": to(1), "4.3": to(2), "4.4": to(4),
		"5.1": to(1), "5.2": to(3), "5.3": to(2), "5.4": to(3),
		"6.1": to(3), "6.2": to(12), "6.3": to(4), "6.4": to(4), "6.5": to(5), "6.6": to(3), "6.8": to(4),
		"7.1": to(3), "7.2": to(4), "7.3": to(2), "7.4": to(5), "7.5": to(2), "7.6": to(2),
		"8.1": to(2), "8.2": to(3), "8.3": to(1), "8.4": to(1),
		"9.1": to(3), "9.2": to(4),
		"10.1": to(2), "10.2": to(2), "10.3": to(4), "10.4": to(11), "10.5": to(5), "10.6": to(2), "10.7": to(3),
		"11.1": to(2), "11.2": to(3), "11.3": to(3), "11.4": to(4), "11.5": to(1), "11.6": to(1),
		"12.1": to(3), "12.2": to(2), "12.3": to(4),
		"13.1": to(1), "13.2": to(5), "13.3": to(2), "13.4": to(5),
		"14.1": to(2), "14.2": to(4), "14.3": to(3),
		"15.1": to(3), "15.2": to(3), "15.3": to(7),
		"16.1": to(1), "16.2": to(5), "16.3": to(4), "16.4": to(3), "16.5": to(3),
		"17.1": to(1), "17.2": to(4), "17.3": to(2),
	}
}

func securityPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// securityTables returns the rows below the heading of the standard.
func securityTables(t *testing.T) string {
	t.Helper()
	_, tables, found := strings.Cut(securityPage(t), "\n## OWASP ASVS 5.0")
	if !found {
		t.Fatal("docs/security.md lost its part about the standard")
	}
	return tables
}

func TestEveryItemOfTheSecurityStandardIsAnsweredOnce(t *testing.T) {
	seen := map[string]int{}
	for line := range strings.Lines(securityTables(t)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, item := range regexp.MustCompile(`\d+\.\d+\.\d+`).FindAllString(cells[1], -1) {
			seen[item]++
		}
	}
	want := 0
	for section, numbers := range asvsItems() {
		for _, n := range numbers {
			want++
			item := fmt.Sprintf("%s.%d", section, n)
			if seen[item] != 1 {
				t.Errorf("item %s stands there %d times", item, seen[item])
			}
			delete(seen, item)
		}
	}
	for item := range seen {
		t.Errorf("%s is no item of level 1 or 2", item)
	}
	if want != 253 { // 70 of level 1 and 183 of level 2
		t.Errorf("%d items are looked for", want)
	}
}

func TestTheTestsThatTheSecurityPageNamesExist(t *testing.T) {
	exist := map[string]bool{}
	for _, f := range sourceFiles(t) {
		if !f.test {
			continue
		}
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				exist[fn.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(securityPage(t), -1)
	if len(named) < 100 {
		t.Errorf("only %d tests are named", len(named))
	}
	var missing []string
	for _, name := range named {
		if !exist[name[1]] {
			missing = append(missing, name[1])
		}
	}
	slices.Sort(missing)
	for _, name := range slices.Compact(missing) {
		t.Errorf("docs/security.md names %s, which does not exist", name)
	}
}

// The rows about what a stranger can cause name constants and the files that they
// are in.
func TestTheBoundsThatTheSecurityPageNamesAreInTheCode(t *testing.T) {
	_, rows, _ := strings.Cut(securityPage(t), "\n## What a stranger can cause\n")
	rows, _, _ = strings.Cut(rows, "\n## ")
	named := 0
	for line := range strings.Lines(rows) {
		cells := strings.Split(line, " | ")
		if len(cells) < 4 {
			continue
		}
		waiting := []string{} // for the file that comes after them
		for _, word := range strings.Fields(strings.ReplaceAll(cells[2], ",", "")) {
			switch {
			case strings.HasPrefix(word, "`"):
				waiting = append(waiting, strings.Trim(word, "`"))
			case strings.HasSuffix(word, ".go"):
				text, err := os.ReadFile(word)
				if err != nil {
					t.Errorf("docs/security.md names a file that is not there: %v", err)
				}
				for _, name := range waiting {
					named++
					if !regexp.MustCompile(`\b` + name + `\b`).Match(text) {
						t.Errorf("docs/security.md looks for %s in %s, where it is not", name, word)
					}
				}
				waiting = waiting[:0]
			}
		}
		if len(waiting) > 0 {
			t.Errorf("docs/security.md does not say where %s is", waiting)
		}
	}
	if named < 20 {
		t.Errorf("only %d constants are named", named)
	}
}
