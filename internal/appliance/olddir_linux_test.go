package appliance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"stockroom/store"
)

// TestOpenTheOldDirAndDie is the process that is killed; alone it does nothing.
func TestOpenTheOldDirAndDie(t *testing.T) {
	dir, point := os.Getenv("OLD_DIR"), os.Getenv("OLD_POINT")
	if dir == "" {
		return
	}
	die := func(at string) error {
		if at == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	a, err := Open(context.Background(), Options{Settings: settingsFor(t, dir), Manual: true, StoreFault: die})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// openAndDie reports whether the process that opens dir was killed, at the point of the
// store or by what it is run under.
func openAndDie(t *testing.T, dir, point string, under ...string) bool {
	t.Helper()
	args := append(under, os.Args[0], "-test.run=^TestOpenTheOldDirAndDie$", "-test.count=1")
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "OLD_DIR="+dir, "OLD_POINT="+point)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if end, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || end.Signal() != syscall.SIGKILL {
		t.Fatalf("%v: %s", err, out)
	}
	return true
}

// contentOf is what products.db holds: its schema and all rows but those that tell of
// the start itself.
func contentOf(t *testing.T, dir string) (content string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	query := func(text string) (rows []string) {
		result, err := db.Query(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		defer result.Close()
		columns, _ := result.Columns()
		row, to := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		for result.Next() {
			if err := result.Scan(to...); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, fmt.Sprint(row))
		}
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if got := query(`PRAGMA integrity_check`); !slices.Equal(got, []string{"[{ok true}]"}) {
		t.Errorf("integrity: %q", got)
	}
	if got := query(`PRAGMA user_version`); !slices.Equal(got, []string{fmt.Sprintf("[{%d true}]", store.Format())}) {
		t.Errorf("schema %q, want %d", got, store.Format())
	}
	content = fmt.Sprintln(query(`SELECT type, name, sql FROM sqlite_schema ORDER BY type, name`))
	var names []string
	result, err := db.Query(`SELECT name FROM sqlite_schema
		WHERE type = 'table' AND name NOT IN ('meta', 'wanted') ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	for result.Next() {
		var name string
		if err := result.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content += fmt.Sprintln(name, query(`SELECT * FROM "`+name+`"`))
	}
	return content
}

// versionOf is the schema of products.db.
func versionOf(t *testing.T, dir string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(`PRAGMA user_version`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// undisturbed opens a copy of the old dir in peace: the points that it passes, each step
// of the schema among them, and what products.db holds then.
func undisturbed(t *testing.T) (points []string, content string) {
	t.Helper()
	settings := settingsFor(t, unpack(t, oldDir))
	a, err := Open(t.Context(), Options{Settings: settings, Manual: true, StoreFault: func(at string) error {
		if !slices.Contains(points, at) {
			points = append(points, at)
		}
		return nil
	}})
	if err == nil {
		err = a.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return points, contentOf(t, settings.DataDir)
}

// requireWhole opens the dir after a start that came to no good end.
func requireWhole(t *testing.T, dir, want string) {
	t.Helper()
	a, err := Open(t.Context(), Options{Settings: settingsFor(t, dir), Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	requireWhatTheOldDirHeld(t, a)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "*.damaged-*")); len(aside) > 0 {
		t.Errorf("set aside: %q", aside)
	}
	if got := contentOf(t, dir); got != want {
		t.Errorf("products.db holds\n%s\nwant\n%s", got, want)
	}
	requireNewer(t, dir)
}

// The first start of a new version is killed before, within and after each step of the
// schema.
func TestAStartKilledAtAnyStepOfAnUpdateIsMadeAgain(t *testing.T) {
	if raceEnabled {
		t.Skip("starts many processes, in which nothing races")
	}
	points, want := undisturbed(t)
	steps := 0
	for _, point := range points {
		if strings.HasSuffix(point, ".sql") {
			steps++
		} else if point != "before commit" { // the first commit behind the last step
			continue
		}
		t.Run(point, func(t *testing.T) {
			dir := unpack(t, oldDir)
			if !openAndDie(t, dir, point) {
				t.Fatal("it was not killed")
			}
			if _, step, in := strings.Cut(point, " 0"); in { // nothing of a step is there before its end
				copied := t.TempDir() // for a look changes the log
				if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				if got, number := versionOf(t, copied), step[:3]; fmt.Sprintf("%03d", got+1) != number {
					t.Errorf("the schema is %d within step %s", got, number)
				}
			}
			requireWhole(t, dir, want)
		})
	}
	if steps != 2*(store.Format()-4) {
		t.Errorf("%d points in steps: %q", steps, points)
	}
}

// The first start of a new version is killed at the n-th write to state.db and queue.db,
// whose change of form is one transaction each.
func TestAStartKilledAtAnyWriteOfAnUpdateIsMadeAgain(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil || raceEnabled {
		t.Skip("needs strace, and no race detector")
	}
	_, want := undisturbed(t)
	n := 1
	for killed := true; killed && !t.Failed(); n++ {
		dir := unpack(t, oldDir)
		const calls = "pwrite64,ftruncate,fdatasync,fsync"
		killed = openAndDie(t, dir, "", strace, "-f", "-qq", "-o", "/dev/null",
			"-P", filepath.Join(dir, "state.db"), "-P", filepath.Join(dir, "queue.db"),
			"-e", "trace="+calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n))
		requireWhole(t, dir, want)
	}
	if n < 10 {
		t.Errorf("%d starts were killed", n-2)
	}
	t.Logf("%d starts were killed", n-2)
}

// The disk is full at one page after another of the first start of a new version. The
// start says so and changes nothing that is not whole, and there being space again is
// enough for the rest.
func TestAnUpdateOnAFullDiskIsMadeWhenThereIsSpace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	disk := t.TempDir()
	size := func(bytes uint64, flags uintptr) error {
		return syscall.Mount("tmpfs", disk, "tmpfs", flags, fmt.Sprintf("mode=0700,size=%d", bytes))
	}
	if err := size(64<<20, 0); err != nil {
		t.Skipf("can't mount a small disk here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	_, want := undisturbed(t)
	old := unpack(t, oldDir)
	// As a stop leaves it: there is no room in a log.
	db, err := sql.Open("sqlite", filepath.Join(old, "products.db"))
	if err == nil {
		_, err = db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{} // steps that met the full disk
	for pages := uint64(0); !t.Failed(); pages++ {
		dir := filepath.Join(disk, fmt.Sprint(pages))
		err := errors.Join(os.CopyFS(dir, os.DirFS(old)), os.Chmod(dir, 0o700))
		var used syscall.Statfs_t
		if err = errors.Join(err, syscall.Statfs(disk, &used)); err == nil {
			err = size((used.Blocks-used.Bfree+pages)*uint64(used.Bsize), syscall.MS_REMOUNT)
		}
		if err != nil {
			t.Fatal(err)
		}
		a, err := Open(t.Context(), Options{Settings: settingsFor(t, dir), Manual: true})
		if err != nil {
			t.Fatal(err)
		}
		health := a.store.Health()
		if codes := a.says("", time.Now()); health.Cause != "" && !slices.Contains(codes, "space-out") {
			t.Errorf("%d pages: the page says %q", pages, codes)
		}
		if _, step, within := strings.Cut(health.Err, "migration "); within {
			step, _, _ = strings.Cut(step, ":")
			met[step] = true
		}
		if err := size(64<<20, syscall.MS_REMOUNT); err != nil {
			t.Fatal(err)
		}
		if pages%2 == 0 { // by itself
			for until := time.Now().Add(5 * time.Minute); a.store.Probe(t.Context()) != nil; {
				if time.Now().After(until) {
					t.Fatalf("%d pages: it does not recover", pages)
				}
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		requireWhole(t, dir, want)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if len(met) > 0 && health.Cause == "" {
			break
		}
	}
	if len(met) != store.Format()-4 {
		t.Errorf("the disk was full within %v", met)
	}
}
