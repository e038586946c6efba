package boltfile

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestQuarantineNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	now := time.Date(2026, 11, 23, 12, 3, 4, 0, time.UTC)
	for _, content := range []string{"first", "second", "third"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		moved, err := Quarantine(path, now)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(moved); string(got) != content {
			t.Errorf("%s holds %q, want %q", moved, got, content)
		}
	}
	want := []string{
		"queue.db.damaged-20261123T120304Z",
		"queue.db.damaged-20261123T120304Z-2",
		"queue.db.damaged-20261123T120304Z-3",
	}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestQuarantineOfNothingIsAnError(t *testing.T) {
	if _, err := Quarantine(filepath.Join(t.TempDir(), "queue.db"), time.Now()); err == nil {
		t.Error("no error")
	}
}
