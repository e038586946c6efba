package house_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// modernc.org/sqlite is C translated for one version of modernc.org/libc; with
// another one it may corrupt memory, and nothing but this test keeps
// "go get -u" from moving it.
func TestLibcIsTheVersionThatSQLiteAsksFor(t *testing.T) {
	ours, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sqlite := required(ours, "modernc.org/sqlite")
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skipf("can't ask go for the module cache: %v", err)
	}
	theirs, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(cache)), "cache", "download", "modernc.org", "sqlite", "@v", sqlite+".mod"))
	if err != nil {
		t.Skipf("can't read the go.mod of modernc.org/sqlite: %v", err)
	}
	got, want := required(ours, "modernc.org/libc"), required(theirs, "modernc.org/libc")
	if want == "" || got != want {
		t.Errorf("go.mod has modernc.org/libc %s, modernc.org/sqlite %s was made for %s", got, sqlite, want)
	}
}

// required returns the version that a go.mod requires of a module.
func required(mod []byte, path string) string {
	m := regexp.MustCompile(`(?m)^\s*(?:require\s+)?` + regexp.QuoteMeta(path) + `\s+(v\S+)`).FindSubmatch(mod)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// From 3.7.0 to 3.51.2 a commit between two checkpoints can corrupt the database
// (sqlite.org/wal.html, the WAL-reset bug).
func TestSQLiteIsNewerThanTheWALResetFault(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var version string
	if err := db.QueryRow("select sqlite_version()").Scan(&version); err != nil {
		t.Fatal(err)
	}
	number := 0
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatalf("version %q: %v", version, err)
		}
		number = number*1000 + n
	}
	if number <= 3_051_002 {
		t.Errorf("SQLite %s, want newer than 3.51.2", version)
	}
}
