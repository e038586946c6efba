package bulk

import "bytes"

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
	// reported once more with neither root nor children: read the root in
	// another way.
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

// line is a line with its place in the file.
type line struct {
	data []byte
	at   int64
	id   string
	root bool
}

// run is a root with the children that follow it directly, and what it says of
// their number. No lines: there is none.
type run struct {
	id    int64
	lines []line
	size  int64
	want  int // children, -1 when that is not known
	bad   int64
}

// lineOverhead is what a line takes in memory beyond its bytes, rounded up.
const lineOverhead = 112

// add appends a line to the run when it is of its root and there is room.
func (r *run) add(root int64, l line) bool {
	size := r.size + int64(len(l.data)) + lineOverhead
	if r.id != root || root == 0 || size > maxGroup && len(r.lines) > 0 {
		return false
	}
	l.data = bytes.Clone(l.data)
	r.lines = append(r.lines, l)
	r.size = size
	return true
}

// assemble turns lines, in the order of the file, into a group, and says how
// many are there twice.
func assemble(id int64, lines []line) (g Group, twice int64) {
	g = Group{ID: id, Children: make([][]byte, 0, len(lines))}
	seen := make(map[string]bool, len(lines))
	for _, l := range lines {
		switch {
		case seen[l.id]:
			twice++
		case l.root:
			g.Root = l.data
		default:
			g.Children = append(g.Children, l.data)
		}
		seen[l.id] = true
	}
	return g, twice
}
