package bulk

import (
	"bytes"
	"cmp"
	"errors"
	"hash/maphash"
	"slices"
)

// Options are a joiner's settings.
type Options struct {
	// Memory is how many bytes of lines wait in memory, what they cost beside
	// their text included. Default 32 MiB.
	Memory int64
	// Spill is the file that takes lines when the memory is full. Required.
	Spill Spill
	// Root is what the ids of roots begin with. Default gid://shopify/Product/.
	Root string
	// Children says how many children a root has by its own line, -1 when that
	// is not known: then its group is handed out at the end. Required.
	Children func(root []byte) (int, error)
	// Resume is the mark of an earlier joiner of the same file. The zero value:
	// from the beginning.
	Resume Mark
	// Seen are the roots that were handed out under that mark, in any order.
	Seen []int64
	// MaxLine is the most bytes of a line; a longer one is a bad line. Default
	// 4 MiB.
	MaxLine int
	// MaxGroup is the most bytes of a group; what is beyond is left out, and
	// counted as bad lines. Default 16 MiB.
	MaxGroup int64
	// SpillEvery is after how many bytes of input a line that waits is moved to
	// the spill file although there is room, so that little is read twice after
	// a crash. Default 64 MiB.
	SpillEvery int64
	// noSync leaves fsync out, for tests that only kill processes. Default
	// false.
	noSync bool
}

func (o *Options) defaults() error {
	if o.Spill.Open == nil || o.Spill.Make == nil || o.Children == nil {
		return errors.New("bulk: a joiner needs a spill file and a count of children")
	}
	if o.Memory <= 0 {
		o.Memory = 32 << 20
	}
	if o.Root == "" {
		o.Root = "gid://shopify/Product/"
	}
	if o.MaxLine <= 0 {
		o.MaxLine = 4 << 20
	}
	if o.MaxGroup <= 0 {
		o.MaxGroup = 16 << 20
	}
	if o.SpillEvery <= 0 {
		o.SpillEvery = 64 << 20
	}
	return nil
}

// mostLate is how many late roots wait in memory and stand in a mark.
const mostLate = 500

// Joiner joins lines into groups. It belongs to one goroutine.
type Joiner struct {
	o   Options
	ids identity
	err error // once set, nothing works any more

	// The line that is being read.
	start   int64  // where it begins
	partial []byte // of it, when its end has not come
	length  int64  // of it so far, more than len(partial) when it is too long

	groups  map[int64]*group // pending
	order   []*group         // by the start of their first line; those gone are dropped from the front
	queue   []*group         // ready, to be handed out
	last    *group           // full, but the next line may belong to it
	used    int64            // bytes of the lines that wait, those ready not counted
	cleared int64            // where the input was when all of them went to the spill file
	before  idSet            // roots handed out under Options.Resume
	emitted idSet            // and since
	late    idSet            // roots with lines that came late, in memory
	lates   []int64          // the same, in order of coming

	spill *spillFile
	ended bool
	merge *merger

	mark  Mark // its counts are kept here
	whole bool // the last line is whole
	space [64]byte
}

// NewJoiner makes a joiner. With a mark it takes up the spill file, ErrSpill
// when that is not possible.
func NewJoiner(o Options) (*Joiner, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	spill, err := openSpill(o.Spill, o.Resume.Spilled, o.noSync)
	if err != nil {
		return nil, err
	}
	j := &Joiner{
		o: o, ids: identity{seed: maphash.MakeSeed()}, start: o.Resume.Offset, groups: map[int64]*group{},
		spill: spill, mark: o.Resume, whole: true,
	}
	for _, id := range o.Seen {
		if id > 0 {
			j.before.add(id)
		}
	}
	j.mark.Late, j.mark.Cuts = nil, slices.Clone(o.Resume.Cuts)
	if n := len(j.mark.Cuts); o.Resume.Spilled > 0 && (n == 0 || j.mark.Cuts[n-1].Spilled < o.Resume.Spilled) {
		j.mark.Cuts = append(j.mark.Cuts, Cut{o.Resume.Spilled, o.Resume.Offset})
	}
	for _, id := range o.Resume.Late {
		j.noteLate(id)
	}
	j.o.Seen = nil
	return j, j.err
}

