package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// damages are the ways in which a file is hurt. Each returns false when it left
// the bytes as they were.
var damages = []struct {
	name string
	// values says that this kind can hit the inside of a value, which bbolt can't
	// notice and the seal of the record must.
	values bool
	do     func(b []byte, rnd *rand.Rand) []byte
}{
	{"one bit", true, func(b []byte, r *rand.Rand) []byte { return flip(b, r, 1) }},
	{"sixteen bits", true, func(b []byte, r *rand.Rand) []byte { return flip(b, r, 16) }},
	{"a bit of a page header or element", true, func(b []byte, r *rand.Rand) []byte {
		p := r.IntN(len(b)/4096) * 4096
		b[p+r.IntN(200)] ^= 1 << r.IntN(8)
		return b
	}},
	{"bits of one meta page", false, func(b []byte, r *rand.Rand) []byte {
		b[r.IntN(2)*4096+r.IntN(80)] ^= 1 << r.IntN(8)
		return b
	}},
	{"bits of both meta pages", false, func(b []byte, r *rand.Rand) []byte {
		b[16+r.IntN(64)] ^= 1 << r.IntN(8)
		b[4096+16+r.IntN(64)] ^= 1 << r.IntN(8)
		return b
	}},
	{"a meta page of zeros", false, func(b []byte, r *rand.Rand) []byte {
		p := r.IntN(2) * 4096
		clear(b[p : p+4096])
		return b
	}},
	{"truncation at any byte", true, func(b []byte, r *rand.Rand) []byte { return b[:1+r.IntN(len(b)-1)] }},
	{"truncation at a page", false, func(b []byte, r *rand.Rand) []byte { return b[:4096*(1+r.IntN(len(b)/4096-1))] }},
	{"length zero", false, func(b []byte, _ *rand.Rand) []byte { return b[:0] }},
	{"two pages swapped", true, func(b []byte, r *rand.Rand) []byte {
		p, q := r.IntN(len(b)/4096)*4096, r.IntN(len(b)/4096)*4096
		tmp := bytes.Clone(b[p : p+4096])
		copy(b[p:], b[q:q+4096])
		copy(b[q:], tmp)
		return b
	}},
	{"a page written over another", true, func(b []byte, r *rand.Rand) []byte {
		p, q := r.IntN(len(b)/4096)*4096, r.IntN(len(b)/4096)*4096
		copy(b[p:p+4096], b[q:q+4096])
		return b
	}},
	{"a page of noise", true, func(b []byte, r *rand.Rand) []byte {
		p := r.IntN(len(b)/4096) * 4096
		for i := range 4096 {
			b[p+i] = byte(r.Uint32())
		}
		return b
	}},
	{"a sector of zeros", true, func(b []byte, r *rand.Rand) []byte {
		p := r.IntN(len(b)/512) * 512
		clear(b[p : p+512])
		return b
	}},
	{"a tail of zeros", true, func(b []byte, r *rand.Rand) []byte {
		clear(b[r.IntN(len(b)):])
		return b
	}},
}

func flip(b []byte, r *rand.Rand, n int) []byte {
	for range n {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
	return b
}

func trials() int {
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		return 500
	}
	return 126
}

func TestDamagedFileIsUsedSoundOrSetAsideAndNeverCrashesTheProcess(t *testing.T) {
	sample := boltPath(t)
	writeSample(t, sample, rand.New(rand.NewPCG(1, 1)))
	whole, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	want := func() int {
		o := mustOpen(t, sample, Options{compactAbove: never})
		n, broken := census(t, o)
		if broken != 0 {
			t.Fatalf("%d records of the sample are broken", broken)
		}
		_ = o.Close()
		return n
	}()

	kept, setAside, noticed := 0, 0, 0
	for trial := range trials() {
		d := damages[trial%len(damages)]
		t.Run(fmt.Sprintf("%03d %s", trial, d.name), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(42, uint64(trial)))
			path := boltPath(t)
			hurt := d.do(bytes.Clone(whole), rnd)
			if err := os.WriteFile(path, hurt, 0o600); err != nil {
				t.Fatal(err)
			}
			o, err := Open(path, Options{})
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			if o.Quarantined == "" {
				kept++
				n, broken := census(t, o)
				if broken > 0 {
					noticed++
				}
				if broken > 0 && !d.values {
					t.Errorf("%d broken records", broken)
				}
				if n != want && o.Suspect == "" {
					t.Errorf("%d records, want %d", n, want)
				}
				requireUsable(t, o, path, rnd)
				return
			}
			setAside++
			if aside, err := os.ReadFile(o.Quarantined); err != nil || !bytes.Equal(aside, hurt) {
				t.Errorf("the file set aside is not the damaged one (%v)", err)
			}
			if o.Reason == "" || !o.Fresh {
				t.Errorf("quarantined without reason or fresh file: %+v", o)
			}
			if n, _ := census(t, o); n != 0 {
				t.Errorf("fresh file holds %d records", n)
			}
			requireUsable(t, o, path, rnd)
		})
	}
	t.Logf("%d used, of which %d with records their owner would notice; %d set aside", kept, noticed, setAside)
	if kept == 0 || setAside == 0 {
		t.Error("the trials did not reach both outcomes")
	}
}

