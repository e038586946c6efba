package boltfile

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"syscall"
)

// The on-disk layout of bbolt's format, version 2. Numbers are in the byte
// order of the machine that wrote them.
const (
	pageHeader = 16 // id u64, flags u16, count u16, overflow u32
	elemSize   = 16 // leaf: flags, pos, ksize, vsize u32; branch: pos, ksize u32, child u64
	bucketSize = 16 // root u64, sequence u64
	metaSize   = 64 // behind a page header; the last 8 bytes are the checksum

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10

	leafBucket = 0x01

	magic      = 0xED0CDAED
	version    = 2
	noFreelist = ^uint64(0)

	minPageSize = 1 << 10
	maxPageSize = 1 << 24
	maxKeySize  = 32768
)

var ne = binary.NativeEndian

// meta is one of the two root records of a file.
type meta struct {
	pageSize int64
	root     uint64
	freelist uint64
	pages    uint64 // high water mark: pages at and beyond it are unused
	txid     uint64
}

// parseMeta reads a meta page's first bytes. ok means what it means to bbolt:
// magic, version and checksum fit. tidy means that the page header fits, too.
func parseMeta(b []byte, slot uint64) (m meta, ok, tidy bool) {
	if len(b) < pageHeader+metaSize {
		return meta{}, false, false
	}
	tidy = ne.Uint64(b) == slot && ne.Uint16(b[8:]) == flagMeta
	b = b[pageHeader : pageHeader+metaSize]
	h := fnv.New64a()
	_, _ = h.Write(b[:metaSize-8])
	if ne.Uint32(b) != magic || ne.Uint32(b[4:]) != version || ne.Uint64(b[56:]) != h.Sum64() {
		return meta{}, false, tidy
	}
	return meta{
		pageSize: int64(ne.Uint32(b[8:])),
		root:     ne.Uint64(b[16:]),
		freelist: ne.Uint64(b[32:]),
		pages:    ne.Uint64(b[40:]),
		txid:     ne.Uint64(b[48:]),
	}, true, tidy
}

// readMetas returns the meta that bbolt would use (the newest valid one) and a
// remark when the other one is not as it should be: the last commit may then be
// missing, which a torn write explains as well as damage does.
func readMetas(r io.ReaderAt, size int64) (m meta, remark string, err error) {
	first, err := readMeta(r, 0, size)
	if err != nil {
		return meta{}, "", err
	}
	m0, ok0, tidy0 := parseMeta(first, 0)
	pageSize := m0.pageSize
	if !ok0 {
		if pageSize, err = findPageSize(r, size); err != nil {
			return meta{}, "", err
		}
	}
	if pageSize < minPageSize || pageSize > maxPageSize || pageSize&(pageSize-1) != 0 {
		return meta{}, "", damagef("page size %d is impossible", pageSize)
	}
	second, err := readMeta(r, pageSize, size)
	if err != nil {
		return meta{}, "", err
	}
	m1, ok1, tidy1 := parseMeta(second, 1)
	switch {
	case ok0 && ok1 && m0.pageSize != m1.pageSize:
		return meta{}, "", damagef("the two meta pages disagree on the page size")
	case ok0 && (!ok1 || m0.txid >= m1.txid):
		m = m0
	case ok1:
		m = m1
	default:
		return meta{}, "", damagef("both meta pages are invalid")
	}
	switch {
	case !ok0 || !ok1:
		remark = "one of the two meta pages is damaged; the last commit may be missing"
	case !tidy0 || !tidy1:
		remark = "the header of a meta page is damaged"
	}
	if m.pages < 3 || m.pages > uint64(size/pageSize) {
		return meta{}, "", damagef("file is truncated: %d bytes, but %d pages of %d bytes are in use", size, m.pages, pageSize)
	}
	return m, remark, nil
}

// findPageSize looks for the second meta page where bbolt looks for it.
func findPageSize(r io.ReaderAt, size int64) (int64, error) {
	for p := int64(minPageSize); p <= maxPageSize && p < size-1024; p <<= 1 {
		b, err := readMeta(r, p, size)
		if err != nil {
			return 0, err
		}
		if m, ok, _ := parseMeta(b, 1); ok {
			if m.pageSize != p {
				return 0, damagef("a meta page for pages of %d bytes lies at byte %d", m.pageSize, p)
			}
			return p, nil
		}
	}
	return 0, damagef("both meta pages are invalid")
}

// readMeta reads a meta page's first bytes, fewer at the end of the file.
func readMeta(r io.ReaderAt, off, size int64) ([]byte, error) {
	n := min(int64(pageHeader+metaSize), size-off)
	if n <= 0 {
		return nil, nil
	}
	b := make([]byte, n)
	return b, readAt(r, b, off)
}

// readAt fills b. A short file and a sector that stays unreadable are damage,
// any other error is not.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	_, err := r.ReadAt(b, off)
	if errors.Is(err, syscall.EIO) {
		_, err = r.ReadAt(b, off)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return damagef("file ends at or before byte %d", off+int64(len(b)))
	case errors.Is(err, syscall.EIO):
		return damagef("the disk can't read %d bytes at byte %d", len(b), off)
	default:
		return err
	}
}
