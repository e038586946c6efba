package queue

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"stockroom/internal/boltfile"
)

// A record is sealed (boltfile.Seal) under its id in the table "jobs". Its fields:
//
//	state, flags, class              one byte each
//	attempts, snoozes, reclaims, coalesced, redrives          uvarint
//	enqueued, set, due, first, last, died, retried            uvarint, ns since 1970
//	payload length uvarint, CRC-32C of the payload            4 bytes
//	kind, key, reason, first error, last error                uvarint length, bytes
//	number of labels uvarint, then name and value of each, sorted by name
const recordTable = "jobs"

// record is a job as it is stored. Times are nanoseconds since 1970, 0 for never.
type record struct {
	id                                               uint64
	state                                            State
	delayed                                          bool // a try failed before it came here
	class                                            Class
	attempts, snoozes, reclaims, coalesced, redrives uint64
	enqueuedAt                                       int64
	setAt, dueAt                                     int64 // when the present wait was set, and when it ends
	firstAt, lastAt, diedAt, retriedAt               int64
	size                                             uint64 // of the payload
	sum                                              uint32 // of the payload
	kind, key, reason, firstError, lastError         string
	labels                                           map[string]string
}

// snoozed reports whether the job waits because a handler put it back.
func (r *record) snoozed() bool { return r.state == Waiting && r.reason != "" }

// unwell reports whether a try of a job that is still to be done failed.
func (r *record) unwell() bool { return r.state != Dead && r.lastError != "" }

// failures is the number of tries in a row that have failed, wherever they ran.
func (r *record) failures() int {
	n := int(r.attempts)
	if r.delayed {
		n++
	}
	return n
}

func (r *record) setPayload(p []byte) {
	r.size, r.sum = uint64(len(p)), boltfile.Checksum(p)
}

func (r *record) payloadFits(p []byte) bool {
	return uint64(len(p)) == r.size && boltfile.Checksum(p) == r.sum
}

// states are the states by their number on disk.
var states = [...]State{1: Waiting, 2: Leased, 3: Dead}

func (r *record) fields(f *boltfile.Fields) {
	state, class := byte(slices.Index(states[:], r.state)), r.class.number()
	f.Byte(&state, byte(len(states)-1))
	f.Bool(&r.delayed)
	f.Byte(&class, byte(len(classes)-1))
	r.state, r.class = states[state], classes[class]
	for _, v := range [...]*uint64{&r.attempts, &r.snoozes, &r.reclaims, &r.coalesced, &r.redrives} {
		f.Uint(v, math.MaxInt32)
	}
	for _, v := range [...]*int64{&r.enqueuedAt, &r.setAt, &r.dueAt, &r.firstAt, &r.lastAt, &r.diedAt, &r.retriedAt} {
		f.Count(v)
	}
	f.Uint(&r.size, MaxPayload)
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], r.sum)
	f.Raw(sum[:])
	r.sum = binary.BigEndian.Uint32(sum[:])
	for _, v := range [...]*string{&r.kind, &r.key, &r.reason, &r.firstError, &r.lastError} {
		f.Text(v, math.MaxInt32)
	}
	f.Labels(&r.labels, MaxLabels, MaxLabel)
}

func (r *record) encode() []byte {
	return boltfile.SealFields(recordTable, idKey(r.id), r.fields)
}

// decodeRecord reads a record; nothing in it refers to b afterwards. The error
// says that it can't be understood; the bytes tell no more.
func decodeRecord(id uint64, b []byte) (r record, err error) {
	r.id = id
	key := idKey(id)
	err = boltfile.UnsealFields(binary.BigEndian, key, recordTable, key, b, func(f *boltfile.Fields) {
		r.fields(f)
		if r.state == "" || r.kind == "" || len(r.kind) > MaxKind || len(r.key) > MaxKey ||
			strings.IndexByte(r.kind, 0) >= 0 || strings.IndexByte(r.key, 0) >= 0 {
			f.Refuse()
		}
	})
	return r, err
}

// stamp is the stored form of an instant; times outside of 1970 to 2262 are
// moved to the nearest end.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	switch s := t.Unix(); {
	case s < 0:
		return 1
	case s > math.MaxInt64/int64(time.Second)-1:
		return math.MaxInt64
	}
	return max(1, t.UnixNano())
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Clip keeps a text valid UTF-8 and at most that many bytes long.
func Clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

func (r *record) job(maxAttempts int) Job {
	return Job{
		ID: r.id, Kind: r.kind, Key: r.key, Labels: r.labels, PayloadBytes: int(r.size), State: r.state,
		Attempts: int(r.attempts), MaxAttempts: maxAttempts, Snoozes: int(r.snoozes), Reclaims: int(r.reclaims),
		Coalesced: int(r.coalesced), Redrives: int(r.redrives),
		EnqueuedAt: instant(r.enqueuedAt), DueAt: instant(r.dueAt), FirstAttemptAt: instant(r.firstAt),
		LastAttemptAt: instant(r.lastAt), DiedAt: instant(r.diedAt), RetriedAt: instant(r.retriedAt),
		Reason: r.reason, FirstError: r.firstError, LastError: r.lastError, Class: r.class,
	}
}
