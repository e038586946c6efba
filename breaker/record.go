package breaker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/internal/uptime"
)

// The bucket "breaker" holds one record per circuit that is not in its first
// state, under shop, a zero byte and the endpoint class.
var bucketName = []byte("breaker")

func (k Key) bytes() []byte { return []byte(k.Shop + "\x00" + k.Class) }

func keyOf(b []byte) (Key, bool) {
	shop, class, ok := bytes.Cut(b, []byte{0})
	return Key{string(shop), string(class)}, ok
}

// record is a circuit as a restart should find it. It is sealed (boltfile.Seal) under
// its key in the table "breaker". Times are distances from the moment of writing.
type record struct {
	state, hand int64
	left, wait  int64 // ns
	trips       int64
	written     uptime.Reading // the moment of writing
	reason      string
}

func (r *record) fields(f *boltfile.Fields) {
	boot := int64(r.written.Boot)
	for _, v := range [...]*int64{&r.state, &r.hand, &r.left, &r.wait, &r.trips, &boot, &r.written.Up, &r.written.Wall} {
		f.Int(v)
	}
	r.written.Boot = uint64(boot)
	f.Rest(&r.reason)
}

func (r *record) encode(key []byte) []byte {
	return boltfile.SealFields("breaker", key, r.fields)
}

func decodeRecord(key, in []byte) (r record, err error) {
	err = boltfile.UnsealFields(binary.LittleEndian, nil, "breaker", key, in, func(f *boltfile.Fields) {
		r.fields(f)
		if r.state < 0 || r.state > int64(StateHalfOpen) || r.hand < 0 || r.hand > int64(HeldClosed) ||
			r.left < 0 || r.wait < r.left || r.trips < 0 {
			f.Refuse()
		}
	})
	return r, err
}

// write puts the present state of c on disk. Writes are one after the other and
// each takes the newest state, so an older one never comes last.
func (b *Breaker) write(t int64, c *circuit) error {
	b.io.Lock()
	defer b.io.Unlock()
	written := b.opts.Uptime.Read()
	b.mu.Lock()
	if !slices.Contains(b.shops[c.key.Shop], c) {
		b.mu.Unlock()
		return nil // forgotten
	}
	first := c.state == StateClosed && c.hand == Auto
	rec := c.record(t, written)
	b.mu.Unlock()
	err := b.db.Update(func(tx *bolt.Tx) error {
		bk := tx.Bucket(bucketName)
		if first {
			return bk.Delete(c.key.bytes())
		}
		return bk.Put(c.key.bytes(), rec)
	})
	if err != nil {
		return fmt.Errorf("breaker: write %s %s: %w", c.key.Shop, c.key.Class, err)
	}
	return nil
}

// record is c as of t; written was read then or later. Needs b.mu.
func (c *circuit) record(t int64, written uptime.Reading) []byte {
	r := record{state: int64(c.state), hand: int64(c.hand), trips: int64(c.trips), reason: c.reason,
		written: written}
	r.written.Wall = c.b.instant(t).UnixNano()
	if c.state == StateOpen {
		// another goroutine may have set until since t: no record says more than
		// the whole wait, or less than nothing
		r.left = min(max(c.until-t, 0), c.wait)
		r.wait = c.wait
	}
	return r.encode(c.key.bytes())
}

// load reads every circuit. A damaged record counts as open for one Reset: it
// was written because something was wrong.
func (b *Breaker) load() error {
	return b.db.Update(func(tx *bolt.Tx) error {
		if err := Buckets(tx); err != nil {
			return err
		}
		bk := tx.Bucket(bucketName)
		err := bk.ForEach(func(k, v []byte) error {
			key, ok := keyOf(k)
			if !ok {
				return nil
			}
			r, err := decodeRecord(k, v)
			if err != nil {
				r = record{state: int64(StateHalfOpen), reason: ReasonRestart}
			}
			b.circuit(key).restore(r)
			return nil
		})
		if err != nil {
			return err
		}
		// noted again as of now, so that a process that dies over and over does
		// not start every wait again
		written := b.opts.Uptime.Read()
		for _, shop := range b.shops {
			for _, c := range shop {
				if err := bk.Put(c.key.bytes(), c.record(origin, written)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// restore is the state a restart gives the circuit at its opening.
func (c *circuit) restore(r record) {
	o := &c.b.opts
	c.hand, c.reason, c.trips = Hand(r.hand), r.reason, int(r.trips)
	switch State(r.state) {
	case StateOpen:
		// never longer than it was given, or than any wait may be now
		c.state, c.wait = StateOpen, min(r.wait, int64(max(maxReset, o.Reset, o.MaxRetryAfter)))
		passed, _ := c.b.start.Since(r.written)
		c.until = origin + min(max(r.left-passed, 0), c.wait)
	case StateHalfOpen:
		c.state, c.reason = StateOpen, ReasonRestart
		c.wait, c.until = int64(o.Reset), origin+int64(o.Reset)
	}
}
