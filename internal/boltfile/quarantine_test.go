package boltfile

import (
	"os"
	"slices"
	"testing"
	"time"

	"stockroom/internal/folder"
)

func TestQuarantineNeverOverwrites(t *testing.T) {
	dir, err := folder.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	path := dir.File("queue.db")
	now := time.Date(2026, 11, 23, 12, 3, 4, 0, time.UTC)
	for _, content := range []string{"first", "second", "third"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &place{Options: Options{Folder: dir}, name: "queue.db"}
		id, err := dir.Info("queue.db")
		if err != nil {
			t.Fatal(err)
		}
		moved, err := p.quarantine(id, now)
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
	if got := names(t, dir.Path()); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
