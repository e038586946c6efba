package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"stockroom/internal/folder"
)

func open(t *testing.T, path string) *folder.Folder {
	t.Helper()
	f, err := folder.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// isLost checks that err is a LostError of this kind.
func isLost(t *testing.T, err error, dir, replaced bool) {
	t.Helper()
	var lost *folder.LostError
	if !errors.As(err, &lost) || lost.Dir != dir || lost.Replaced != replaced {
		t.Errorf("got %v, want lost, dir %t, replaced %t", err, dir, replaced)
	}
}

func TestAMovedDirectoryIsNoticedAndNothingIsDoneInTheOneAtItsPath(t *testing.T) {
	base := t.TempDir()
	path, old := filepath.Join(base, "x"), filepath.Join(base, "x.old")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	move(t, path, old)
	isLost(t, f.Check(), true, false)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if lost, _ := errors.AsType[*folder.LostError](f.Check()); lost.Deed() != "moved" {
		t.Errorf("it was %s", lost.Deed())
	}
	write(t, filepath.Join(path, "a"), "theirs")
	write(t, filepath.Join(old, "a"), "ours")
	isLost(t, f.Check(), true, true)
	if err := errors.Join(f.Rename("a", "b"), f.Replace("c", []byte("ours")), f.Remove("a"), f.Sync()); err != nil {
		t.Fatal(err)
	}
	if names, err := f.Names(); err != nil || len(names) != 2 {
		t.Errorf("names %q, %v", names, err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 1 {
		t.Errorf("the other folder was changed: %v, %v", entries, err)
	}
	if text, err := os.ReadFile(filepath.Join(old, "c")); err != nil || string(text) != "ours" {
		t.Errorf("c holds %q, %v", text, err)
	}
}

func TestAnotherLockIsNoticed(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		f := open(t, t.TempDir())
		lock, err := f.Create("lock")
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if err := errors.Join(f.Hold("lock", lock), f.Check(), os.Remove(f.File("lock"))); err != nil {
			t.Fatal(err)
		}
		if replaced {
			write(t, f.File("lock"), "")
		}
		isLost(t, f.Check(), true, replaced)
	}
}

func TestAFileIsKnownByWhatWasOpened(t *testing.T) {
	f := open(t, t.TempDir())
	write(t, f.File("a"), "1")
	id, err := f.Info("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Link("a", "snapshot"), f.Same("a", id)); err != nil {
		t.Fatal(err)
	}
	if err := f.Link("a", "snapshot"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second link: %v", err)
	}
	if err := f.Remove("a"); err != nil {
		t.Fatal(err)
	}
	isLost(t, f.Same("a", id), false, false)
	write(t, f.File("a"), "1")
	isLost(t, f.Same("a", id), false, true)
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	f := open(t, t.TempDir())
	write(t, f.File("target"), "kept")
	if err := errors.Join(os.Symlink("target", f.File("link")), os.Mkdir(f.File("dir"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "dir"} {
		if _, err := f.Open(name, os.O_RDWR); !errors.Is(err, folder.ErrNotRegular) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := f.Create(name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create %s: %v", name, err)
		}
	}
	if _, err := f.Open("none", os.O_RDONLY); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := f.Replace("link", []byte("new")); !errors.Is(err, folder.ErrNotRegular) {
		t.Errorf("replace a link: %v", err)
	}
	if text, err := os.ReadFile(f.File("link")); err != nil || string(text) != "kept" {
		t.Errorf("the target of a link holds %q, %v", text, err)
	}
	if _, err := folder.Open(f.File("target")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file as a folder: %v", err)
	}
}

func TestADatabaseGoesBeforeItsJournals(t *testing.T) {
	f := open(t, t.TempDir())
	beside := []string{"a-journal", "a-shm", "a-wal"}
	for _, name := range append(beside, "ab") {
		write(t, f.File(name), "")
	}
	if err := os.MkdirAll(f.File("a/full"), 0o700); err != nil { // can't be removed
		t.Fatal(err)
	}
	if err := f.RemoveDatabase("a"); err == nil {
		t.Error("a full folder was removed")
	}
	for _, name := range beside {
		if _, err := f.Info(name); err != nil {
			t.Errorf("its database is there: %v", err)
		}
	}
	if err := errors.Join(os.RemoveAll(f.File("a")), f.RemoveDatabase("a")); err != nil {
		t.Fatal(err)
	}
	if names, err := f.Names(); err != nil || len(names) != 1 || names[0] != "ab" {
		t.Errorf("%v, %v stay", names, err)
	}
}
