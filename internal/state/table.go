package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
)

// rootBucket holds a bucket for each table.
const (
	rootBucket = "state"
	shopsTable = "shops"
	// valuesTable holds what other packages keep here.
	valuesTable = "values"
)

// table is one kind of record, in memory and in its bucket.
type table[T any] struct {
	name string
	rows map[string]T
}

// addTable makes a table of the store.
func addTable[T any](s *Store, to **table[T], name string) {
	*to = &table[T]{name: name, rows: map[string]T{}}
	s.tables[name] = *to
}

// stored is what a table is to the code that loads and saves all of them.
type stored interface {
	load(root *bbolt.Bucket, sum *sum) (damaged []string, err error)
	save(root *bbolt.Bucket, sum *sum) error
	clear()
	only(keep func(table, key string) bool) stored // a copy of what is to be kept
}

// saveAll makes a file's tables equal to these.
func saveAll(tx *bbolt.Tx, tables map[string]stored) (*sum, error) {
	root, err := tx.CreateBucketIfNotExists([]byte(rootBucket))
	if err != nil {
		return nil, err
	}
	all := newSum()
	all.Tables = slices.Sorted(maps.Keys(tables))
	for _, name := range all.Tables {
		if err := tables[name].save(root, all); err != nil {
			return nil, err
		}
	}
	return all, all.write(tx)
}

// load reads every record into memory and returns the keys of those that are
// damaged. The bucket must be there.
func (t *table[T]) load(root *bbolt.Bucket, sum *sum) (damaged []string, err error) {
	err = root.Bucket([]byte(t.name)).ForEach(func(k, raw []byte) error {
		var v T
		err := decodeRecord(t.name, string(k), raw, &v)
		if errors.Is(err, boltfile.ErrRecord) {
			damaged = append(damaged, string(k))
			return nil
		}
		if err == nil {
			t.rows[string(k)] = v
			sum.replace(t.name, string(k), raw)
		}
		return err
	})
	return damaged, err
}

// save makes the bucket equal to memory.
func (t *table[T]) save(root *bbolt.Bucket, sum *sum) error {
	if root.Bucket([]byte(t.name)) != nil {
		if err := root.DeleteBucket([]byte(t.name)); err != nil {
			return err
		}
	}
	b, err := root.CreateBucket([]byte(t.name))
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(t.rows)) {
		raw, err := encodeRecord(t.name, key, t.rows[key])
		if err != nil {
			return err
		}
		if err := b.Put([]byte(key), raw); err != nil {
			return err
		}
		sum.replace(t.name, key, raw)
	}
	return nil
}

func (t *table[T]) clear() { clear(t.rows) }

func (t *table[T]) only(keep func(table, key string) bool) stored {
	rows := maps.Clone(t.rows)
	maps.DeleteFunc(rows, func(key string, _ T) bool { return !keep(t.name, key) })
	return &table[T]{t.name, rows}
}

// row returns a table's record; false: there is none. What it refers to must not be
// changed.
func row[T any](s *Store, t *table[T], key string) (T, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, there := t.rows[key]
	return v, there
}

// batch is a set of changes that happen together.
type batch struct {
	steps []step
	err   error
}

type step struct {
	table, key string
	raw        []byte // nil: delete
	apply      func() // makes the change in memory
}

// put plans to store v under key.
func put[T any](b *batch, t *table[T], key string, v T) {
	raw, err := encodeRecord(t.name, key, v)
	if err != nil && b.err == nil {
		b.err = err
	}
	b.steps = append(b.steps, step{t.name, key, raw, func() { t.rows[key] = v }})
}

// drop plans to delete the record under key.
func drop[T any](b *batch, t *table[T], key string) {
	if _, there := t.rows[key]; there {
		b.steps = append(b.steps, step{t.name, key, nil, func() { delete(t.rows, key) }})
	}
}

// write stores the steps in tx, and the sum as it is after them.
func (b *batch) write(tx *bbolt.Tx, sum sum) error {
	root := tx.Bucket([]byte(rootBucket))
	for _, s := range b.steps {
		bucket := root.Bucket([]byte(s.table))
		err := error(nil)
		if s.raw == nil {
			err = bucket.Delete([]byte(s.key))
		} else {
			err = bucket.Put([]byte(s.key), s.raw)
		}
		if err != nil {
			return err
		}
	}
	return sum.write(tx)
}

// encodeRecord returns the bytes to store for v: a sealed record of JSON.
func encodeRecord(table, key string, v any) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return boltfile.Seal(table, []byte(key), content), nil
}

// decodeRecord reads what encodeRecord wrote into v, a pointer. The error is
// boltfile.ErrRecord or boltfile.ErrNewer.
func decodeRecord(table, key string, raw []byte, v any) error {
	content, err := boltfile.Unseal(table, []byte(key), raw)
	if err == nil && json.Unmarshal(content, v) != nil {
		err = boltfile.ErrRecord
	}
	return err
}
