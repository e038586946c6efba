package bulk

import (
	"bytes"
	"cmp"
	"errors"

	"stockroom/internal/folder"
)

const (
	// rootPrefix is what the ids of roots begin with.
	rootPrefix = "gid://shopify/Product/"
	// maxLine is the most bytes of a line; a longer one is a bad line.
	maxLine = 4 << 20
	// maxGroup is the most bytes of a group, with what its lines take in memory;
	// lines beyond it are left out and counted as bad ones.
	maxGroup = 16 << 20
)

// Options are a joiner's settings. All but Resume and Seen are required.
type Options struct {
	// Folder and File are where the sort file is made when a line needs it. The
	// name is kept for it, and so are those that SQLite makes of it.
	Folder *folder.Folder
	File   string
	// Children says how many children a root has by its own line, -1 when that
	// is not known: then its group is handed out at the end.
	Children func(root []byte) (int, error)
	// Resume is the mark of an earlier joiner of the same result. The zero
	// value: from the beginning.
	Resume Mark
	// Seen are the roots that were handed out under that mark, in any order.
	Seen []int64
}

// Joiner joins lines into groups. It belongs to one goroutine.
type Joiner struct {
	children func(root []byte) (int, error)
	err      error // once set, nothing works any more

	// The line that is being read.
	chunk   []byte // what was fed and not yet read
	start   int64  // where the line begins
	partial []byte // of it, when its end has not come
	length  int64  // of partial, more than len(partial) when it is too long

	run    run
	out    map[int64]bool // roots handed out directly, and those of Options.Seen
	sorter *sorter
	ended  bool
	whole  bool // the last line is whole
	mark   Mark // of all lines before the run
}

// NewJoiner makes a joiner. With a mark it continues with the sort file,
// ErrSortFile when that is not possible.
func NewJoiner(o Options) (*Joiner, error) {
	if o.Folder == nil || o.File == "" || o.Children == nil {
		return nil, errors.New("bulk: a joiner needs a place for its sort file and a count of children")
	}
	j := &Joiner{
		children: o.Children, start: o.Resume.Offset, mark: o.Resume, whole: true,
		out: make(map[int64]bool, len(o.Seen)), sorter: &sorter{dir: o.Folder, name: o.File},
	}
	for _, id := range o.Seen {
		j.out[id] = true
	}
	if o.Resume.Sorted > 0 {
		return j, j.sorter.open()
	}
	return j, nil
}

// Feed takes the next bytes of the result, cut anywhere. Call Next until it has
// no more before the next Feed, and leave chunk as it is until then.
func (j *Joiner) Feed(chunk []byte) error {
	if j.err == nil && (j.ended || len(j.chunk) > 0) {
		j.err = errors.New("bulk: fed after the end or before the last bytes were read")
	}
	j.chunk = chunk
	return j.err
}

// End says that the input is over. What a last line without newline says
// counts.
func (j *Joiner) End() { j.ended = true }

// Next hands out a group; ok is false when more has to be fed first. After End it
// continues with those in the sort file, by ascending id.
func (j *Joiner) Next() (g Group, ok bool, err error) {
	for j.err == nil && !ok {
		text, more := j.line()
		if !more {
			break
		}
		g, ok = j.read(text, j.start+j.length+1)
	}
	if j.err == nil && !ok && j.ended {
		g, ok = j.rest()
	}
	if j.err != nil {
		return Group{}, false, j.err
	}
	return g, ok, nil
}

// line is the next line that was fed to its end, or the beginning of it when it
// is too long. Its length is in j.length.
func (j *Joiner) line() (text []byte, ok bool) {
	i := bytes.IndexByte(j.chunk, '\n')
	if i < 0 {
		j.keep(j.chunk)
		j.chunk = nil
		return nil, false
	}
	text, j.chunk = j.chunk[:i], j.chunk[i+1:]
	if j.length == 0 {
		j.length = int64(i)
		return text, true
	}
	j.keep(text)
	return j.partial, true
}

// keep holds part of a line until its end comes.
func (j *Joiner) keep(part []byte) {
	j.length += int64(len(part))
	if room := maxLine + 1 - len(j.partial); room > 0 {
		j.partial = append(j.partial, part[:min(room, len(part))]...)
	}
}

// read takes the line that begins at j.start. It hands out the run before it when
// that is whole and the line is not part of it.
func (j *Joiner) read(text []byte, end int64) (g Group, ok bool) {
	if j.start == 0 {
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	}
	if text = bytes.Trim(text, " \t\r"); len(text) > 0 {
		l, root, sound := parse(text)
		l.at, sound = j.start, sound && j.length <= maxLine
		if !sound || !j.run.add(root, l) {
			g, ok = j.finish()
			j.begin(root, l, sound)
		}
	}
	j.start, j.length, j.partial = end, 0, j.partial[:0]
	if cap(j.partial) > 1<<20 {
		j.partial = nil
	}
	return g, ok
}

