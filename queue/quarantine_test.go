package queue

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestQuarantineIsRememberedAcrossRestartsUntilItIsHealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	if err := os.WriteFile(path, []byte("not a queue"), 0o600); err != nil {
		t.Fatal(err)
	}
	opt := Options{Path: path}
	q := started(t, opt)
	moved, reason, at := q.Quarantined()
	if filepath.Dir(moved) != filepath.Dir(path) || reason == "" || time.Since(at) > time.Minute {
		t.Errorf("%q, %q, %v", moved, reason, at)
	}
	_ = q.Close()

	q = started(t, opt)
	again, reasonAgain, atAgain := q.Quarantined()
	if again != moved || reasonAgain != reason || !atAgain.Equal(at) {
		t.Errorf("after a restart: %q, %q, %v", again, reasonAgain, atAgain)
	}
	if _, err := os.Stat(moved); err != nil {
		t.Errorf("the file set aside: %v", err)
	}
}

func TestAMissingFileIsALossWhereThereWasOne(t *testing.T) {
	opt := Options{Path: filepath.Join(t.TempDir(), "queue.db")}
	q := started(t, opt)
	if _, reason, _ := q.Quarantined(); reason != "" {
		t.Errorf("a first start says %q", reason)
	}
	_ = q.Close()
	opt.Existing = true
	q = started(t, opt)
	if _, reason, _ := q.Quarantined(); reason != "" {
		t.Errorf("a file that is there says %q", reason)
	}
	last, _, err := q.Enqueue(t.Context(), NewJob{Kind: "apply"})
	if err != nil {
		t.Fatal(err)
	}
	_ = q.Close()
	if err := os.Remove(opt.Path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		q = started(t, opt)
		if path, reason, at := q.Quarantined(); path != "" || reason == "" || at.IsZero() {
			t.Errorf("a lost file says %q, %q, %v", path, reason, at)
		}
		if id, _, err := q.Enqueue(t.Context(), NewJob{Kind: "apply"}); err != nil || id <= last {
			t.Errorf("id %d after %d, %v: an id was used twice", id, last, err)
		}
		_ = q.Close()
	}
}

func TestOpenTwiceWritesNothingTheSecondTime(t *testing.T) {
	d := deskFor(t, Options{})
	d.enqueue(NewJob{Kind: "apply"})
	if err := d.q.file.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(d.opt.Path)
	d.open()
	after, _ := os.ReadFile(d.opt.Path)
	if string(before) != string(after) {
		t.Error("opening a sound file changed it")
	}
}
