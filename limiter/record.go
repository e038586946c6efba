package limiter

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/internal/uptime"
)

// Buckets: limiter/shops holds one record per shop, limiter/costs one per query.
var (
	rootBucket  = []byte("limiter")
	shopsBucket = []byte("shops")
	costsBucket = []byte("costs")
)

// recordEntries is how coarse the log on disk is, rounded to later.
const recordEntries = 32

// A record is a shop as a restart should find it. It is sealed (boltfile.Seal) under
// the shop's name in the table "limiter". Times in it are ages against the moment
// of writing.
type record struct {
	window               int64          // ns
	written              uptime.Reading // the moment of writing
	leased               int64          // points to count as spent at a restart
	known                bool
	size, rate           int64 // of the bucket
	held, heldLeft       int64 // points; ns
	penaltyLeft          int64 // ns
	probeAge, learnedAge int64 // ns, -1 for never
	log                  []entry
}

func (r *record) fields(f *boltfile.Fields) {
	f.Bool(&r.known)
	var boot [8]byte
	binary.LittleEndian.PutUint64(boot[:], r.written.Boot)
	f.Raw(boot[:])
	r.written.Boot = binary.LittleEndian.Uint64(boot[:])
	for _, v := range [...]*int64{&r.window, &r.written.Up, &r.written.Wall, &r.leased, &r.size, &r.rate,
		&r.held, &r.heldLeft, &r.penaltyLeft, &r.probeAge, &r.learnedAge} {
		f.Int(v)
	}
	n := uint64(len(r.log))
	if f.Uint(&n, recordEntries); r.log == nil { // it is read
		r.log = make([]entry, n)
	}
	for i := range r.log {
		f.Int(&r.log[i].at) // age
		f.Int(&r.log[i].points)
	}
}

func (r *record) encode(shop string) []byte {
	return boltfile.SealFields("limiter", []byte(shop), r.fields)
}

func decodeRecord(shop string, b []byte) (r record, err error) {
	err = boltfile.UnsealFields(binary.LittleEndian, nil, "limiter", []byte(shop), b, func(f *boltfile.Fields) {
		if r.fields(f); !r.sane() {
			f.Refuse()
		}
	})
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
// count as spent, written now.
func (s *shop) record(leased int, now uptime.Reading) []byte {
	t := s.last
	r := record{
		window: int64(s.l.opts.Window), leased: int64(leased),
		known: s.bkt.known, size: s.bkt.size, rate: s.bkt.rate,
		held: s.held, heldLeft: max(s.heldEnd-t, 0), penaltyLeft: max(s.penalty-t, 0),
		probeAge: age(t, s.probed), learnedAge: age(t, s.learned),
		written: now,
	}
	r.written.Wall = s.l.start.Wall + t
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
	return r.encode(s.name)
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
		r, err = decodeRecord(s.name, tx.Bucket(rootBucket).Bucket(shopsBucket).Get([]byte(s.name)))
		return err
	})
	if err != nil {
		s.log.add(t, int64(s.l.opts.Points))
		s.assumed = t + s.log.span
		return true
	}
	gone, known := uptime.Reading{Boot: s.l.start.Boot, Up: s.l.start.Up + t, Wall: s.l.start.Wall + t}.Since(r.written)
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
		s.log.add(t, int64(s.budget(t)))
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
