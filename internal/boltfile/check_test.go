package boltfile

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// image is a file in memory that a test operates on.
type image struct {
	t testing.TB
	b []byte
}

const pageSize = 4096

func (m *image) page(id uint64) []byte { return m.b[id*pageSize:] }

// meta returns the newest meta record.
func (m *image) meta() meta {
	m0, _, _ := parseMeta(m.b, 0)
	m1, _, _ := parseMeta(m.b[pageSize:], 1)
	if m1.txid > m0.txid {
		return m1
	}
	return m0
}

// setMeta changes eight bytes of both meta records and mends their checksums.
func (m *image) setMeta(off int, v uint64) {
	for slot := range 2 {
		rec := m.b[slot*pageSize+pageHeader:][:metaSize]
		ne.PutUint64(rec[off:], v)
		h := fnv.New64a()
		_, _ = h.Write(rec[:metaSize-8])
		ne.PutUint64(rec[metaSize-8:], h.Sum64())
	}
}

// value returns the value of a key of the root bucket, in place.
func (m *image) value(key string) []byte {
	root := m.page(m.meta().root)
	for i := range int(ne.Uint16(root[10:])) {
		off := pageHeader + elemSize*i
		e := root[off:]
		pos, ks, vs := int(ne.Uint32(e[4:])), int(ne.Uint32(e[8:])), int(ne.Uint32(e[12:]))
		if string(root[off+pos:off+pos+ks]) == key {
			return root[off+pos+ks:][:vs]
		}
	}
	m.t.Fatalf("no bucket %s", key)
	return nil
}

// branch returns the root page of a bucket that has one.
func (m *image) branch(bucket string) (id uint64, p []byte) {
	id = ne.Uint64(m.value(bucket))
	p = m.page(id)
	if ne.Uint16(p[8:]) != flagBranch {
		m.t.Fatalf("%s is no tree", bucket)
	}
	return id, p
}

func child(p []byte, i int) uint64 { return ne.Uint64(p[pageHeader+elemSize*i+8:]) }

func setChild(p []byte, i int, id uint64) { ne.PutUint64(p[pageHeader+elemSize*i+8:], id) }

// Each single wrong thing that would lead bbolt astray is found for what it is.
func TestCheckFindsEachWrongThing(t *testing.T) {
	sample := boltPath(t)
	writeSample(t, sample, rand.New(rand.NewPCG(20, 20)))
	whole, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		do   func(m *image)
		want string
	}{
		{"nothing", func(*image) {}, ""},
		{"garbage behind the used pages", func(m *image) { m.b = append(m.b, bytes.Repeat([]byte{7}, 9000)...) }, ""},
		{"a meta page with a future version", func(m *image) {
			for slot := range 2 {
				m.b[slot*pageSize+pageHeader+4] = 9
			}
		}, "both meta pages are invalid"},
		{"a page size that can't be", func(m *image) {
			ps := ne.Uint64(m.b[pageHeader+8:])
			m.setMeta(8, ps&^0xffffffff|12)
		}, "page size 12 is impossible"},
		{"file one page shorter than the meta page says", func(m *image) { m.b = m.b[:(m.meta().pages-1)*pageSize] }, "truncated"},
		{"more pages than any file has", func(m *image) { m.setMeta(40, 1<<60) }, "truncated"},
		{"root beyond the end", func(m *image) { m.setMeta(16, m.meta().pages) }, "outside"},
		{"root is a meta page", func(m *image) { m.setMeta(16, 1) }, "outside"},
		{"two buckets share a root", func(m *image) { copy(m.value("many")[:8], m.value("large")[:8]) }, "used twice"},
		{"a branch names itself", func(m *image) { id, p := m.branch("many"); setChild(p, 1, id) }, "used twice"},
		{"a branch names its neighbour's child", func(m *image) { _, p := m.branch("many"); setChild(p, 1, child(p, 2)) }, "beyond its branch|out of order|used twice"},
		{"two children swapped", func(m *image) {
			_, p := m.branch("many")
			a, b := child(p, 0), child(p, 1)
			setChild(p, 0, b)
			setChild(p, 1, a)
		}, "out of order|beyond its branch"},
		{"a branch without children", func(m *image) { _, p := m.branch("many"); ne.PutUint16(p[10:], 0) }, "no children"},
		{"a branch with more children than fit", func(m *image) { _, p := m.branch("many"); ne.PutUint16(p[10:], 300) }, "more elements than fit"},
		{"a branch key that starts elsewhere", func(m *image) { _, p := m.branch("many"); p[pageHeader] ^= 1 }, "should"},
		{"a page of no kind", func(m *image) { _, p := m.branch("many"); ne.PutUint16(m.page(child(p, 0))[8:], 0x20) }, "no known kind"},
		{"a free list page in the tree", func(m *image) {
			_, p := m.branch("many")
			ne.PutUint16(m.page(child(p, 0))[8:], flagFreelist)
		}, "no known kind"},
		{"a page with another number", func(m *image) { _, p := m.branch("many"); m.page(child(p, 0))[0] ^= 1 }, "says it is page"},
		{"an overflow that runs over the next page", func(m *image) { _, p := m.branch("many"); m.page(child(p, 0))[12] ^= 1 }, "overflow that does not fit"},
		{"an overflow without end", func(m *image) { _, p := m.branch("many"); ne.PutUint32(m.page(child(p, 0))[12:], 1<<31) }, "past the end"},
		{"a leaf with more elements than fit", func(m *image) { _, p := m.branch("many"); ne.PutUint16(m.page(child(p, 0))[10:], 0xfff0) }, "more elements than fit"},
		{"a key of length zero", func(m *image) { _, p := m.branch("many"); ne.PutUint32(m.page(child(p, 0))[pageHeader+8:], 0) }, "should"},
		{"a value that ends beyond the page", func(m *image) { _, p := m.branch("many"); ne.PutUint32(m.page(child(p, 0))[pageHeader+12:], 1<<30) }, "should"},
		{"unknown element flags", func(m *image) { _, p := m.branch("many"); m.page(child(p, 0))[pageHeader] = 2 }, "unknown flags"},
		{"a value taken for a bucket", func(m *image) { _, p := m.branch("many"); m.page(child(p, 0))[pageHeader] = 1 }, "bucket"},
		{"two keys out of order", func(m *image) {
			_, p := m.branch("many")
			leaf := m.page(child(p, 0))
			second := pageHeader + elemSize
			leaf[second+int(ne.Uint32(leaf[second+4:]))] = 'a'
		}, "out of order"},
		{"a small bucket with a foreign kind of page", func(m *image) { m.value("small")[bucketSize+8] = flagBranch }, "no leaf"},
		{"a small bucket whose element is too long", func(m *image) { m.value("small")[bucketSize+pageHeader+12] ^= 0x80 }, "should|wrong size"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := &image{t: t, b: bytes.Clone(whole)}
			c.do(m)
			path := boltPath(t)
			if err := os.WriteFile(path, m.b, 0o600); err != nil {
				t.Fatal(err)
			}
			err := Check(path)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			found := false
			for want := range strings.SplitSeq(c.want, "|") {
				found = found || err != nil && strings.Contains(err.Error(), want)
			}
			if !found {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			o := mustOpen(t, path, Options{})
			if o.Quarantined == "" {
				t.Error("Open took it for sound")
			}
			_ = o.Close()
		})
	}
}

