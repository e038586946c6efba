package queue

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stockroom/internal/boltfile"
)

func drawRecord(t *rapid.T) record {
	text := rapid.StringN(0, 30, MaxLabel)
	number := rapid.Uint64Range(0, 1<<31-1)
	ns := rapid.Int64Range(0, never)
	return record{
		id:       rapid.Uint64().Draw(t, "id"),
		state:    rapid.SampledFrom([]State{Waiting, Leased, Dead}).Draw(t, "state"),
		delayed:  rapid.Bool().Draw(t, "delayed"),
		class:    rapid.SampledFrom(classes[:]).Draw(t, "class"),
		attempts: number.Draw(t, "attempts"), snoozes: number.Draw(t, "snoozes"), reclaims: number.Draw(t, "reclaims"),
		coalesced: number.Draw(t, "coalesced"), redrives: number.Draw(t, "redrives"),
		enqueuedAt: ns.Draw(t, "enqueued"), setAt: ns.Draw(t, "set"), dueAt: ns.Draw(t, "due"),
		firstAt: ns.Draw(t, "first"), lastAt: ns.Draw(t, "last"), diedAt: ns.Draw(t, "died"), retriedAt: ns.Draw(t, "retried"),
		size: rapid.Uint64Range(0, MaxPayload).Draw(t, "size"), sum: rapid.Uint32().Draw(t, "sum"),
		kind: rapid.StringMatching(`[a-z.]{1,64}`).Draw(t, "kind"), key: rapid.StringMatching(`[ -~]{0,100}`).Draw(t, "key"),
		reason: text.Draw(t, "reason"), firstError: text.Draw(t, "first error"), lastError: text.Draw(t, "last error"),
		labels: rapid.MapOfN(text, text, 0, MaxLabels).Draw(t, "labels"),
	}
}

func TestRecordReadsBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecord(t)
		got, err := decodeRecord(want.id, want.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(record{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestRecordWithAnyBitFlippedOrUnderAnotherIdIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		b := r.encode()
		bit := rapid.IntRange(0, 8*len(b)-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeRecord(r.id, b); err == nil {
			t.Fatal("a flipped bit went unnoticed")
		}
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeRecord(r.id+1, b); err == nil {
			t.Fatal("another id went unnoticed")
		}
		if _, err := decodeRecord(r.id, b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a cut went unnoticed")
		}
	})
}

// inOldForm is a record as version 1 wrote it.
func inOldForm(id uint64, body []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(body), boltfile.Checksum(append(idKey(id), body...)))
}

// FuzzRecord gives the decoder bodies behind a checksum that fits, in both forms.
func FuzzRecord(f *testing.F) {
	f.Add([]byte{})
	r := record{id: 1, state: Waiting, kind: "fetch", key: "p1", labels: map[string]string{"shop": "a"}}
	content, err := boltfile.Unseal(recordTable, idKey(1), r.encode())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte{1}, content...))
	f.Fuzz(func(t *testing.T, body []byte) {
		old, err := decodeRecord(7, inOldForm(7, body))
		if len(body) == 0 || body[0] != 1 {
			if err == nil {
				t.Error("a record of no version was read")
			}
			return
		}
		r, newErr := decodeRecord(7, boltfile.Seal(recordTable, idKey(7), body[1:]))
		if (err == nil) != (newErr == nil) {
			t.Errorf("the old form: %v, the new one: %v", err, newErr)
		}
		if err != nil {
			return
		}
		if len(r.labels) > MaxLabels || r.kind == "" || len(r.kind) > MaxKind {
			t.Errorf("decoded beyond the limits: %+v", r)
		}
		again, err := decodeRecord(7, r.encode())
		if err != nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
		for _, other := range []record{old, again} {
			if diff := gocmp.Diff(r, other, gocmp.AllowUnexported(record{}), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// The layout of each version on disk is fixed: a file written today must be read by
// every later version.
func TestRecordOfEachVersionIsReadForEver(t *testing.T) {
	want := record{
		id: 42, state: Dead, delayed: true, class: ClassUpstream, attempts: 5, snoozes: 2, reclaims: 1, coalesced: 3, redrives: 1,
		enqueuedAt: stamp(start), setAt: stamp(start), firstAt: stamp(start.Add(time.Minute)), lastAt: stamp(start.Add(time.Hour)),
		diedAt: stamp(start.Add(time.Hour)), retriedAt: stamp(start), size: 3, sum: boltfile.Checksum([]byte("abc")),
		kind: "fetch", key: "gid://1", reason: "", firstError: "timeout", lastError: "503", labels: map[string]string{"shop": "a.myshopify.com", "topic": "products/update"},
	}
	for _, name := range []string{"record-v1.txt", "record-v2.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatalf("%v; today it would be %q", err, want.encode())
		}
		stored, err := strconv.Unquote(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(42, []byte(stored))
		if err != nil {
			t.Fatalf("%s: %v; today it would be %q", name, err, want.encode())
		}
		if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(record{})); diff != "" {
			t.Error(name, diff)
		}
	}
}

func TestStampKeepsEveryInstantInRange(t *testing.T) {
	for _, c := range []struct {
		name string
		in   time.Time
		want int64
	}{
		{"never", time.Time{}, 0},
		{"before 1970", time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), 1},
		{"the first instant of 1970", time.Unix(0, 0), 1},
		{"beyond 2262", time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), never},
		{"now", start, start.UnixNano()},
	} {
		if got := stamp(c.in); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestClipCutsBetweenRunesAndMendsBadText(t *testing.T) {
	for _, in := range []string{strings.Repeat("ä", maxText), "x" + strings.Repeat("ä", maxText), "a\xffb", strings.Repeat("\xff", 2*maxText), ""} {
		got := Clip(in, maxText)
		if !utf8.ValidString(got) || len(got) > maxText || len(in) > 0 && got == "" {
			t.Errorf("clip of %d bytes: %d bytes, valid %v", len(in), len(got), utf8.ValidString(got))
		}
	}
}
