package bulk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// readAll joins a file in one go.
func readAll(t *testing.T, data []byte) ([]Group, Stats) {
	t.Helper()
	dir := fastFolder(t)
	j, err := NewJoiner(Options{Folder: dir, File: "sorted", Children: counted})
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
	j.End()
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
			if _, s := readAll(t, data); check(s, len(data)) != nil {
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
				_, s := readAll(t, data[:n])
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
				if _, s := readAll(t, without); check(s, len(without)) == nil {
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
	if _, s := readAll(t, data); s.Check(int64(len(data)), want.objects, 5) != nil {
		t.Errorf("%+v: %v", s, s.Check(int64(len(data)), want.objects, 5))
	}
	if _, s := readAll(t, data[:len(data)-1]); s.LastWhole || s.BadLines != 1 {
		t.Errorf("without its brace: %+v", s)
	}
}

func TestLinesThatAreNoneAreCountedAndPassedOver(t *testing.T) {
	good := `{"id":"gid://shopify/Product/7","count":1}` + "\n" + `{"id":"gid://shopify/ProductVariant/70","__parentId":"gid://shopify/Product/7"}` + "\n"
	long := `{"id":"gid://shopify/ProductVariant/71","x":"` + strings.Repeat("x", maxLine) + `"}` + "\n"
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
			list, s := readAll(t, data)
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
	title := strings.Repeat("x", 6000)
	for i := range 5000 {
		fmt.Fprintf(&b, `{"id":"gid://shopify/ProductVariant/%d","title":"%s","__parentId":"gid://shopify/Product/7"}`+"\n", 100+i, title)
	}
	list, s := readAll(t, []byte(b.String()))
	if len(list) != 1 || list[0].Root == nil || list[0].Size() > maxGroup || s.BadLines != int64(5000-len(list[0].Children)) || s.Check(-1, 5001, 1) == nil {
		t.Errorf("%d groups, %+v", len(list), s)
	}
}