// Feed takes the next bytes of the result, cut anywhere. It keeps nothing of
// chunk. Call Next until it has no more before the next Feed.
func (j *Joiner) Feed(chunk []byte) error {
	if j.err == nil && j.ended {
		j.err = errors.New("bulk: fed after the end")
	}
	for len(chunk) > 0 && j.err == nil {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			j.keep(chunk)
			break
		}
		text := chunk[:i]
		if j.length > 0 {
			j.keep(text)
			text = j.partial
		} else {
			j.length = int64(i)
		}
		j.line(text, j.length, j.start+j.length+1)
		j.whole = true
		chunk = chunk[i+1:]
	}
	return j.err
}

// keep holds part of a line until its end comes.
func (j *Joiner) keep(part []byte) {
	j.length += int64(len(part))
	if room := j.o.MaxLine + 1 - len(j.partial); room > 0 {
		j.partial = append(j.partial, part[:min(room, len(part))]...)
	}
}

// line takes a whole line, of which text is the beginning when it is too long.
func (j *Joiner) line(text []byte, length, end int64) {
	start := j.start
	j.start, j.length = end, 0
	if cap(j.partial) > 1<<20 {
		j.partial = nil
	}
	j.partial = j.partial[:0]
	again := start < j.o.Resume.Read // counted before the restart
	if start == 0 {
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	}
	text = bytes.Trim(text, " \t\r")
	if len(text) == 0 {
		return
	}
	if !again {
		j.mark.Lines++
	}
	id, parent, ok := []byte(nil), []byte(nil), false
	if length <= int64(j.o.MaxLine) {
		id, parent, ok = scanLine(text)
	}
	if id = plainID(id, j.space[:0]); !ok || len(id) == 0 {
		j.bad(again)
		return
	}
	hash := j.ids.hash(id)
	isRoot, of := parent == nil, id
	if !isRoot {
		of = plainID(parent, j.space[:0])
	}
	root, ok := number(of, j.o.Root)
	switch {
	case !ok && isRoot:
		j.bad(again)
	case !ok:
		if !again {
			j.mark.Orphans++
		}
	case j.before.has(root) || j.emitted.has(root):
		if j.before.has(root) && again {
			return // it is in the group that was handed out then
		}
		j.mark.LateLines++
		j.noteLate(root)
	default:
		j.add(root, line{data: text, start: start, end: end, hash: hash, root: isRoot}, again)
	}
}

func (j *Joiner) bad(again bool) {
	if !again {
		j.mark.BadLines++
	}
}

// add puts a line into its group.
func (j *Joiner) add(root int64, l line, again bool) {
	if j.last != nil && j.last.id != root {
		j.finish()
	}
	g := j.groups[root]
	if g == nil {
		g = &group{id: root, want: -1, cost: groupCost}
		j.used += groupCost
		j.groups[root] = g
		j.order = append(j.order, g)
	}
	l.data = bytes.Clone(l.data)
	g.lines = append(g.lines, l)
	cost := costOf(len(l.data))
	g.cost += cost
	j.used += cost
	if !l.root {
		g.children++
	} else if g.want < 0 {
		n, err := j.o.Children(l.data)
		if err != nil {
			j.bad(again)
			n = -1
		}
		g.want = n
	}
	if j.last == nil && g.full(&j.ids) {
		j.last = g
	}
	if j.used > j.o.Memory || l.end-max(j.pin(), j.cleared) > j.o.SpillEvery || g.cost > j.o.MaxGroup {
		j.spillPending()
	}
}

// finish makes the full group ready.
func (j *Joiner) finish() {
	if g := j.last; g != nil {
		j.last = nil
		j.ready(g)
	}
}

func (j *Joiner) ready(g *group) {
	delete(j.groups, g.id)
	j.used -= g.cost
	g.state = ready
	j.emitted.add(g.id)
	j.queue = append(j.queue, g)
}

// noteLate keeps the root of a late line.
func (j *Joiner) noteLate(root int64) {
	if j.late.has(root) {
		return
	}
	j.late.add(root)
	j.lates = append(j.lates, root)
	if len(j.lates) > mostLate && j.err == nil {
		j.err = j.writeSegment(nil)
	}
}

// spillPending moves what waits to the spill file.
func (j *Joiner) spillPending() {
	j.finish()
	if len(j.groups) == 0 || j.err != nil {
		return
	}
	list := make([]*group, 0, len(j.groups))
	for _, g := range j.groups {
		list = append(list, g)
	}
	if j.err = j.writeSegment(list); j.err != nil {
		return
	}
	for _, g := range list {
		g.drop()
	}
	j.groups = map[int64]*group{}
	j.used, j.cleared = 0, j.start
}

