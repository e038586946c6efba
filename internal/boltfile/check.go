package boltfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
)

// maxDepth bounds the height of a tree with its nested buckets. Real ones stay
// below 20.
const maxDepth = 200

// maxPageRun is the longest node, in bytes, that is read in one piece (bbolt's
// own limit for one value is 2 GiB).
const maxPageRun = 2<<30 + 1<<20

// findings is what a sound file looks like.
type findings struct {
	meta
	size   int64
	used   uint64 // pages that can be reached, the two meta pages included
	remark string
}

// examine reads the file page by page and maps nothing; errors.Is(err, ErrDamaged)
// tells damage from a file that could not be read. It must not be written to meanwhile.
func examine(f *os.File) (findings, error) {
	st, err := f.Stat()
	if err != nil {
		return findings{}, err
	}
	if st.Size() == 0 {
		return findings{}, damagef("file is empty")
	}
	m, remark, err := readMetas(f, st.Size())
	if err != nil {
		return findings{}, err
	}
	w := &walk{r: f, meta: m, seen: make([]uint64, m.pages/64+1)}
	w.mark(0, 2)
	if err = w.freelistPage(); err == nil {
		err = w.tree(m.root, nil, nil, 0)
	}
	if err == nil {
		err = w.freelistAgainstTree()
	}
	if err != nil {
		return findings{}, err
	}
	return findings{meta: m, size: st.Size(), used: w.used, remark: remark}, nil
}

// walk visits every page that can be reached from a meta page.
type walk struct {
	r    io.ReaderAt
	meta meta
	seen []uint64 // one bit a page
	used uint64
	free []uint64 // stored free list, nil when none is stored
	bufs [][]byte // one a depth, reused
}

// mark notes n pages from id as used; false means that one already was.
func (w *walk) mark(id, n uint64) bool {
	for i := id; i < id+n; i++ {
		if w.seen[i/64]&(1<<(i%64)) != 0 {
			return false
		}
		w.seen[i/64] |= 1 << (i % 64)
	}
	w.used += n
	return true
}

