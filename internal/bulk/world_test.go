package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stockroom/internal/folder"
)

const prefix = "gid://shopify/Product/"

// object is one line of a result, and what is true of it.
type object struct {
	root  int64
	child string // its id, "" for the root itself
	text  string
}

// counted reads {"count": n} of a root's line.
func counted(root []byte) (int, error) {
	var n struct{ Count int }
	err := json.Unmarshal(root, &n)
	return n.Count, err
}

// layout is the order of a result's lines.
type layout string

const (
	grouped   layout = "grouped"
	ungrouped layout = "ungrouped" // children somewhere after their root
	shuffled  layout = "shuffled"
)

// catalogue makes roots with up to most children each. lie changes what a
// root says of its number of children.
func catalogue(r *rand.Rand, roots, most int, lie func(n int) int) [][]object {
	list := make([][]object, roots)
	id := int64(1000)
	for i := range list {
		id += 1 + r.Int64N(1<<uint(r.IntN(40)))
		n := r.IntN(most + 1)
		says := n
		if lie != nil {
			says = lie(n)
		}
		list[i] = append(list[i], object{root: id, text: spell(r, prefix+strconv.FormatInt(id, 10), "", fmt.Sprintf(`"count":%d`, says))})
		for k := range n {
			kind := []string{"ProductVariant", "MediaImage"}[k%2]
			child := fmt.Sprintf("gid://shopify/%s/%d", kind, id*100+int64(k))
			list[i] = append(list[i], object{root: id, child: child, text: spell(r, child, prefix+strconv.FormatInt(id, 10), `"price":"1.00"`)})
		}
	}
	return list
}

// spell writes a line: fields in any order, with blanks, and with texts that
// look like what a careless reader would search for.
func spell(r *rand.Rand, id, parent, field string) string {
	slash := func(s string) string {
		if r.IntN(4) == 0 {
			return s
		}
		return strings.ReplaceAll(s, "/", `\/`)
	}
	fields := []string{`"id":"` + slash(id) + `"`, field}
	if parent != "" {
		fields = append(fields, `"__parentId":"`+slash(parent)+`"`)
	}
	switch r.IntN(6) {
	case 0:
		fields = append(fields, `"title":"say \"id\":\"gid://shopify/Product/1\", \"__parentId\":\"x\" \\"`)
	case 1:
		fields = append(fields, `"inventoryItem":{"id":"gid:\/\/shopify\/InventoryItem\/7","__parentId":"no"}`)
	case 2:
		fields = append(fields, `"tags":["}","{","\u00e4\n","é",{"id":null}],"n":-1.5e+3,"t":true,"f":false,"z":null,"e":{},"l":[]`)
	}
	r.Shuffle(len(fields), func(i, k int) { fields[i], fields[k] = fields[k], fields[i] })
	comma := []string{",", ", ", " ,\t"}[r.IntN(3)]
	return "{" + strings.Join(fields, comma) + "}"
}

// arrange puts the lines into an order.
func arrange(r *rand.Rand, list [][]object, how layout) []object {
	var out []object
	type placed struct {
		object
		at int
	}
	var all []placed
	for i, g := range list {
		for n, o := range g {
			at := i
			if n > 0 && how == ungrouped {
				at += 1 + r.IntN(40)
			}
			all = append(all, placed{o, at})
		}
	}
	switch how {
	case ungrouped:
		slices.SortStableFunc(all, func(a, b placed) int { return a.at - b.at })
	case shuffled:
		r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	}
	for _, p := range all {
		out = append(out, p.object)
	}
	return out
}

