package state

import (
	"errors"
	"hash/fnv"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
)

// sum is what all records together come to. A checksum tells a record that is
// damaged; only a sum tells one that is missing, or old because a pointer inside
// the file leads to a page of the past. It has a bucket of its own, small enough
// for bbolt to keep in the file's top page, whose place the checksum of the meta
// page covers.
type sum struct {
	Tables []string `json:"tables"`
	Rows   int      `json:"rows"`
	Sum    uint64   `json:"sum"` // of all rows, by exclusive or

	rows map[string]uint64 // by table and key
	old  bool              // an older version wrote it
}

const (
	sumBucket = "state.sum"
	sumKey    = "sum"
)

func newSum() *sum { return &sum{rows: map[string]uint64{}} }

// replace takes account of a row's new content; nil: it is deleted.
func (s *sum) replace(table, key string, raw []byte) {
	id := table + "\x00" + key
	if old, there := s.rows[id]; there {
		s.Rows--
		s.Sum ^= old
		delete(s.rows, id)
	}
	if raw == nil {
		return
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id + "\x00")) // never fails
	_, _ = h.Write(raw)
	s.Rows++
	s.Sum ^= h.Sum64()
	s.rows[id] = h.Sum64()
}

// after returns the sum as it is after steps, without a list of rows.
func (s *sum) after(steps []step) sum {
	next := &sum{Tables: s.Tables, Rows: s.Rows, Sum: s.Sum, rows: map[string]uint64{}}
	for _, step := range steps {
		id := step.table + "\x00" + step.key
		if old, there := s.rows[id]; there {
			next.rows[id] = old
		}
	}
	for _, step := range steps {
		next.replace(step.table, step.key, step.raw)
	}
	return *next
}

// equals reports whether two sums are of the same records.
func (s *sum) equals(other *sum) bool { return s.Rows == other.Rows && s.Sum == other.Sum }

func (s *sum) write(tx *bbolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists([]byte(sumBucket))
	if err != nil {
		return err
	}
	raw, err := encodeRecord(sumBucket, sumKey, s)
	if err != nil {
		return err
	}
	return b.Put([]byte(sumKey), raw)
}

// readSum returns the stored sum; nil: it can't be read.
func readSum(b *bbolt.Bucket) (*sum, error) {
	if b == nil {
		return nil, nil
	}
	var s sum
	raw := b.Get([]byte(sumKey))
	err := decodeRecord(sumBucket, sumKey, raw, &s)
	if errors.Is(err, boltfile.ErrRecord) {
		return nil, nil
	}
	s.old = err == nil && raw[0] < boltfile.RecordVersion
	return &s, err
}
