package boltfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// sampleKeys is the number of records in each large bucket of a sample.
const sampleKeys = 400

// seal makes a value that can tell whether it or its key was changed.
func seal(key, body []byte) []byte {
	sum := crc32.Checksum(append(append([]byte{}, key...), body...), crc32.MakeTable(crc32.Castagnoli))
	return append(binary.BigEndian.AppendUint32(nil, sum), body...)
}

func sealed(key, val []byte) bool {
	return len(val) >= 4 && bytes.Equal(seal(key, val[4:]), val)
}

// never is a size that no file of a test has.
const never = 1 << 40

// writeSample makes a file with every shape a page can have: branches, leaves,
// overflow pages, nested, small (inline) and empty buckets, free pages.
func writeSample(t testing.TB, path string, rnd *rand.Rand) {
	t.Helper()
	o, err := Open(path, Options{compactAbove: never})
	if err != nil {
		t.Fatal(err)
	}
	o.DB.NoSync = true
	put := func(b *bbolt.Bucket, key string, size int) {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(rnd.Uint32())
		}
		if err := b.Put([]byte(key), seal([]byte(key), body)); err != nil {
			t.Fatal(err)
		}
	}
	update(t, o, func(tx *bbolt.Tx) error {
		for _, name := range []string{"large", "many", "doomed"} {
			b, _ := tx.CreateBucket([]byte(name))
			for i := range sampleKeys {
				switch name {
				case "large":
					if i%10 == 0 {
						put(b, fmt.Sprintf("k%06d", i), 5000+rnd.IntN(9000))
					}
				default:
					put(b, fmt.Sprintf("k%06d", i), 20+rnd.IntN(200))
				}
			}
		}
		small, _ := tx.CreateBucket([]byte("small"))
		put(small, "one", 40)
		outer, _ := tx.CreateBucket([]byte("outer"))
		inner, _ := outer.CreateBucket([]byte("inner"))
		for i := range 100 {
			put(inner, fmt.Sprintf("n%06d", i), 100)
		}
		_, err := outer.CreateBucket([]byte("empty"))
		return err
	})
	update(t, o, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("doomed")) })
	update(t, o, func(tx *bbolt.Tx) error { put(tx.Bucket([]byte("many")), "last", 64); return nil })
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

func update(t testing.TB, o Opened, fn func(*bbolt.Tx) error) {
	t.Helper()
	if err := o.Update(fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

// census counts all records of a file and those that no longer fit their seal.
func census(t testing.TB, o Opened) (records, broken int) {
	t.Helper()
	var count func(b *bbolt.Bucket) error
	count = func(b *bbolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return count(b.Bucket(k))
			}
			records++
			if !sealed(k, v) {
				broken++
			}
			return nil
		})
	}
	err := o.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return count(b) })
	})
	if err != nil {
		t.Fatalf("read everything: %v", err)
	}
	return records, broken
}

// requireUsable writes to an open file, closes it, and checks it from outside.
func requireUsable(t testing.TB, o Opened, path string, rnd *rand.Rand) {
	t.Helper()
	o.DB.NoSync = true // nobody cuts the power here
	for range 3 {
		update(t, o, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("many"))
			if err != nil {
				return err
			}
			for range 20 {
				k := fmt.Appendf(nil, "k%06d", rnd.IntN(sampleKeys))
				if rnd.IntN(2) == 0 {
					err = b.Delete(k)
				} else {
					err = b.Put(k, seal(k, make([]byte, rnd.IntN(6000))))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := o.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("bbolt's own check: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t testing.TB, path string, o Options) Opened {
	t.Helper()
	opened, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func boltPath(t testing.TB) string { return filepath.Join(t.TempDir(), "queue.db") }

func deleteBucket(name string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(name)) }
}
