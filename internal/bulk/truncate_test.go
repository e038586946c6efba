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

// readAll joins a file in one go.
func readAll(t *testing.T, o Options, data []byte) ([]Group, Stats) {
	t.Helper()
	if o.Spill.Open == nil {
		o.Spill = spillAt(filepath.Join(t.TempDir(), "spill"))
	}
	o.Children, o.noSync = counted, true
	j, err := NewJoiner(o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var list []Group
	drain := func() {
		for {
			g, ok, err := j.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return
			}
			list = append(list, g)
		}
	}
	for len(data) > 0 {
		n := min(len(data), 4096)
		if err := j.Feed(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
		drain()
	}
	if err := j.End(); err != nil {
		t.Fatal(err)
	}
	drain()
	return list, j.Stats()
}

// TestATruncatedFileIsNeverTakenForWhole cuts after every line and at random
// bytes, and takes out every line.
func TestATruncatedFileIsNeverTakenForWhole(t *testing.T) {
	for _, how := range []layout{grouped, ungrouped, shuffled} {
		t.Run(string(how), func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 5))
			lines := arrange(r, catalogue(r, 40, 6, nil), how)
			data := file(r, lines, false)
			want := truthOf(lines)
			check := func(s Stats, size int) error { return s.Check(int64(size), want.objects, int64(len(want.roots))) }
			if _, s := readAll(t, Options{}, data); check(s, len(data)) != nil {
				t.Fatalf("whole: %v", check(s, len(data)))
			}
			var cuts []int
			for i, c := range data {
				if c == '\n' {
					cuts = append(cuts, i+1, i)
				}
			}
			cuts = cuts[:len(cuts)-2] // the last of them is the end
			for range 200 {
				cuts = append(cuts, r.IntN(len(data)-1))
			}
			for _, n := range cuts {
				_, s := readAll(t, Options{}, data[:n])
				if check(s, len(data)) == nil {
					t.Errorf("cut at %d of %d: taken for whole", n, len(data))
				}
				// The size may not be told, or be that of the cut file.
				if s.Check(-1, want.objects, int64(len(want.roots))) == nil || check(s, n) == nil {
					t.Errorf("cut at %d of %d: its objects are taken for all", n, len(data))
				}
			}
			all := bytes.SplitAfter(data, []byte("\n"))
			for i := range all[:len(all)-1] {
				without := bytes.Join(append(append([][]byte{}, all[:i]...), all[i+1:]...), nil)
				if _, s := readAll(t, Options{}, without); check(s, len(without)) == nil {
					t.Errorf("without line %d: taken for whole", i)
				}
			}
		})
	}
}

// TestALastLineWithoutItsEndCounts: only the newline is missing.
func TestALastLineWithoutItsEndCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	lines := arrange(r, catalogue(r, 5, 3, nil), grouped)
	data := bytes.TrimSuffix(file(r, lines, false), []byte("\n"))
	want := truthOf(lines)
	if _, s := readAll(t, Options{}, data); s.Check(int64(len(data)), want.objects, 5) != nil {
		t.Errorf("%+v: %v", s, s.Check(int64(len(data)), want.objects, 5))
	}
	if _, s := readAll(t, Options{}, data[:len(data)-1]); s.LastWhole || s.BadLines != 1 {
		t.Errorf("without its brace: %+v", s)
	}
}

func TestLinesThatAreNoneAreCountedAndPassedOver(t *testing.T) {
	good := `{"id":"gid://shopify/Product/7","count":1}` + "\n" + `{"id":"gid://shopify/ProductVariant/70","__parentId":"gid://shopify/Product/7"}` + "\n"
	long := `{"id":"gid://shopify/ProductVariant/71","x":"` + strings.Repeat("x", 5000) + `"}` + "\n"
	for _, tt := range []struct {
		name, before string
		want         Stats
	}{
		{"nothing else", "", Stats{Lines: 2, Objects: 2, Roots: 1}},
		{"blank lines", "\n \r\n\t\n", Stats{Lines: 2, Objects: 2, Roots: 1}},
		{"a web page", "<html>\n<p>\n", Stats{Lines: 4, Objects: 2, Roots: 1, BadLines: 2}},
		{"a line that is too long", long, Stats{Lines: 3, Objects: 2, Roots: 1, BadLines: 1}},
		{"a root of another kind", `{"id":"gid://shopify/Collection/7"}` + "\n", Stats{Lines: 3, Objects: 2, Roots: 1, BadLines: 1}},
		{"a child of a child", `{"id":"gid://shopify/Metafield/7","__parentId":"gid://shopify/ProductVariant/70"}` + "\n", Stats{Lines: 3, Objects: 2, Roots: 1, Orphans: 1}},
		{"a child without root", `{"id":"gid://shopify/ProductVariant/90","__parentId":"gid://shopify/Product/9"}` + "\n", Stats{Lines: 3, Objects: 3, Roots: 1, Orphans: 1}},
		{"a root that counts nothing", `{"id":"gid://shopify/Product/8","count":"many"}` + "\n", Stats{Lines: 3, Objects: 3, Roots: 2, BadLines: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := []byte(tt.before + good)
			list, s := readAll(t, Options{MaxLine: 4000}, data)
			tt.want.Bytes, tt.want.LastWhole = int64(len(data)), true
			if s != tt.want {
				t.Errorf("%+v, want %+v", s, tt.want)
			}
			found := false
			for _, g := range list {
				found = found || g.ID == 7 && g.Root != nil && len(g.Children) == 1
			}
			if !found {
				t.Errorf("the good group is missing: %+v", list)
			}
		})
	}
}

