package limiter

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// Buckets: limiter/shops holds one record per shop, limiter/costs one per query.
var (
	rootBucket  = []byte("limiter")
	shopsBucket = []byte("shops")
	costsBucket = []byte("costs")
)

const (
	recordVersion = 1
	recordEntries = 32 // the log on disk is this coarse, rounded to later
)

var errDamaged = errors.New("damaged record")

// A record is varints in the order below and a CRC-32C of all before it. Times
// in it are ages against the moment of writing, which is stamped by two clocks.
type record struct {
	window               int64 // ns
	boot                 uint64
	up, wall             int64 // ns
	leased               int64 // points to count as spent at a restart
	known                bool
	size, rate           int64 // of the bucket
	held, heldLeft       int64 // points; ns
	penaltyLeft          int64 // ns
	probeAge, learnedAge int64 // ns, -1 for never
	log                  []entry
}

func (r *record) fields() []*int64 {
	return []*int64{&r.window, &r.up, &r.wall, &r.leased, &r.size, &r.rate,
		&r.held, &r.heldLeft, &r.penaltyLeft, &r.probeAge, &r.learnedAge}
}

func (r *record) encode() []byte {
	b := make([]byte, 0, 160+12*len(r.log))
	known := byte(0)
	if r.known {
		known = 1
	}
	b = append(b, recordVersion, known)
	b = binary.LittleEndian.AppendUint64(b, r.boot)
	for _, f := range r.fields() {
		b = binary.AppendVarint(b, *f)
	}
	b = binary.AppendUvarint(b, uint64(len(r.log)))
	for _, e := range r.log {
		b = binary.AppendVarint(b, e.at) // age
		b = binary.AppendVarint(b, e.points)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func decodeRecord(b []byte) (r record, err error) {
	if len(b) < 14 {
		return r, errDamaged
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum || body[0] != recordVersion || body[1] > 1 {
		return r, errDamaged
	}
	r.known = body[1] == 1
	r.boot = binary.LittleEndian.Uint64(body[2:])
	body = body[10:]
	next := func() (v int64) {
		v, n := binary.Varint(body)
		if n <= 0 {
			err, n = errDamaged, 0
		}
		body = body[n:]
		return v
	}
	for _, f := range r.fields() {
		*f = next()
	}
	n, w := binary.Uvarint(body)
	if w <= 0 || n > recordEntries {
		return r, errDamaged
	}
	body = body[w:]
	for range n {
		r.log = append(r.log, entry{next(), next()})
	}
	if err == nil && (len(body) != 0 || !r.sane()) {
		err = errDamaged
	}
	return r, err
}

// sane refuses numbers that no writer of ours makes.
func (r *record) sane() bool {
	const most = maxPoints * nano
	ok := r.window > 0 && r.leased <= most && r.heldLeft >= 0 && r.penaltyLeft >= 0 &&
		r.size >= 0 && r.size <= most && r.rate >= 0 && r.rate <= maxPoints*1000 &&
		(!r.known || r.size >= nano && r.rate > 0)
	last := int64(1<<63 - 1)
	for _, e := range r.log {
		ok = ok && e.at >= 0 && e.at <= last && e.points > 0 && e.points <= most
		last = e.at
	}
	return ok
}

// record is the state of s as a restart should find it, with leased points to
// count as spent. Needs s.mu.
func (s *shop) record(leased int64) []byte {
	t := s.last
	r := record{
		window: int64(s.l.opts.Window), leased: leased,
		known: s.bkt.known, size: s.bkt.size, rate: s.bkt.rate,
		held: s.held, heldLeft: max(s.heldEnd-t, 0), penaltyLeft: max(s.penalty-t, 0),
		probeAge: age(t, s.probed), learnedAge: age(t, s.learned),
		wall: s.l.start.wall + t,
	}
	// read after t: a later stamp makes the record look younger, never older
	if boot, up, ok := s.l.opts.Uptime(); ok {
		r.boot, r.up = bootID(boot), int64(up)
	}
	live := s.log.live()
	group := (len(live) + recordEntries - 1) / recordEntries
	for len(live) > 0 {
		n := min(group, len(live))
		e := entry{at: t - live[n-1].at}
		for _, x := range live[:n] {
			e.points += x.points
		}
		if e.at < s.log.span {
			r.log = append(r.log, e)
		}
		live = live[n:]
	}
	return r.encode()
}

// bootID is the boot's name as a number, never 0: 0 is an unknown boot.
func bootID(name string) uint64 {
	h := sha256.Sum256([]byte(name))
	return binary.LittleEndian.Uint64(h[:]) | 1
}

func age(t, at int64) int64 {
	if at == never {
		return -1
	}
	return max(t-at, 0)
}

// load fills a new shop at tick t from disk. What is missing or damaged counts
// as a full spent window. It tells whether the shop has to be noted again as of
// now, so that the next start knows more; that is for the caller to ask, once
// nothing is missing: a record of half a log would grant too much after a crash.
func (s *shop) load(t int64) (note bool) {
	var r record
	err := s.l.db.View(func(tx *bolt.Tx) (err error) {
		r, err = decodeRecord(tx.Bucket(rootBucket).Bucket(shopsBucket).Get([]byte(s.name)))
		return err
	})
	if err != nil {
		s.log.add(t, int64(s.l.opts.Points))
		s.assumed = t + s.log.span
		return true
	}
	gone, known := s.l.elapsed(t, &r)
	s.penalty = t + min(max(r.penaltyLeft-gone, 0), int64(s.l.opts.MaxPenalty))
	s.probed, s.learned = since(t, r.probeAge, gone), since(t, r.learnedAge, gone)
	s.held, s.heldEnd = r.held, t+min(max(r.heldLeft-gone, 0), s.log.span)
	said := ThrottleStatus{MaximumAvailable: float64(r.size) / nano, RestoreRate: float64(r.rate) / 1000}
	if r.known && said.valid() {
		// what was there is unknown: another client may have spent since. But a
		// bucket is never below zero, and the first answer tells the rest
		s.bkt = bucket{known: true, size: r.size, rate: r.rate, at: t}
	}
	if r.window < s.log.span {
		// the log does not reach back far enough
		s.log.add(t, s.budget(t))
		return !known
	}
	for _, e := range r.log {
		if at := t - e.at - gone; at+s.log.span > t {
			s.log.add(at, e.points)
		}
	}
	s.log.add(t, r.leased)
	return !known
}

func since(t, age, gone int64) int64 {
	if age < 0 {
		return never
	}
	return t - age - gone
}

// elapsed is the time since the record was written, never more than really
// passed: by the clock since boot, which nobody sets, and the wall clock,
// whichever says less. After a reboot, and where the boot is unknown, none.
func (l *Limiter) elapsed(t int64, r *record) (gone int64, known bool) {
	if !l.start.ok || r.boot == 0 || bootID(l.start.boot) != r.boot {
		return 0, false
	}
	up := int64(l.start.up) + t
	const far = 1 << 61
	return min(max(min(up-r.up, l.start.wall+t-r.wall), 0), far), true
}
