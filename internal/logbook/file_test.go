package logbook

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestALogFileAndTheOneBeforeItAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := []byte(strings.Repeat("x", 999_999) + "\n")
	var instead bytes.Buffer
	for run := range 3 { // each goes on with the file that it finds
		l := NewFile(dir, "a.log", &instead)
		for range 9 {
			if n, err := l.Write(line); n != len(line) || err != nil {
				t.Fatalf("run %d: %d bytes, %v", run, n, err)
			}
		}
		l.file.Close()
		l.dir.Close()
	}
	for name, want := range map[string]int64{"a.log": 7_000_000, "a.log.1": 10_000_000} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != want || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes and mode %v, want %d and 0600", name, info.Size(), info.Mode(), want)
		}
	}
	if names, _ := os.ReadDir(dir); len(names) != 2 || instead.Len() > 0 {
		t.Errorf("%d files, %d bytes written elsewhere", len(names), instead.Len())
	}
}

// TestALogFileThatCanNotBePutAsideLosesNoMoreThanItsLines has a folder in the way.
func TestALogFileThatCanNotBePutAsideLosesNoMoreThanItsLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := NewFile(dir, "a.log", nil)
	big := bytes.Repeat([]byte("x"), fileMost)
	blocked := filepath.Join(dir, "a.log.1")
	if err := os.MkdirAll(filepath.Join(blocked, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write(big); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := l.Write([]byte("more\n")); err == nil {
			t.Error("it grew beyond its bound")
		}
	}
	if err := os.RemoveAll(blocked); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("again\n")); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a.log")); err != nil || string(text) != "again\n" {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestALogFileWithoutItsFolderWritesElsewhereUntilThereIsOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	var instead bytes.Buffer
	l := NewFile(dir, "a.log", &instead)
	write := func(text string) {
		if _, err := l.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("early\n")
	if _, err := os.Stat(dir); err == nil {
		t.Error("it made the folder")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write("late\n")
	text, err := os.ReadFile(filepath.Join(dir, "a.log"))
	if err != nil || string(text) != "late\n" || instead.String() != "early\n" {
		t.Errorf("%q, %q, %v", text, instead.String(), err)
	}
}
