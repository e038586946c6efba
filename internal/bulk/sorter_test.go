package bulk

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damageRig is a result of which two thirds are in a sort file.
type damageRig struct {
	t    *testing.T
	d    *disk
	data []byte
	want truth
	mark Mark
}

func newDamageRig(t *testing.T, layout layout) *damageRig {
	t.Helper()
	r := rand.New(rand.NewPCG(9, 9))
	lines := arrange(r, catalogue(r, 60, 6, nil), layout)
	dir := fastFolder(t)
	x := &damageRig{t, newDisk(dir, "sorted"), file(r, lines, false), truthOf(lines), Mark{}}
	j := x.open()
	defer j.Close()
	if err := j.Feed(x.data[:len(x.data)*2/3]); err != nil {
		t.Fatal(err)
	}
	for {
		g, ok, err := j.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		x.d.groups[g.ID] = g
	}
	x.mark = j.Mark()
	if err := j.Commit(); err != nil || x.mark.Sorted == 0 || x.mark.Offset == 0 {
		t.Fatalf("%v, %+v", err, x.mark)
	}
	return x
}

func (x *damageRig) open() *Joiner {
	x.t.Helper()
	j, err := NewJoiner(Options{Folder: x.d.dir, File: x.d.file, Children: counted})
	if err != nil {
		x.t.Fatal(err)
	}
	return j
}

// rest reads the last third and fails for a group that is not what it should be.
func (x *damageRig) rest() (groups int, err error) {
	o := Options{Folder: x.d.dir, File: x.d.file, Children: counted, Resume: x.mark}
	for id := range x.d.groups {
		o.Seen = append(o.Seen, id)
	}
	j, err := NewJoiner(o)
	if err != nil {
		return 0, err
	}
	defer j.Close()
	groups = len(o.Seen)
	if err := j.Feed(x.data[x.mark.Offset:]); err != nil {
		return 0, err
	}
	j.End()
	for {
		g, ok, err := j.Next()
		if err != nil {
			return 0, err
		}
		if !ok {
			return groups, j.Stats().Check(int64(len(x.data)), x.want.objects, int64(len(x.want.roots)))
		}
		if groups++; x.want.roots[g.ID] != string(g.Root) || len(g.Children) != len(x.want.children[g.ID]) {
			x.t.Fatalf("root %d is wrong", g.ID)
		}
	}
}

func (x *damageRig) path() string { return x.d.dir.File(x.d.file) }

// TestADamagedSortFileIsAnErrorNeverAWrongGroup flips and cuts the file between
// two runs. Some bytes of it mean nothing; then the result is right.
func TestADamagedSortFileIsAnErrorNeverAWrongGroup(t *testing.T) {
	x := newDamageRig(t, shuffled)
	sound, err := os.ReadFile(x.path())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 7))
	found := 0
	for i := range 300 {
		bad := bytes.Clone(sound)
		at := r.IntN(len(sound))
		switch i % 3 {
		case 0:
			bad[at] ^= byte(1 << r.IntN(8))
		case 1:
			bad = bad[:at]
		case 2:
			clear(bad[at:min(at+1+r.IntN(64), len(bad))])
		}
		if err := os.WriteFile(x.path(), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		switch n, err := x.rest(); {
		case errors.Is(err, ErrSortFile):
			found++
		case err != nil || n != len(x.want.roots) || i%3 == 1:
			t.Errorf("damage %d: %d groups, %v", i, n, err)
		}
	}
	if found < 200 {
		t.Errorf("only %d of 300 were found", found)
	}
}

func TestASortFileOfAnotherResultOrNoneIsAnError(t *testing.T) {
	x, other := newDamageRig(t, shuffled), newDamageRig(t, ungrouped)
	if n, err := x.rest(); err != nil || n != len(x.want.roots) {
		t.Fatalf("sound: %d groups, %v", n, err)
	}
	foreign, err := os.ReadFile(other.path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.path(), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := x.rest(); !errors.Is(err, ErrSortFile) {
		t.Errorf("another file: %v", err)
	}
	if err := os.Remove(x.path()); err != nil {
		t.Fatal(err)
	}
	if _, err := x.rest(); !errors.Is(err, ErrSortFile) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.Mkdir(x.path(), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := x.rest(); !errors.Is(err, ErrSortFile) {
		t.Errorf("a folder of its name: %v", err)
	}
}

// aChild is a line that has to wait.
func aChild(n int) []byte {
	return fmt.Appendf(nil, `{"id":"gid://shopify/ProductVariant/%d","x":"%s","__parentId":"gid://shopify/Product/2"}`+"\n", n, strings.Repeat("x", 900))
}

func feedOne(j *Joiner, n int) error {
	if err := j.Feed(aChild(n)); err != nil {
		return err
	}
	_, _, err := j.Next()
	return err
}

func TestAFullDiskIsAnErrorAndTheMarkBeforeStaysGood(t *testing.T) {
	dir := openFolder(t, t.TempDir())
	defer dir.Close()
	x := &damageRig{t: t, d: newDisk(dir, "sorted")}
	j := x.open()
	defer j.Close()
	if err := errors.Join(feedOne(j, 1), j.Commit(), j.sorter.exec("PRAGMA max_page_count = 20")); err != nil {
		t.Fatal(err)
	}
	before := j.Mark()
	var failed error
	for n := 2; n < 200 && failed == nil; n++ {
		failed = feedOne(j, n)
	}
	if failed == nil || errors.Is(failed, ErrSortFile) || !strings.Contains(failed.Error(), "write the sort file") {
		t.Fatalf("got %v", failed)
	}
	if _, ok, err := j.Next(); ok || err == nil || j.Commit() == nil {
		t.Errorf("it goes on: %v, %v", ok, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	again, err := NewJoiner(Options{Folder: dir, File: "sorted", Children: counted, Resume: before})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	again.End()
	if g, ok, err := again.Next(); err != nil || !ok || len(g.Children) != 1 {
		t.Errorf("%+v, %v, %v", g, ok, err)
	}
}

// TestNothingIsWrittenInAFolderOrFileThatIsNotItsOwn: SQLite goes by the path.
func TestNothingIsWrittenInAFolderOrFileThatIsNotItsOwn(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(path string) error
	}{
		{"the folder was moved", func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+"-moved") }},
		{"the file was removed", os.Remove},
		{"another file has its name", func(path string) error {
			return errors.Join(os.Rename(path, path+".mine"), os.WriteFile(path, nil, 0o600))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			dir := openFolder(t, path)
			defer dir.Close()
			x := &damageRig{t: t, d: newDisk(dir, "sorted")}
			j := x.open()
			defer j.Close()
			if err := errors.Join(feedOne(j, 1), j.Commit(), feedOne(j, 2), tt.do(x.path())); err != nil {
				t.Fatal(err)
			}
			if err := j.Commit(); err == nil || errors.Is(err, ErrSortFile) {
				t.Errorf("got %v", err)
			}
			if left, err := os.ReadFile(x.path()); err == nil && len(left) > 0 {
				t.Errorf("%d bytes were written", len(left))
			}
		})
	}
}

func TestTheSortFileIsForItsOwnerAlone(t *testing.T) {
	dir := openFolder(t, t.TempDir())
	defer dir.Close()
	x := &damageRig{t: t, d: newDisk(dir, "sorted")}
	j := x.open()
	defer j.Close()
	if err := errors.Join(feedOne(j, 1), j.Commit(), feedOne(j, 2)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{x.path(), x.path() + "-journal"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
