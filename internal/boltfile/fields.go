package boltfile

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
)

// Fields writes the fields of a record one behind the other, or reads them. A kind
// of record has one function that names them all, for both ways, so that the two
// can't differ. A limit holds for reading.
type Fields struct {
	b       []byte // what was written, or is not read yet
	reading bool
	bad     bool
}

// SealFields is Seal of fields, which fields writes.
func SealFields(table string, key []byte, fields func(*Fields)) []byte {
	f := &Fields{b: make([]byte, 0, 256)}
	fields(f)
	return Seal(table, key, f.b)
}

// UnsealFields is Unseal of fields, which fields reads, for a table whose records of
// version 1 had another form (see unsealOr). The error is ErrRecord too when they are
// not exactly the content.
func UnsealFields(order binary.ByteOrder, place []byte, table string, key, raw []byte, fields func(*Fields)) error {
	content, err := unsealOr(order, place, table, key, raw)
	if err != nil {
		return err
	}
	f := &Fields{b: content, reading: true}
	fields(f)
	return f.err()
}

// err is ErrRecord when the content was not exactly the fields that were read.
func (f *Fields) err() error {
	if f.bad || len(f.b) > 0 {
		return ErrRecord
	}
	return nil
}

// Refuse says that what was read can't be.
func (f *Fields) Refuse() { f.bad, f.b = true, nil }

// Raw is bytes of a known number.
func (f *Fields) Raw(p []byte) {
	switch {
	case !f.reading:
		f.b = append(f.b, p...)
	case len(f.b) < len(p):
		f.Refuse()
	default:
		f.b = f.b[copy(p, f.b):]
	}
}

// Byte is one byte, at most most.
func (f *Fields) Byte(v *byte, most byte) {
	p := [1]byte{*v}
	f.Raw(p[:])
	if *v = p[0]; *v > most {
		f.Refuse()
		*v = 0
	}
}

// Bool is one byte, 0 or 1.
func (f *Fields) Bool(v *bool) {
	var b byte
	if *v {
		b = 1
	}
	f.Byte(&b, 1)
	*v = b == 1
}

// Uint is a number of few bytes when it is small, at most most.
func (f *Fields) Uint(v *uint64, most uint64) {
	if !f.reading {
		f.b = binary.AppendUvarint(f.b, *v)
		return
	}
	got, n := binary.Uvarint(f.b)
	if n <= 0 || got > most {
		f.Refuse()
		got, n = 0, 0
	}
	*v, f.b = got, f.b[n:]
}

// Count is Uint for a number that is never negative.
func (f *Fields) Count(v *int64) {
	n := uint64(*v)
	f.Uint(&n, math.MaxInt64)
	*v = int64(n)
}

// Int is a number of few bytes when it is near zero.
func (f *Fields) Int(v *int64) {
	n := uint64(*v)<<1 ^ uint64(*v>>63)
	f.Uint(&n, math.MaxUint64)
	*v = int64(n>>1) ^ -int64(n&1)
}

// Text is a string with its length before it, at most most bytes.
func (f *Fields) Text(v *string, most uint64) {
	n := uint64(len(*v))
	f.Uint(&n, most)
	switch {
	case !f.reading:
		f.b = append(f.b, *v...)
	case n > uint64(len(f.b)):
		f.Refuse()
	default:
		*v, f.b = string(f.b[:n]), f.b[n:]
	}
}

// Rest is a string that goes to the end of the record.
func (f *Fields) Rest(v *string) {
	if !f.reading {
		f.b = append(f.b, *v...)
		return
	}
	*v, f.b = string(f.b), nil
}

// Labels are names with values, sorted by name: at most that many, none longer
// than longest.
func (f *Fields) Labels(m *map[string]string, most, longest uint64) {
	n, names := uint64(len(*m)), slices.Sorted(maps.Keys(*m))
	if f.Uint(&n, most); f.reading && n > 0 {
		*m, names = make(map[string]string, n), make([]string, n)
	}
	for _, name := range names {
		value := (*m)[name]
		f.Text(&name, longest)
		f.Text(&value, longest)
		(*m)[name] = value
	}
}
