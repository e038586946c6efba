package bulk

import (
	"cmp"
	"container/heap"
	"errors"
	"io"
	"math"
	"slices"
)

// merger joins what is in the segments and in memory, root by root.
type merger struct {
	j       *Joiner
	sources sources
}

// source is a sorted run of records: a segment, or what is in memory.
type source struct {
	head  record
	group *group // that head is of, nil for a segment's
	next  func() (record, *group, error)
	nth   int
}

type sources []*source

func (s sources) Len() int      { return len(s) }
func (s sources) Swap(i, k int) { s[i], s[k] = s[k], s[i] }
func (s *sources) Push(x any)   { *s = append(*s, x.(*source)) }
func (s *sources) Pop() any {
	old := *s
	x := old[len(old)-1]
	*s = old[:len(old)-1]
	return x
}

func (s sources) Less(i, k int) bool {
	return cmp.Or(cmp.Compare(s[i].head.root, s[k].head.root), cmp.Compare(s[i].nth, s[k].nth)) < 0
}

func (j *Joiner) newMerger() (*merger, error) {
	m := &merger{j: j}
	segments := j.spill.segments
	buffer := int(min(max(j.o.Memory/int64(2*len(segments)+1), 4<<10), 64<<10))
	add := func(next func() (record, *group, error)) error {
		s := &source{next: next, nth: len(m.sources)}
		err := s.advance()
		if err == nil {
			m.sources = append(m.sources, s)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	for _, g := range segments {
		r, void := j.spill.read(g, buffer), j.voidFrom(g)
		if err := add(func() (record, *group, error) {
			for {
				x, err := r.next(int64(j.o.MaxLine))
				if err != nil || x.line.start < void {
					return x, nil, err
				}
			}
		}); err != nil {
			return nil, err
		}
	}
	if err := add(j.remains()); err != nil {
		return nil, err
	}
	if err := add(j.lateRoots()); err != nil {
		return nil, err
	}
	heap.Init(&m.sources)
	return m, nil
}

// voidFrom is the start of the first line that a restart read again, so that
// what the segment holds of it must not count twice. The first restart that
// found the segment decides: no later one went back further.
func (j *Joiner) voidFrom(g segment) int64 {
	for _, c := range j.mark.Cuts {
		if g.to < c.Spilled {
			return c.Offset
		}
	}
	return math.MaxInt64
}

func (s *source) advance() (err error) {
	s.head, s.group, err = s.next()
	return err
}

// remains yields the lines still in memory.
func (j *Joiner) remains() func() (record, *group, error) {
	list := make([]*group, 0, len(j.groups))
	for _, g := range j.groups {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *group) int { return cmp.Compare(a.id, b.id) })
	at := 0
	return func() (record, *group, error) {
		for len(list) > 0 && at == len(list[0].lines) {
			list, at = list[1:], 0
		}
		if len(list) == 0 {
			return record{}, nil, io.EOF
		}
		g := list[0]
		l := g.lines[at]
		at++
		kind := byte(kindChild)
		if l.root {
			kind = kindRoot
		}
		return record{kind, g.id, l}, g, nil
	}
}

func (j *Joiner) lateRoots() func() (record, *group, error) {
	list := slices.Clone(j.lates)
	slices.Sort(list)
	return func() (record, *group, error) {
		if len(list) == 0 {
			return record{}, nil, io.EOF
		}
		id := list[0]
		list = list[1:]
		return record{kind: kindLate, root: id}, nil, nil
	}
}

// next hands out the group of the smallest root.
func (m *merger) next() (Group, bool, error) {
	j := m.j
	for len(m.sources) > 0 {
		root := m.sources[0].head.root
		var lines []line
		var held *group
		var cost, beyond int64
		late := false
		for len(m.sources) > 0 && m.sources[0].head.root == root {
			s := m.sources[0]
			if s.group != nil {
				held = s.group
			}
			switch l := s.head.line; {
			case s.head.kind == kindLate:
				late = true
			case cost+costOf(len(l.data)) > j.o.MaxGroup && !l.root:
				beyond++
			default:
				cost += costOf(len(l.data))
				lines = append(lines, l)
			}
			switch err := s.advance(); {
			case errors.Is(err, io.EOF):
				heap.Pop(&m.sources)
			case err != nil:
				return Group{}, false, err
			default:
				heap.Fix(&m.sources, 0)
			}
		}
		if held != nil {
			delete(j.groups, held.id)
			held.drop()
		}
		if root <= j.o.Resume.Merged {
			continue
		}
		if g, ok := m.take(root, lines, late); ok {
			j.mark.BadLines += beyond
			j.mark.Merged = root
			return g, true, nil
		}
	}
	return Group{}, false, nil
}

// take makes a group of all that was left of a root.
func (m *merger) take(root int64, lines []line, late bool) (Group, bool) {
	j := m.j
	slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(a.start, b.start) })
	if j.before.has(root) || j.emitted.has(root) {
		j.mark.LateLines += int64(len(lines))
		return Group{ID: root, Late: true}, late || len(lines) > 0
	}
	if len(lines) == 0 { // of a late root that a mark knows and Seen does not
		return Group{ID: root, Late: true}, late
	}
	for i := range lines {
		id, _, _ := scanLine(lines[i].data)
		lines[i].hash = j.ids.hash(plainID(id, j.space[:0]))
	}
	g, twice := assemble(root, lines, &j.ids)
	j.count(g, twice)
	return g, true
}