// drop forgets a group that is safe elsewhere.
func (g *group) drop() { g.state, g.lines = gone, nil }

// writeSegment writes groups and the late roots.
func (j *Joiner) writeSegment(list []*group) error {
	slices.Sort(j.lates)
	slices.SortFunc(list, func(a, b *group) int { return cmp.Compare(a.id, b.id) })
	lates := j.lates
	err := j.spill.append(func(put func(byte, int64, line) error) error {
		late := func(below int64) error {
			for len(lates) > 0 && lates[0] < below {
				if err := put(kindLate, lates[0], line{}); err != nil {
					return err
				}
				lates = lates[1:]
			}
			return nil
		}
		for _, g := range list {
			if err := late(g.id); err != nil {
				return err
			}
			for _, l := range g.lines {
				kind := byte(kindChild)
				if l.root {
					kind = kindRoot
				}
				if err := put(kind, g.id, l); err != nil {
					return err
				}
			}
		}
		return late(1<<63 - 1)
	})
	if err != nil {
		return err
	}
	j.lates, j.late = nil, idSet{}
	return nil
}

// pin is the first byte that is needed again after a crash.
func (j *Joiner) pin() int64 {
	n := 0
	for n < len(j.order) && j.order[n].state == gone {
		j.order[n] = nil
		n++
	}
	j.order = j.order[n:]
	if len(j.order) == 0 {
		j.order = nil
		return j.start
	}
	return j.order[0].first()
}

// End says that the input is over. What a last line without newline says
// counts.
func (j *Joiner) End() error {
	if j.err != nil || j.ended {
		return j.err
	}
	if j.length > 0 {
		bad := j.mark.BadLines
		j.line(j.partial, j.length, j.start+j.length)
		j.whole = j.mark.BadLines == bad
	}
	j.finish()
	j.ended = true
	if j.err == nil && len(j.spill.segments) > 0 {
		// All in one place: then nothing holds the mark back.
		if j.spillPending(); j.err == nil && len(j.lates) > 0 {
			j.err = j.writeSegment(nil)
		}
	}
	return j.err
}

// Next hands out a group; ok is false when none is ready. After End it goes on
// to those that are not full, and what is left of them, by ascending id.
func (j *Joiner) Next() (g Group, ok bool, err error) {
	switch {
	case j.err != nil:
		return g, false, j.err
	case len(j.queue) > 0:
		from := j.queue[0]
		j.queue[0] = nil
		if j.queue = j.queue[1:]; len(j.queue) == 0 {
			j.queue = nil
		}
		g, twice := assemble(from.id, from.lines, &j.ids)
		from.drop()
		j.count(g, twice)
		return g, true, nil
	case !j.ended:
		return g, false, nil
	case j.merge == nil:
		if j.merge, j.err = j.newMerger(); j.err != nil {
			return g, false, j.err
		}
	}
	if g, ok, j.err = j.merge.next(); j.err != nil {
		return Group{}, false, j.err
	}
	return g, ok, nil
}

// count counts a group that is handed out.
func (j *Joiner) count(g Group, twice int64) {
	j.mark.Duplicates += twice
	j.mark.Objects += int64(len(g.Children))
	if g.Root == nil {
		j.mark.Orphans += int64(len(g.Children))
		return
	}
	j.mark.Objects++
	j.mark.Roots++
}

// Mark is good for all groups that were handed out so far, and not for the next
// one.
func (j *Joiner) Mark() Mark {
	m := j.mark
	m.Offset, m.Spilled, m.Read = j.pin(), j.spill.size, max(j.start, j.o.Resume.Read)
	m.Late, m.Cuts = slices.Clone(j.lates), slices.Clone(m.Cuts)
	if j.merge != nil {
		m.Late = slices.DeleteFunc(m.Late, func(id int64) bool { return id <= j.mark.Merged })
	}
	return m
}

// Stats are the counts so far.
func (j *Joiner) Stats() Stats {
	return Stats{
		Lines: j.mark.Lines, Objects: j.mark.Objects, Roots: j.mark.Roots, Orphans: j.mark.Orphans, Late: j.mark.LateLines,
		Duplicates: j.mark.Duplicates, BadLines: j.mark.BadLines, Bytes: j.start + j.length, LastWhole: j.whole && j.length == 0,
	}
}

// Close closes the spill file and leaves it where it is.
func (j *Joiner) Close() error {
	j.err = cmp.Or(j.err, errors.New("bulk: the joiner is closed"))
	return j.spill.close()
}
