package datadir

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// oldFiles and newFiles are what a dir holds before and after.
var oldFiles = map[string]string{
	"products.db": "old products", "products.db-wal": "old log", "products.db-shm": "old index", "queue.db": "old jobs",
	"state.db": "old state", "stockroom.toml": "old settings", "sync-12.db": "old sort file",
}

var newFiles = map[string]string{
	"products.db": "new products", "queue.db": "new jobs", "state.db": "new state", "stockroom.toml": "new settings",
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// held is what lies in a folder of what this test puts there.
func held(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range append(slices.Collect(maps.Keys(oldFiles)), "notes.txt") {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			files[name] = string(text)
		}
	}
	return files
}

func requireReplaced(t *testing.T, dir, kept string, old map[string]string) {
	t.Helper()
	want := maps.Clone(newFiles)
	want["notes.txt"] = "of somebody else"
	if got := held(t, dir); !maps.Equal(got, want) {
		t.Errorf("the dir holds %q", got)
	}
	if got := held(t, kept); !maps.Equal(got, old) {
		t.Errorf("kept is %q", got)
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), replacing) || strings.HasPrefix(e.Name(), restoring) || strings.HasPrefix(e.Name(), workPrefix) {
			t.Errorf("%s is left", e.Name())
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func TestReplaceKeepsWhatItReplacesAndTouchesNothingElse(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, oldFiles)
	put(t, dir, map[string]string{"notes.txt": "of somebody else"})
	d, err := Open(dir, Options{Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	work, err := MakeWork(d.Folder())
	if err != nil {
		t.Fatal(err)
	}
	put(t, work.Path(), newFiles)
	now := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	kept, err := d.Replace(work, now)
	if err != nil || kept != "replaced-20261130T100000.000Z" {
		t.Fatalf("%q, %v", kept, err)
	}
	requireReplaced(t, dir, d.File(kept), oldFiles)
	again, err := MakeWork(d.Folder())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Replace(again, now); err == nil {
		t.Error("what was kept is kept in the same folder again")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// A process may die behind every rename. The next one to open the dir ends what was
// begun, and dies behind the first renames of it as well.
func TestAReplacementThatWasBegunIsEndedByTheNextOpen(t *testing.T) {
	const stamp = "20261130T100000.000Z"
	names := slices.Sorted(maps.Keys(oldFiles))
	fresh := slices.Sorted(maps.Keys(newFiles))
	type state struct {
		phase     string
		moved, in int
	}
	var states []state
	for n := range len(names) + 1 {
		states = append(states, state{replacing, n, 0})
	}
	for n := range len(fresh) + 1 {
		states = append(states, state{restoring, len(names), n})
	}
	for _, s := range states {
		dir := t.TempDir()
		put(t, dir, map[string]string{"notes.txt": "of somebody else", "lock": ""})
		put(t, filepath.Join(dir, s.phase+stamp), nil)
		kept := filepath.Join(dir, keptFiles+stamp)
		for i, name := range names {
			to := dir
			if i < s.moved {
				to = kept
			}
			put(t, to, map[string]string{name: oldFiles[name]})
		}
		for i, name := range fresh {
			to := filepath.Join(dir, s.phase+stamp)
			if i < s.in {
				to = dir
			}
			put(t, to, map[string]string{name: newFiles[name]})
		}
		for range 2 {
			d, err := Open(dir, Options{Ballast: -1})
			if err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
			requireReplaced(t, dir, kept, oldFiles)
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Fatalf("at %+v", s)
		}
	}
}

// Before it is begun nothing of it is left.
func TestCopiesOfADeadProcessAreRemovedByTheNextOpen(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, oldFiles)
	put(t, filepath.Join(dir, workPrefix+"123"), newFiles)
	put(t, filepath.Join(dir, workPrefix+"124"), map[string]string{"notes.txt": "of somebody else"})
	d, err := Open(dir, Options{Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := held(t, dir); !maps.Equal(got, oldFiles) {
		t.Errorf("the dir holds %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, workPrefix+"123")); err == nil {
		t.Error("copies are left")
	}
	if len(held(t, filepath.Join(dir, workPrefix+"124"))) != 1 || len(d.Warnings) != 1 {
		t.Errorf("somebody else's file is gone, or nothing is said: %q", d.Warnings)
	}
}
