package bulk

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// ErrSpill says that the spill file is not the one that a mark speaks of, or is
// damaged. Start over without a mark.
var ErrSpill = errors.New("bulk: the spill file can't be used")

// The spill file is a row of segments. A segment is records in the order of
// their roots and, within a root, of the file; then a trailer. Integers in
// records are uvarints.
//
//	record:  length of the rest, kind (1 byte), root, start, end - start, line, CRC-32C of all before (4 bytes)
//	trailer: length of the records (8 bytes), CRC-32C of the length (4), "BULK" (4), little endian
const (
	trailerSize = 16
	trailerMark = "BULK"
)

const (
	kindChild = iota
	kindRoot
	kindLate // no line: the root is late
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Spill is a file that only its owner can read, of a name that is kept for it.
type Spill struct {
	// Open opens the file of an earlier run.
	Open func() (*os.File, error)
	// Make makes it, empty, mode 0600. When it returns, the name is on disk.
	Make func() (*os.File, error)
}

// spillFile is the spill file, open for writing at its end and reading anywhere.
type spillFile struct {
	spill    Spill
	noSync   bool
	f        *os.File
	size     int64
	segments []segment
	scratch  []byte
}

type segment struct{ from, to int64 } // of its records

// openSpill opens the file of an earlier run and cuts off what came after size.
func openSpill(spill Spill, size int64, noSync bool) (*spillFile, error) {
	s := &spillFile{spill: spill, noSync: noSync}
	if size == 0 {
		return s, nil
	}
	f, err := spill.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpill, err)
	}
	s.f, s.size = f, size
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// recover finds the segments from the last trailer back.
func (s *spillFile) recover() error {
	info, err := s.f.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSpill, err)
	}
	if info.Size() < s.size {
		return fmt.Errorf("%w: it has %d bytes, the mark says %d", ErrSpill, info.Size(), s.size)
	}
	if err := s.f.Truncate(s.size); err != nil {
		return fmt.Errorf("bulk: cut the spill file: %w", err)
	}
	for at := s.size; at > 0; {
		var t [trailerSize]byte
		if at < trailerSize {
			return fmt.Errorf("%w: no segment ends at byte %d", ErrSpill, at)
		}
		if _, err := s.f.ReadAt(t[:], at-trailerSize); err != nil {
			return fmt.Errorf("%w: %w", ErrSpill, err)
		}
		n := binary.LittleEndian.Uint64(t[:])
		if string(t[12:]) != trailerMark || binary.LittleEndian.Uint32(t[8:]) != crc32.Checksum(t[:8], castagnoli) || n > uint64(at-trailerSize) {
			return fmt.Errorf("%w: no segment ends at byte %d", ErrSpill, at)
		}
		to := at - trailerSize
		at = to - int64(n)
		s.segments = append(s.segments, segment{at, to})
	}
	for i, k := 0, len(s.segments)-1; i < k; i, k = i+1, k-1 {
		s.segments[i], s.segments[k] = s.segments[k], s.segments[i]
	}
	return nil
}

// append writes a segment and waits until it is on the disk.
func (s *spillFile) append(write func(put func(kind byte, root int64, l line) error) error) error {
	if s.f == nil {
		if err := s.create(); err != nil {
			return err
		}
	}
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.f, s.size), 256<<10)
	from, at := s.size, s.size
	err := write(func(kind byte, root int64, l line) error {
		b := append(s.scratch[:0], kind)
		b = binary.AppendUvarint(b, uint64(root))
		b = binary.AppendUvarint(b, uint64(l.start))
		b = binary.AppendUvarint(b, uint64(l.end-l.start))
		s.scratch = b
		var head [binary.MaxVarintLen64]byte
		size := binary.PutUvarint(head[:], uint64(len(b)+len(l.data)))
		sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, l.data)
		for _, part := range [][]byte{head[:size], b, l.data, binary.LittleEndian.AppendUint32(nil, sum)} {
			n, err := w.Write(part)
			at += int64(n)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		var t [trailerSize]byte
		binary.LittleEndian.PutUint64(t[:], uint64(at-from))
		binary.LittleEndian.PutUint32(t[8:], crc32.Checksum(t[:8], castagnoli))
		copy(t[12:], trailerMark)
		if _, err = w.Write(t[:]); err == nil {
			err = w.Flush()
		}
	}
	if err == nil && !s.noSync {
		err = s.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("bulk: write the spill file: %w", err)
	}
	s.segments = append(s.segments, segment{from, at})
	s.size = at + trailerSize
	return nil
}

func (s *spillFile) create() error {
	f, err := s.spill.Make()
	if err != nil {
		return fmt.Errorf("bulk: make the spill file: %w", err)
	}
	s.f = f
	return nil
}

func (s *spillFile) close() error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f = nil
	return err
}

// record is one record read back.
type record struct {
	kind byte
	root int64
	line line
}

// segmentReader reads a segment's records in their order.
type segmentReader struct {
	r *bufio.Reader
}

func (s *spillFile) read(g segment, buffer int) *segmentReader {
	return &segmentReader{bufio.NewReaderSize(io.NewSectionReader(s.f, g.from, g.to-g.from), buffer)}
}

// next returns io.EOF at the end of the segment.
func (s *segmentReader) next(most int64) (record, error) {
	var r record
	size, err := binary.ReadUvarint(s.r)
	if err == io.EOF {
		return r, io.EOF
	}
	if err != nil || size < 4 || size > uint64(most)+64 {
		return r, fmt.Errorf("%w: a record has no sound length: %w", ErrSpill, errors.Join(err))
	}
	b := make([]byte, size+4)
	if _, err := io.ReadFull(s.r, b); err != nil {
		return r, fmt.Errorf("%w: %w", ErrSpill, err)
	}
	b, sum := b[:size:size], binary.LittleEndian.Uint32(b[size:])
	if crc32.Checksum(b, castagnoli) != sum {
		return r, fmt.Errorf("%w: a record is damaged", ErrSpill)
	}
	r.kind = b[0]
	b = b[1:]
	var fields [3]int64
	for i := range fields {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return r, fmt.Errorf("%w: a record is damaged", ErrSpill)
		}
		fields[i], b = int64(v), b[n:]
	}
	r.root = fields[0]
	r.line = line{data: b, start: fields[1], end: fields[1] + fields[2], root: r.kind == kindRoot}
	return r, nil
}
