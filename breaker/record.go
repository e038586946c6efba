package breaker

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// The bucket "breaker" holds one record per circuit that is not in its first
// state, under shop, a zero byte and the endpoint class.
var bucketName = []byte("breaker")

const recordVersion = 1

func (k Key) bytes() []byte { return []byte(k.Shop + "\x00" + k.Class) }

func keyOf(b []byte) (Key, bool) {
	shop, class, ok := bytes.Cut(b, []byte{0})
	return Key{string(shop), string(class)}, ok
}

// record is a circuit as a restart should find it. Times are distances from the
// moment of writing, which is stamped by two clocks.
type record struct {
	state, hand int64
	left, wait  int64 // ns
	trips       int64
	boot        int64
	up, wall    int64 // ns
	reason      string
}

func (r *record) fields() []*int64 {
	return []*int64{&r.state, &r.hand, &r.left, &r.wait, &r.trips, &r.boot, &r.up, &r.wall}
}

func (r *record) encode() []byte {
	out := []byte{recordVersion}
	for _, f := range r.fields() {
		out = binary.AppendVarint(out, *f)
	}
	out = append(out, r.reason...)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, crc32.MakeTable(crc32.Castagnoli)))
}

func decodeRecord(in []byte) (r record, err error) {
	if len(in) < 5 {
		return r, errDamaged
	}
	body, sum := in[:len(in)-4], binary.LittleEndian.Uint32(in[len(in)-4:])
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum || body[0] != recordVersion {
		return r, errDamaged
	}
	body = body[1:]
	for _, f := range r.fields() {
		v, n := binary.Varint(body)
		if n <= 0 {
			return r, errDamaged
		}
		*f, body = v, body[n:]
	}
	r.reason = string(body)
	if r.state < 0 || r.state > int64(StateHalfOpen) || r.hand < 0 || r.hand > int64(HeldClosed) ||
		r.left < 0 || r.wait < r.left || r.trips < 0 {
		return r, errDamaged
	}
	return r, nil
}

// write puts the present state of c on disk. Writes are one after the other and
// each takes the newest state, so an older one never comes last.
func (b *Breaker) write(t int64, c *circuit) error {
	b.io.Lock()
	defer b.io.Unlock()
	c.mu.Lock()
	if (*b.ready.Load())[c.key] != c && !b.isYoung(c) {
		c.mu.Unlock()
		return nil // forgotten
	}
	first := c.state == StateClosed && c.hand == Auto
	rec := c.record(t)
	c.mu.Unlock()
	err := b.db.Update(func(tx *bolt.Tx) error {
		bk := tx.Bucket(bucketName)
		if first {
			return bk.Delete(c.key.bytes())
		}
		return bk.Put(c.key.bytes(), rec)
	})
	if err != nil {
		err = fmt.Errorf("breaker: write %s %s: %w", c.key.Shop, c.key.Class, err)
	}
	c.mu.Lock()
	c.writeErr = err
	c.mu.Unlock()
	return err
}

func (b *Breaker) isYoung(c *circuit) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.young[c.key] == c || (*b.ready.Load())[c.key] == c
}

// record needs c.mu.
func (c *circuit) record(t int64) []byte {
	r := record{state: int64(c.state), hand: int64(c.hand), trips: int64(c.trips), reason: c.reason,
		wall: c.b.instant(t).UnixNano()}
	if c.state == StateOpen {
		r.left = min(max(c.until-t, 0), c.wait)
		r.wait = c.wait
	}
	if boot, up, ok := c.b.opts.Uptime(); ok {
		r.boot, r.up = bootID(boot), int64(up)
	}
	return r.encode()
}

// bootID is the boot's name as a number, never 0: 0 is an unknown boot.
func bootID(name string) int64 {
	h := sha256.Sum256([]byte(name))
	return int64(binary.LittleEndian.Uint64(h[:]) | 1)
}

// load reads every circuit. A damaged record counts as open for one Reset: it
// was written because something was wrong.
func (b *Breaker) load(into map[Key]*circuit) error {
	return b.db.Update(func(tx *bolt.Tx) error {
		bk, err := tx.CreateBucketIfNotExists(bucketName)
		if err != nil {
			return err
		}
		err = bk.ForEach(func(k, v []byte) error {
			key, ok := keyOf(k)
			if !ok {
				return nil
			}
			c := &circuit{key: key, b: b}
			r, err := decodeRecord(v)
			if err != nil {
				r = record{state: int64(StateHalfOpen), reason: ReasonRestart}
			}
			c.restore(r)
			into[key] = c
			return nil
		})
		if err != nil {
			return err
		}
		// noted again as of now, so that a process that dies over and over does
		// not start every wait anew
		for _, c := range into {
			if err := bk.Put(c.key.bytes(), c.record(origin)); err != nil {
				return err
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
		c.state, c.wait = StateOpen, min(r.wait, int64(max(o.MaxReset, o.MaxRetryAfter)))
		c.until = origin + min(max(r.left-c.b.elapsed(&r), 0), c.wait)
	case StateHalfOpen:
		c.state, c.reason = StateOpen, ReasonRestart
		c.wait, c.until = int64(o.Reset), origin+int64(o.Reset)
	}
	c.setGate()
}

// elapsed is the time since the record was written, never more than really
// passed: by the clock since boot, which nobody sets, and the wall clock,
// whichever says less. After a reboot, and where the boot is unknown, none.
func (b *Breaker) elapsed(r *record) int64 {
	if !b.start.ok || r.boot == 0 || bootID(b.start.boot) != r.boot {
		return 0
	}
	return max(min(int64(b.start.up)-r.up, b.base.UnixNano()-r.wall), 0)
}