// A file that was written with a stored free list is opened, too, and its list
// is checked.
func TestStoredFreeListIsChecked(t *testing.T) {
	path := boltPath(t)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		err = db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return b.Put(fmt.Append(nil, "k", i), make([]byte, 9000))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Fatalf("sound file: %v", err)
	}
	whole, _ := os.ReadFile(path)
	for name, do := range map[string]func(m *image, list []byte){
		"names a page in use":  func(m *image, list []byte) { ne.PutUint64(list, m.meta().root) },
		"names a page twice":   func(_ *image, list []byte) { copy(list[8:16], list[:8]) },
		"names a meta page":    func(_ *image, list []byte) { ne.PutUint64(list, 1) },
		"names page 2^63":      func(_ *image, list []byte) { ne.PutUint64(list, 1<<63) },
		"is longer than it is": func(m *image, _ []byte) { ne.PutUint16(m.page(m.meta().freelist)[10:], 0xfff0) },
		"is no free list":      func(m *image, _ []byte) { ne.PutUint16(m.page(m.meta().freelist)[8:], flagLeaf) },
		"lies beyond the end":  func(m *image, _ []byte) { m.setMeta(32, m.meta().pages) },
		"has a length of 2^64": func(m *image, list []byte) {
			ne.PutUint16(m.page(m.meta().freelist)[10:], 0xffff)
			ne.PutUint64(list, noFreelist)
		},
		"is the root as well":   func(m *image, _ []byte) { m.setMeta(32, m.meta().root) },
		"is another page":       func(m *image, _ []byte) { m.page(m.meta().freelist)[0] ^= 1 },
		"has overflow no end":   func(m *image, _ []byte) { ne.PutUint32(m.page(m.meta().freelist)[12:], 1<<30) },
		"runs over other pages": func(m *image, _ []byte) { ne.PutUint32(m.page(m.meta().freelist)[12:], 3) },
	} {
		m := &image{t: t, b: bytes.Clone(whole)}
		do(m, m.page(m.meta().freelist)[pageHeader:])
		if err := os.WriteFile(path, m.b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(path); err == nil {
			t.Errorf("free list that %s: taken for sound", name)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	requireUsable(t, mustOpen(t, path, Options{}), path, rand.New(rand.NewPCG(21, 21)))
}
