package bulk

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
)

// Group is a root with its children. It is the caller's to keep.
type Group struct {
	ID int64 // of the root
	// Root is the root's line, nil when it never came, and then the children
	// are orphans.
	Root []byte
	// Children are lines, each object once, in the order of the file.
	Children [][]byte
	// Contiguous: the children followed their root directly, so their order in
	// the file is the order in which Shopify holds them.
	Contiguous bool
	// Late: a line of this root came after its group was handed out. It is
	// told once more with neither root nor children: read the root in another
	// way.
	Late bool
}

// Size is how many bytes its lines have.
func (g Group) Size() int {
	n := len(g.Root)
	for _, c := range g.Children {
		n += len(c)
	}
	return n
}

// line is a line that waits, with its place in the file.
type line struct {
	data       []byte
	start, end int64 // end: where the next line begins
	hash       uint64
	root       bool
}

// lineCost is what a line takes in memory beyond its bytes, and groupCost a
// group, rounded up: headers, growth of slices, size classes of the allocator.
const (
	lineCost  = 112
	groupCost = 256
)

func costOf(n int) int64 { return int64(n) + int64(n)/8 + lineCost }

type groupState uint8

const (
	pending groupState = iota
	ready
	gone
)

// group collects the lines of a root.
type group struct {
	id       int64
	lines    []line // in the order of the file
	children int    // of lines
	want     int    // children, -1 when nobody knows
	cost     int64
	state    groupState
}

func (g *group) first() int64 { return g.lines[0].start }

// full reports whether there are as many distinct children as the root said.
func (g *group) full(ids *identity) bool {
	return g.want >= 0 && g.children >= g.want && ids.distinct(g.lines) >= g.want
}

// assemble turns lines, in the order of the file, into a group, and says how
// many were there twice.
func assemble(id int64, lines []line, ids *identity) (g Group, twice int64) {
	g = Group{ID: id, Contiguous: lines[0].root}
	copies := ids.copies(lines)
	g.Children = make([][]byte, 0, len(lines))
	for i := range lines {
		if i > 0 && lines[i].start != lines[i-1].end {
			g.Contiguous = false
		}
		switch {
		case copies != nil && copies[i]:
			twice++
		case lines[i].root:
			g.Root = lines[i].data
		default:
			g.Children = append(g.Children, lines[i].data)
		}
	}
	if g.Root == nil {
		g.Contiguous = false
	}
	return g, twice
}

// identity finds copies of an object among lines.
type identity struct {
	seed  maphash.Seed
	order []int32
}

func (d *identity) hash(id []byte) uint64 { return maphash.Bytes(d.seed, id) }

// distinct counts the different children among lines.
func (d *identity) distinct(lines []line) int {
	n := 0
	copies := d.copies(lines)
	for i := range lines {
		if !lines[i].root && (copies == nil || !copies[i]) {
			n++
		}
	}
	return n
}

// copies marks every line whose object came before it; nil when none did.
func (d *identity) copies(lines []line) []bool {
	const few = 24
	if len(lines) <= few {
		var marks []bool
		for i := 1; i < len(lines); i++ {
			for k := range i {
				if lines[i].hash == lines[k].hash && sameObject(&lines[i], &lines[k]) {
					if marks == nil {
						marks = make([]bool, len(lines))
					}
					marks[i] = true
					break
				}
			}
		}
		return marks
	}
	d.order = d.order[:0]
	for i := range lines {
		d.order = append(d.order, int32(i))
	}
	slices.SortFunc(d.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(lines[a].hash, lines[b].hash), cmp.Compare(a, b))
	})
	var marks []bool
	for i := 1; i < len(d.order); i++ {
		a, b := &lines[d.order[i-1]], &lines[d.order[i]]
		if a.hash == b.hash && sameObject(a, b) {
			if marks == nil {
				marks = make([]bool, len(lines))
			}
			marks[d.order[i]] = true
		}
	}
	return marks
}

// sameObject compares the ids themselves, since hashes may agree by accident.
func sameObject(a, b *line) bool {
	x, _, _ := scanLine(a.data)
	y, _, _ := scanLine(b.data)
	return bytes.Equal(plainID(x, nil), plainID(y, nil))
}