// Damage that arrives after Open meets bbolt through its mapping.
func TestDamageWhileRunningIsAnErrorAndNeverCrashesTheProcess(t *testing.T) {
	sample := boltPath(t)
	writeSample(t, sample, rand.New(rand.NewPCG(2, 2)))
	whole, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for trial := range trials() {
		d := damages[trial%len(damages)]
		t.Run(fmt.Sprintf("%03d %s", trial, d.name), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(43, uint64(trial)))
			path := boltPath(t)
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			o := mustOpen(t, path, Options{compactAbove: never})
			hurt := d.do(bytes.Clone(whole), rnd)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(hurt, 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(int64(len(hurt))); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()

			touch := func() error {
				err := o.View(func(tx *bbolt.Tx) error {
					return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
						return b.ForEach(func(k, v []byte) error { sealed(k, v); return nil })
					})
				})
				if err != nil {
					return err
				}
				return o.Update(func(tx *bbolt.Tx) error {
					b := tx.Bucket([]byte("many"))
					if b == nil {
						return &DamageError{Reason: "a bucket is gone"}
					}
					for i := range sampleKeys {
						if err := b.Delete(fmt.Appendf(nil, "k%06d", i)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			err = touch()
			if err == nil {
				_ = o.Close()
				return
			}
			found++
			_ = o.closeFile()
			if err := touch(); err == nil {
				t.Error("a released handle still works")
			}
			after := mustOpen(t, path, Options{})
			requireUsable(t, after, path, rnd)
		})
	}
	if found == 0 {
		t.Error("no trial met its damage")
	}
}

func TestZeroLengthFileIsDamageAndNotNew(t *testing.T) {
	path := boltPath(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := mustOpen(t, path, Options{})
	defer o.Close()
	if filepath.Dir(o.Quarantined) != filepath.Dir(path) || o.Reason != "file is empty" || !o.Fresh {
		t.Errorf("got %+v", o)
	}
}

func TestOneDamagedMetaPageKeepsTheFileAndSaysSo(t *testing.T) {
	for slot := range 2 {
		path := boltPath(t)
		writeSample(t, path, rand.New(rand.NewPCG(3, 3)))
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[slot*4096+40] ^= 4
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		o := mustOpen(t, path, Options{compactAbove: never})
		if o.Quarantined != "" || o.Suspect == "" {
			t.Errorf("slot %d: got %+v", slot, o)
		}
		if n, broken := census(t, o); n < sampleKeys || broken != 0 {
			t.Errorf("slot %d: %d records, %d broken", slot, n, broken)
		}
		_ = o.Close()
	}
}

func TestNewestMetaPageLostWhileRunningIsNoticedBeforeTheNextTransaction(t *testing.T) {
	path := boltPath(t)
	o := mustOpen(t, path, Options{})
	for range 3 {
		update(t, o, func(tx *bbolt.Tx) error { _, err := tx.CreateBucketIfNotExists([]byte("b")); return err })
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	newest := int64(o.h.txid.Load()%2) * int64(os.Getpagesize())
	if _, err := f.WriteAt([]byte{1, 2, 3}, newest+30); err != nil {
		t.Fatal(err)
	}
	err = o.Update(func(*bbolt.Tx) error { t.Error("the transaction began"); return nil })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
	_ = o.Close()
}