// TestAGroupWithoutBoundIsCutShort: one root with more children than any product
// has does not fill the memory.
func TestAGroupWithoutBoundIsCutShort(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"id":"gid://shopify/Product/7","count":5000}` + "\n")
	for i := range 5000 {
		fmt.Fprintf(&b, `{"id":"gid://shopify/ProductVariant/%d","__parentId":"gid://shopify/Product/7"}`+"\n", 100+i)
	}
	list, s := readAll(t, Options{MaxGroup: 100_000}, []byte(b.String()))
	if len(list) != 1 || list[0].Root == nil || len(list[0].Children) > 700 || s.BadLines != int64(5000-len(list[0].Children)) || s.Check(-1, 5001, 1) == nil {
		t.Errorf("%d groups, %+v", len(list), s)
	}
}

// TestADamagedSpillFileIsAnErrorNeverAWrongGroup flips and cuts the file between
// two runs.
func TestADamagedSpillFileIsAnErrorNeverAWrongGroup(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(9, 9))
	lines := arrange(r, catalogue(r, 60, 6, nil), shuffled)
	data := file(r, lines, false)
	path := filepath.Join(dir, "spill")
	o := Options{Spill: spillAt(path), Memory: 6000, Children: counted}
	j, err := NewJoiner(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Feed(data[:len(data)*2/3]); err != nil {
		t.Fatal(err)
	}
	var seen []int64
	for {
		g, ok, err := j.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		seen = append(seen, g.ID)
	}
	m := j.Mark()
	j.Close()
	if m.Spilled == 0 || m.Offset == 0 {
		t.Fatalf("nothing was spilled: %+v", m)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := truthOf(lines)
	run := func() (int, error) {
		o := o
		o.Resume, o.Seen, o.noSync = m, seen, true
		j, err := NewJoiner(o)
		if err != nil {
			return 0, err
		}
		defer j.Close()
		n := len(seen)
		if err := j.Feed(data[m.Offset:]); err != nil {
			return 0, err
		}
		ended := false
		for {
			g, ok, err := j.Next()
			if err != nil {
				return 0, err
			}
			if !ok && ended {
				return n, j.Stats().Check(int64(len(data)), want.objects, int64(len(want.roots)))
			}
			if !ok {
				if err := j.End(); err != nil {
					return 0, err
				}
				ended = true
				continue
			}
			n++
			if want.roots[g.ID] != string(g.Root) || len(g.Children) != len(want.children[g.ID]) {
				t.Fatalf("root %d is wrong", g.ID)
			}
		}
	}
	if n, err := run(); err != nil || n != len(want.roots) {
		t.Fatalf("sound: %d groups, %v", n, err)
	}
	for i := range 150 {
		bad := bytes.Clone(sound)
		switch i % 3 {
		case 0:
			bad[r.IntN(int(m.Spilled))] ^= byte(1 << r.IntN(8))
		case 1:
			bad = bad[:r.IntN(int(m.Spilled))]
		case 2:
			at := r.IntN(int(m.Spilled))
			clear(bad[at:min(at+1+r.IntN(64), int(m.Spilled))])
			if bytes.Equal(bad, sound) {
				continue
			}
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := run(); !errors.Is(err, ErrSpill) {
			t.Errorf("damage %d: %d groups, %v", i, n, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := run(); !errors.Is(err, ErrSpill) {
		t.Errorf("without the file: %v", err)
	}
}