// parse finds the root that a line belongs to, 0 when it is a child of something
// else. A line that is not sound is none.
func parse(text []byte) (l line, root int64, sound bool) {
	var space [128]byte
	id, parent, sound := scanLine(text)
	of := plainID(id, space[:0])
	l = line{data: text, id: string(of), root: parent == nil}
	if !l.root {
		of = plainID(parent, space[:0])
	}
	root, known := number(of, rootPrefix)
	if !known {
		root = 0
	}
	return l, root, sound && l.id != "" && (known || !l.root)
}

// begin takes a line that does not belong to a run: it begins one or goes into
// the sort file.
func (j *Joiner) begin(root int64, l line, sound bool) {
	switch {
	case sound && l.root && !j.out[root]:
		want, err := j.children(l.data)
		j.run = run{id: root, want: want}
		if err != nil {
			j.run.want, j.run.bad = -1, 1
		}
		j.run.add(root, l)
		return
	case !sound:
		j.mark.BadLines++
	case root == 0:
		j.mark.Orphans++
	default:
		j.put(root, l)
	}
	j.mark.Lines++
}

func (j *Joiner) put(root int64, l line) {
	share, err := j.sorter.put(root, l)
	j.mark.Sorted++
	j.mark.Sum += share
	j.err = cmp.Or(j.err, err)
}

// finish ends the run. It is a group when it is whole; otherwise its lines wait
// in the sort file for the others.
func (j *Joiner) finish() (g Group, ok bool) {
	r := j.run
	j.run = run{}
	j.mark.Lines += int64(len(r.lines))
	j.mark.BadLines += r.bad
	if g, twice := assemble(r.id, r.lines); len(r.lines) > 0 && r.want >= 0 && len(g.Children) >= r.want {
		g.Contiguous = true
		j.out[r.id] = true
		j.count(g, twice)
		return g, true
	}
	for _, l := range r.lines {
		j.put(r.id, l)
	}
	return Group{}, false
}

// rest hands out what is left at the end.
func (j *Joiner) rest() (g Group, ok bool) {
	if j.length > 0 {
		bad := j.mark.BadLines
		g, ok = j.read(j.partial, j.start+j.length)
		j.whole = j.mark.BadLines == bad
	}
	if !ok && j.err == nil {
		g, ok = j.finish()
	}
	if ok || j.err != nil || j.mark.Sorted == 0 {
		return g, ok
	}
	if j.sorter.rows == nil {
		j.err = j.sorter.walk(j.mark)
	}
	if j.err == nil {
		g, ok, j.err = j.sorted()
	}
	return g, ok
}

// sorted hands out all that is in the sort file of the next root.
func (j *Joiner) sorted() (g Group, ok bool, err error) {
	root, lines, n, err := j.sorter.next()
	if err != nil || n == 0 {
		return Group{}, false, err
	}
	j.mark.Walked = root
	if j.out[root] {
		j.mark.LateLines += n
		return Group{ID: root, Late: true}, true, nil
	}
	g, twice := assemble(root, lines)
	j.mark.BadLines += n - int64(len(lines))
	j.count(g, twice)
	return g, true, nil
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
// one, once Commit was called after it.
func (j *Joiner) Mark() Mark {
	m := j.mark
	m.Offset = j.start
	if len(j.run.lines) > 0 {
		m.Offset = j.run.lines[0].at
	}
	return m
}

// Commit has the sort file on the disk, with all lines before the mark's Offset
// that wait for others.
func (j *Joiner) Commit() error {
	if j.err == nil {
		j.err = j.sorter.commit()
	}
	return j.err
}

// Stats are the counts so far.
func (j *Joiner) Stats() Stats {
	m := j.mark
	return Stats{
		Lines: m.Lines + int64(len(j.run.lines)), Objects: m.Objects, Roots: m.Roots, Orphans: m.Orphans,
		Late: m.LateLines, Duplicates: m.Duplicates, BadLines: m.BadLines + j.run.bad, Bytes: j.start + j.length,
		LastWhole: j.whole && j.length == 0,
	}
}

// Close closes the sort file and leaves it where it is.
func (j *Joiner) Close() error {
	j.err = cmp.Or(j.err, errors.New("bulk: the joiner is closed"))
	return j.sorter.close()
}
