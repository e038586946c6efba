//go:build unix

package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"stockroom/internal/folder"
)

func TestAPipeIsNotWaitedFor(t *testing.T) {
	f := open(t, t.TempDir())
	if err := syscall.Mkfifo(f.File("pipe"), 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	if _, err := f.Open("pipe", os.O_RDONLY); !errors.Is(err, folder.ErrNotRegular) {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := folder.Open(f.File("pipe")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a pipe as a folder: %v", err)
	}
}

func TestTheDirectoryMayBeALinkUntilItLeadsElsewhere(t *testing.T) {
	base := t.TempDir()
	link := filepath.Join(base, "link")
	for _, name := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(base, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	f := open(t, link)
	write(t, f.File("a"), "1")
	info, err := f.Info("a")
	if err != nil || folder.Links(info) != 1 {
		t.Fatalf("%v, %v", info, err)
	}
	if err := errors.Join(f.Check(), os.Remove(link), os.Symlink("two", link)); err != nil {
		t.Fatal(err)
	}
	isLost(t, f.Check(), true, true)
}

func TestARemovedDirectoryIsToldFromAMovedOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if lost, ok := errors.AsType[*folder.LostError](f.Check()); !ok || lost.Deed() != "removed" {
		t.Errorf("%v", lost)
	}
}