// file writes the lines, with all that may stand between them.
func file(r *rand.Rand, lines []object, noise bool) []byte {
	var b bytes.Buffer
	if noise && r.IntN(3) == 0 {
		b.WriteString("\xef\xbb\xbf")
	}
	for i, o := range lines {
		b.WriteString(o.text)
		switch {
		case !noise:
			b.WriteByte('\n')
		case i == len(lines)-1 && r.IntN(2) == 0: // no end of line
		case r.IntN(6) == 0:
			b.WriteString("\r\n")
		case r.IntN(12) == 0:
			b.WriteString(" \n \t\n\n")
		default:
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// truth is what has to come out.
type truth struct {
	roots    map[int64]string
	children map[int64][]string // lines, in the order of their first appearance
	ids      map[int64][]string
	objects  int64
	lines    int64
}

func truthOf(lines []object) truth {
	t := truth{roots: map[int64]string{}, children: map[int64][]string{}, ids: map[int64][]string{}, lines: int64(len(lines))}
	seen := map[string]bool{}
	for _, o := range lines {
		key := o.child
		if key == "" {
			key = strconv.FormatInt(o.root, 10)
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		t.objects++
		if o.child == "" {
			t.roots[o.root] = o.text
		} else {
			t.children[o.root] = append(t.children[o.root], o.text)
			t.ids[o.root] = append(t.ids[o.root], o.child)
		}
	}
	return t
}

// disk is what survives a kill: what was saved, and the sort file.
type disk struct {
	dir    *folder.Folder
	file   string
	mark   []byte
	groups map[int64]Group
	late   map[int64]bool
}

func openFolder(t fataler, path string) *folder.Folder {
	t.Helper()
	dir, err := folder.Open(path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return dir
}

// fastFolder is one in memory where there is such a place: only processes die here,
// and syncing takes most of the time elsewhere.
func fastFolder(t *testing.T) *folder.Folder {
	t.Helper()
	path, err := os.MkdirTemp("/dev/shm", "stockroom-bulk-")
	if err != nil {
		path = t.TempDir()
	}
	dir := openFolder(t, path)
	t.Cleanup(func() {
		if err := errors.Join(dir.Close(), os.RemoveAll(path)); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func newDisk(dir *folder.Folder, file string) *disk {
	return &disk{dir: dir, file: file, mark: []byte("{}"), groups: map[int64]Group{}, late: map[int64]bool{}}
}

// problem is what a test found; it is returned so that rapid can shrink.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

var _ fataler = (*testing.T)(nil)

// process is one life of a joiner. It reads data from where the disk says and
// saves after every save groups; it is killed when stop says so, and reports
// whether it came to the end.
func (d *disk) process(t fataler, data []byte, chunk func() int, save func() bool, stop func() bool) (Stats, bool) {
	t.Helper()
	var m Mark
	if err := json.Unmarshal(d.mark, &m); err != nil {
		t.Fatalf("mark: %v", err)
	}
	o := Options{Folder: d.dir, File: d.file, Children: counted, Resume: m}
	for id := range d.groups {
		o.Seen = append(o.Seen, id)
	}
	j, err := NewJoiner(o)
	if err != nil {
		t.Fatalf("new joiner: %v", err)
	}
	defer j.Close()
	var unsaved []Group
	commit := func() {
		m := j.Mark()
		if err := j.Commit(); err != nil {
			t.Fatalf("commit: %v", err)
		}
		if m.Offset > int64(len(data)) || m.Offset < 0 {
			t.Fatalf("mark %+v of %d bytes", m, len(data))
		}
		d.mark, err = json.Marshal(m)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, g := range unsaved {
			if g.Late {
				d.late[g.ID] = true
				continue
			}
			if _, twice := d.groups[g.ID]; twice {
				t.Fatalf("root %d was handed out twice", g.ID)
			}
			d.groups[g.ID] = g
		}
		unsaved = nil
	}
	drain := func() bool {
		for {
			g, ok, err := j.Next()
			if err != nil {
				t.Fatalf("next: %v", err)
			}
			if !ok {
				return true
			}
			unsaved = append(unsaved, g)
			if save() {
				commit()
			}
			if stop() {
				return false
			}
		}
	}
	for rest := data[m.Offset:]; len(rest) > 0; {
		n := min(chunk(), len(rest))
		part := bytes.Clone(rest[:n])
		if err := j.Feed(part); err != nil {
			t.Fatalf("feed: %v", err)
		}
		rest = rest[n:]
		if !drain() {
			return Stats{}, false
		}
		clear(part) // nothing of it may be kept
		if save() {
			commit()
		}
		if stop() {
			return Stats{}, false
		}
	}
	j.End()
	if save() {
		commit()
	}
	if !drain() {
		return Stats{}, false
	}
	commit()
	return j.Stats(), true
}

// check compares what was saved with what is true.
func (d *disk) check(t fataler, want truth) {
	t.Helper()
	for id, text := range want.roots {
		g, ok := d.groups[id]
		if !ok {
			t.Fatalf("root %d is missing", id)
		}
		if string(g.Root) != text {
			t.Fatalf("root %d: %s, not %s", id, g.Root, text)
		}
	}
	if len(d.groups) != len(want.roots) {
		t.Fatalf("%d groups of %d", len(d.groups), len(want.roots))
	}
	for id, g := range d.groups {
		got := make([]string, len(g.Children))
		for i, c := range g.Children {
			got[i] = string(c)
		}
		if !d.late[id] && !slices.Equal(got, want.children[id]) {
			t.Fatalf("root %d has %d children %q, not %d %q", id, len(got), got, len(want.children[id]), want.children[id])
		}
	}
}
