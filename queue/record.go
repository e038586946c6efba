package queue

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// recordVersion is the first byte of a record. Version 1:
//
//	version, state, flags, class     one byte each
//	attempts, snoozes, reclaims, coalesced, redrives          uvarint
//	enqueued, set, due, first, last, died, retried            uvarint, ns since 1970
//	payload length uvarint, CRC-32C of the payload            4 bytes
//	kind, key, reason, first error, last error                uvarint length, bytes
//	number of labels uvarint, then name and value of each, sorted by name
//	CRC-32C of the id (8 bytes) and all of the above          4 bytes
const recordVersion = 1

const flagDelayed = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

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

// failures is the number of tries in a row that have failed, wherever they ran.
func (r *record) failures() int {
	n := int(r.attempts)
	if r.delayed {
		n++
	}
	return n
}

func (r *record) setPayload(p []byte) {
	r.size, r.sum = uint64(len(p)), crc32.Checksum(p, castagnoli)
}

func (r *record) payloadFits(p []byte) bool {
	return uint64(len(p)) == r.size && crc32.Checksum(p, castagnoli) == r.sum
}

var stateNumbers = [...]State{1: Waiting, 2: Leased, 3: Dead}

func (r *record) encode() []byte {
	n := 128 + len(r.kind) + len(r.key) + len(r.reason) + len(r.firstError) + len(r.lastError)
	for k, v := range r.labels {
		n += len(k) + len(v) + 4
	}
	b := make([]byte, 0, n)
	flags := byte(0)
	if r.delayed {
		flags |= flagDelayed
	}
	b = append(b, recordVersion, byte(slices.Index(stateNumbers[:], r.state)), flags, r.class.number())
	for _, v := range [...]uint64{r.attempts, r.snoozes, r.reclaims, r.coalesced, r.redrives} {
		b = binary.AppendUvarint(b, v)
	}
	for _, v := range [...]int64{r.enqueuedAt, r.setAt, r.dueAt, r.firstAt, r.lastAt, r.diedAt, r.retriedAt} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	b = binary.AppendUvarint(b, r.size)
	b = binary.BigEndian.AppendUint32(b, r.sum)
	for _, s := range [...]string{r.kind, r.key, r.reason, r.firstError, r.lastError} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(r.labels)))
	for _, k := range slices.Sorted(maps.Keys(r.labels)) {
		b = appendString(appendString(b, k), r.labels[k])
	}
	return binary.BigEndian.AppendUint32(b, recordSum(r.id, b))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func recordSum(id uint64, body []byte) uint32 {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], id)
	return crc32.Update(crc32.Checksum(key[:], castagnoli), castagnoli, body)
}

// errRecord says that a record can't be understood; the bytes tell no more.
var errRecord = errors.New("record can't be understood")

// decodeRecord reads a record; nothing in it refers to b afterwards.
func decodeRecord(id uint64, b []byte) (record, error) {
	if len(b) < 4 {
		return record{}, errRecord
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if recordSum(id, body) != sum {
		return record{}, errRecord
	}
	return decodeBody(id, body)
}

func decodeBody(id uint64, b []byte) (record, error) {
	if len(b) < 4 || b[0] != recordVersion || int(b[1]) >= len(stateNumbers) || b[1] == 0 || int(b[3]) >= len(classes) {
		return record{}, errRecord
	}
	r := record{id: id, state: stateNumbers[b[1]], delayed: b[2]&flagDelayed != 0, class: classes[b[3]]}
	in := reader{b: b[4:]}
	for _, p := range [...]*uint64{&r.attempts, &r.snoozes, &r.reclaims, &r.coalesced, &r.redrives} {
		*p = in.number(math.MaxInt32)
	}
	for _, p := range [...]*int64{&r.enqueuedAt, &r.setAt, &r.dueAt, &r.firstAt, &r.lastAt, &r.diedAt, &r.retriedAt} {
		*p = int64(in.number(math.MaxInt64))
	}
	r.size = in.number(MaxPayload)
	if sum := in.take(4); sum != nil {
		r.sum = binary.BigEndian.Uint32(sum)
	}
	for _, p := range [...]*string{&r.kind, &r.key, &r.reason, &r.firstError, &r.lastError} {
		*p = string(in.take(in.number(math.MaxInt32)))
	}
	if n := in.number(MaxLabels); n > 0 {
		r.labels = make(map[string]string, n)
		for range n {
			k := string(in.take(in.number(MaxLabel)))
			r.labels[k] = string(in.take(in.number(MaxLabel)))
		}
	}
	bad := in.bad || len(in.b) > 0 || r.kind == "" ||
		strings.IndexByte(r.kind, 0) >= 0 || strings.IndexByte(r.key, 0) >= 0 || len(r.kind) > MaxKind || len(r.key) > MaxKey
	if bad {
		return record{}, errRecord
	}
	return r, nil
}

// reader takes values from the front of b; bad is set when one is not there or
// too large.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number(limit uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > limit {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
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

// clip keeps a text short and valid UTF-8.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
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
