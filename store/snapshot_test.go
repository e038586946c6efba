package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"stockroom/internal/folder"
)

// A snapshot holds what was committed before it and nothing of what came after,
// however much is written while it is copied.
func TestASnapshotHoldsWhatWasCommittedBeforeItAndNothingAfter(t *testing.T) {
	b := open(t)
	s := b.s
	dir, err := folder.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	put := func(from, to int64) {
		for id := from; id < to; id++ {
			b.want(upsertOf(product(id, "v1", 10_000, "1")), Applied)
		}
	}
	put(1, 20)
	calls := 0
	snap, err := s.Snapshot(t.Context(), func() error { calls++; return nil })
	if err != nil || calls != 1 {
		t.Fatalf("%v, %d calls", err, calls)
	}
	want := s.LastSeq()
	put(20, 40)
	if err := snap.CopyTo(t.Context(), dir.File("copy.db")); err != nil {
		t.Fatal(err)
	}
	if err := snap.CopyTo(t.Context(), dir.File("copy.db")); err == nil {
		t.Error("a file that is there was written over")
	}
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
	found, err := Examine(t.Context(), dir, "copy.db")
	if err != nil || found.Products != 19 || found.Seq != want || found.Schema == 0 {
		t.Errorf("%+v, %v; want 19 products and change %d", found, err, want)
	}
	info, err := os.Stat(dir.File("copy.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if names, _ := dir.Names(); len(names) != 1 {
		t.Errorf("it left %q", names)
	}
}

func TestASnapshotThatCanNotBeMadeLeavesTheWriterFree(t *testing.T) {
	b := open(t)
	s := b.s
	no := errors.New("no")
	if _, err := s.Snapshot(t.Context(), func() error { return no }); !errors.Is(err, no) {
		t.Errorf("%v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Snapshot(over, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	// The check of the whole file, begun when it was opened, is a reader too; Close waits for it.
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := s.ownReads.Load(); n != 0 {
		t.Errorf("%d readers are left", n)
	}
}

func TestADamagedCopyIsKnown(t *testing.T) {
	b := open(t)
	for id := range int64(30) {
		b.want(upsertOf(product(id+1, "v1", 10_000, "1")), Applied)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if _, err := b.s.CopyTo(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	dir, err := folder.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		raw  []byte
	}{{"cut", raw[:len(raw)/2]}, {"empty", nil}, {"no database", []byte("a text of some length, which is no database")}} {
		if err := os.WriteFile(path, c.raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Examine(t.Context(), dir, "copy.db"); CauseOf(err) != CauseDamaged {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
