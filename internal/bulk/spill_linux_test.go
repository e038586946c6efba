package bulk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFullDiskIsAnErrorAndTheMarkBeforeStaysGood(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	path := filepath.Join(t.TempDir(), "spill")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	j, err := NewJoiner(Options{Spill: spillAt(path), Memory: 1000, Children: counted})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var failed error
	for range 20 {
		if failed = j.Feed([]byte(`{"id":"gid://shopify/ProductVariant/1","x":"` + strings.Repeat("x", 200) + `","__parentId":"gid://shopify/Product/2"}` + "\n")); failed != nil {
			break
		}
	}
	if failed == nil || !strings.Contains(failed.Error(), "no space left") {
		t.Fatalf("got %v", failed)
	}
	if m := j.Mark(); m.Offset != 0 || m.Spilled != 0 {
		t.Errorf("mark %+v", m)
	}
	if _, ok, err := j.Next(); ok || err == nil {
		t.Errorf("it goes on: %v, %v", ok, err)
	}
}

func TestTheSpillFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spill")
	j, err := NewJoiner(Options{Spill: spillAt(path), Memory: 1, Children: counted})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Feed([]byte(`{"id":"gid://shopify/Product/2","count":1}` + "\n")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
}
