package boltfile

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
)

// A copy whose last step failed has the name already. The next try must take it
// for what it is and not for another program's file.
func TestACopyThatFailedAtTheDirectorySyncIsNotSetAside(t *testing.T) {
	path := boltPath(t)
	writeSample(t, path, rand.New(rand.NewPCG(9, 9)))
	fails := 3
	opt := Options{compactAbove: never, fault: func(step string) error {
		if step == "rewrite: before directory sync" && fails > 0 {
			fails--
			return syscall.EIO
		}
		return nil
	}}
	o := mustOpen(t, path, opt)
	for fails > 0 {
		if _, err := o.rewrite(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("rewrite: %v, want EIO", err)
		}
	}
	fresh, err := o.rewrite()
	if err != nil {
		t.Fatal(err)
	}
	if n, broken := census(t, fresh); n < sampleKeys || broken != 0 {
		t.Errorf("%d records, %d broken", n, broken)
	}
	requireUsable(t, fresh, path, rand.New(rand.NewPCG(10, 10)))
	if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) > 0 {
		t.Errorf("set aside: %v", aside)
	}
}