// page reads page id with its overflow pages and checks what all pages share.
// The bytes are valid until the next page is read at this depth.
func (w *walk) page(id uint64, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, damagef("page %d lies more than %d levels deep", id, maxDepth)
	}
	if id < 2 || id >= w.meta.pages {
		return nil, damagef("page %d is named but lies outside of the file's %d pages", id, w.meta.pages)
	}
	for len(w.bufs) <= depth {
		w.bufs = append(w.bufs, nil)
	}
	size := w.meta.pageSize
	b := w.bufs[depth]
	if int64(cap(b)) < size {
		b = make([]byte, size)
	}
	b = b[:size]
	w.bufs[depth] = b
	if err := readAt(w.r, b, int64(id)*size); err != nil {
		return nil, err
	}
	if got := ne.Uint64(b); got != id {
		return nil, damagef("page %d says it is page %d", id, got)
	}
	n := uint64(ne.Uint32(b[12:])) + 1
	if id+n > w.meta.pages || int64(n) > maxPageRun/size {
		return nil, damagef("page %d runs past the end of the file", id)
	}
	if !w.mark(id, n) {
		return nil, damagef("page %d is used twice", id)
	}
	if n > 1 {
		whole := int64(n) * size
		if int64(cap(b)) < whole {
			b = append(make([]byte, 0, whole), b...)
		}
		b = b[:whole]
		w.bufs[depth] = b
		if err := readAt(w.r, b[size:], (int64(id)+1)*size); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// tree checks the pages below id. Keys must lie in [low, high); nil is open.
func (w *walk) tree(id uint64, low, high []byte, depth int) error {
	b, err := w.page(id, depth)
	if err != nil {
		return err
	}
	switch ne.Uint16(b[8:]) {
	case flagLeaf:
		end, err := w.leaf(b, low, high, depth, false)
		if err != nil {
			return onPage(id, err)
		}
		return w.fits(id, b, end)
	case flagBranch:
		return w.branch(id, b, low, high, depth)
	default:
		return damagef("page %d is of no known kind", id)
	}
}

// fits checks that a node has exactly the overflow pages its content needs.
func (w *walk) fits(id uint64, b []byte, end int) error {
	if need := (int64(end) + w.meta.pageSize - 1) / w.meta.pageSize; need*w.meta.pageSize != int64(len(b)) {
		return damagef("page %d has an overflow that does not fit its content", id)
	}
	return nil
}

// leaf checks the elements of a leaf, descends into buckets, and returns where
// its content ends.
func (w *walk) leaf(b []byte, low, high []byte, depth int, inline bool) (end int, err error) {
	count := int(ne.Uint16(b[10:]))
	end = pageHeader + elemSize*count
	if end > len(b) {
		return 0, damagef("more elements than fit")
	}
	prev := low
	for i := range count {
		e := b[pageHeader+elemSize*i:]
		flags, pos := ne.Uint32(e), int(ne.Uint32(e[4:]))
		ksize, vsize := int(ne.Uint32(e[8:])), int(ne.Uint32(e[12:]))
		if pageHeader+elemSize*i+pos != end || ksize == 0 || ksize > maxKeySize || end+ksize+vsize > len(b) {
			return 0, damagef("element %d does not lie where it should", i)
		}
		key, val := b[end:end+ksize], b[end+ksize:end+ksize+vsize]
		end += ksize + vsize
		if err := inOrder(key, prev, high, i == 0); err != nil {
			return 0, err
		}
		prev = key
		switch {
		case flags == 0:
		case flags == leafBucket && !inline:
			if err := w.bucket(val, depth+1); err != nil {
				return 0, err
			}
		default:
			return 0, damagef("element %d has unknown flags", i)
		}
	}
	return end, nil
}

// bucket checks the value of a bucket's element: a root page elsewhere, or a
// small leaf inside the value itself.
func (w *walk) bucket(val []byte, depth int) error {
	if len(val) < bucketSize {
		return damagef("a bucket's header is cut short")
	}
	if root := ne.Uint64(val); root != 0 {
		if len(val) != bucketSize {
			return damagef("a bucket has both a page and content")
		}
		return w.tree(root, nil, nil, depth)
	}
	page := val[bucketSize:]
	if len(page) < pageHeader || ne.Uint16(page[8:]) != flagLeaf || ne.Uint32(page[12:]) != 0 {
		return damagef("a small bucket holds no leaf")
	}
	end, err := w.leaf(page, nil, nil, depth, true)
	if err == nil && end != len(page) {
		err = damagef("a small bucket has content of the wrong size")
	}
	return err
}

func (w *walk) branch(id uint64, b []byte, low, high []byte, depth int) error {
	count := int(ne.Uint16(b[10:]))
	if count == 0 {
		return damagef("branch page %d has no children", id)
	}
	end := pageHeader + elemSize*count
	if end > len(b) {
		return damagef("page %d: more elements than fit", id)
	}
	keys := make([][]byte, count+1)
	kids := make([]uint64, count)
	prev := low
	for i := range count {
		e := b[pageHeader+elemSize*i:]
		pos, ksize := int(ne.Uint32(e)), int(ne.Uint32(e[4:]))
		if pageHeader+elemSize*i+pos != end || ksize == 0 || ksize > maxKeySize || end+ksize > len(b) {
			return damagef("page %d: element %d does not lie where it should", id, i)
		}
		keys[i], kids[i] = b[end:end+ksize], ne.Uint64(e[8:])
		end += ksize
		if err := inOrder(keys[i], prev, high, i == 0); err != nil {
			return onPage(id, err)
		}
		prev = keys[i]
	}
	if err := w.fits(id, b, end); err != nil {
		return err
	}
	keys[count] = high
	for i, kid := range kids {
		if err := w.tree(kid, keys[i], keys[i+1], depth+1); err != nil {
			return err
		}
	}
	return nil
}

// inOrder checks prev < key < high; the first key may equal its lower bound.
func inOrder(key, prev, high []byte, first bool) error {
	if prev != nil {
		if c := bytes.Compare(prev, key); c > 0 || c == 0 && !first {
			return damagef("keys are out of order")
		}
	}
	if high != nil && bytes.Compare(key, high) >= 0 {
		return damagef("a key lies beyond its branch")
	}
	return nil
}

// freelistPage reads the stored free list, if there is one.
func (w *walk) freelistPage() error {
	id := w.meta.freelist
	if id == noFreelist {
		return nil
	}
	b, err := w.page(id, 0)
	if err != nil {
		return err
	}
	if ne.Uint16(b[8:]) != flagFreelist {
		return damagef("page %d is not the free list", id)
	}
	n, list := uint64(ne.Uint16(b[10:])), b[pageHeader:]
	if n == 0xFFFF {
		n, list = ne.Uint64(list), list[8:]
	}
	if n > uint64(len(list)/8) {
		return damagef("the free list is longer than its pages")
	}
	w.free = make([]uint64, n)
	for i := range w.free {
		w.free[i] = ne.Uint64(list[8*i:])
	}
	return nil
}

// freelistAgainstTree checks that no free page is in use or listed twice.
func (w *walk) freelistAgainstTree() error {
	used := w.used
	for _, id := range w.free {
		if id < 2 || id >= w.meta.pages || !w.mark(id, 1) {
			return damagef("the free list names page %d, which is not free", id)
		}
	}
	w.used = used
	return nil
}

// onPage names the page in a finding that does not.
func onPage(id uint64, err error) error {
	var d *DamageError
	if errors.As(err, &d) && !strings.HasPrefix(d.Reason, "page ") {
		return damagef("page %d: %s", id, d.Reason)
	}
	return err
}
