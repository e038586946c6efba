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
	told := 0
	opt := Options{Path: path, OnQuarantine: func(string, string) { told++ }}
	q := started(t, opt)
	moved, reason, at := q.Quarantined()
	if filepath.Dir(moved) != filepath.Dir(path) || reason == "" || time.Since(at) > time.Minute || told != 1 {
		t.Errorf("%q, %q, %v, told %d times", moved, reason, at, told)
	}
	_ = q.Close()

	q = started(t, opt)
	again, reasonAgain, atAgain := q.Quarantined()
	if again != moved || reasonAgain != reason || !atAgain.Equal(at) || told != 1 {
		t.Errorf("after a restart: %q, %q, %v, told %d times", again, reasonAgain, atAgain, told)
	}
	if err := q.ForgetQuarantine(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if moved, reason, at := q.Quarantined(); moved != "" || reason != "" || !at.IsZero() {
			t.Errorf("after it was healed: %q, %q, %v", moved, reason, at)
		}
		_ = q.Close()
		q = started(t, opt)
	}
	if _, err := os.Stat(moved); err != nil {
		t.Errorf("the file set aside: %v", err)
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
