package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestARecordIsReadOnlyWhereItWasWritten(t *testing.T) {
	key := []byte("a")
	raw := Seal("shops", key, []byte("content"))
	if content, err := Unseal("shops", key, raw); err != nil || string(content) != "content" {
		t.Fatalf("got %q, %v", content, err)
	}
	for _, place := range [][2]string{{"shops", "b"}, {"tokens", "a"}} {
		if _, err := Unseal(place[0], []byte(place[1]), raw); !errors.Is(err, ErrRecord) {
			t.Errorf("read as %v: %v", place, err)
		}
	}
	for bit := range 8 * len(raw) {
		raw[bit/8] ^= 1 << (bit % 8)
		if _, err := Unseal("shops", key, raw); !errors.Is(err, ErrRecord) {
			t.Errorf("bit %d flipped: %v", bit, err)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
	for n := range raw {
		if _, err := Unseal("shops", key, raw[:n]); !errors.Is(err, ErrRecord) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// The form on disk is fixed.
func TestARecordHasAFixedForm(t *testing.T) {
	raw := Seal("shops", []byte("a"), []byte("{}"))
	if want := []byte("\x02L\xa1\x1a\x86{}"); !bytes.Equal(raw, want) {
		t.Errorf("%q, want %q", raw, want)
	}
	newer := bytes.Clone(raw)
	newer[0]++
	binary.LittleEndian.PutUint32(newer[1:], Checksum([]byte("\x03shops\x00a\x00{}")))
	if _, err := Unseal("shops", []byte("a"), newer); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer record: %v", err)
	}
}

// The form that some tables had before is read, and told from a damaged record.
func TestARecordOfTheOldFormIsRead(t *testing.T) {
	body := []byte("\x01content")
	old := binary.BigEndian.AppendUint32(bytes.Clone(body), Checksum([]byte("place"+string(body))))
	read := func(place string, raw []byte) (string, error) {
		content, err := unsealOr(binary.BigEndian, []byte(place), "jobs", []byte("a"), raw)
		return string(content), err
	}
	if content, err := read("place", old); err != nil || content != "content" {
		t.Errorf("got %q, %v", content, err)
	}
	if _, err := read("other", old); !errors.Is(err, ErrRecord) {
		t.Errorf("in another place: %v", err)
	}
	for bit := range 8 * len(old) {
		old[bit/8] ^= 1 << (bit % 8)
		if _, err := read("place", old); !errors.Is(err, ErrRecord) {
			t.Errorf("bit %d flipped: %v", bit, err)
		}
		old[bit/8] ^= 1 << (bit % 8)
	}
	for n := range old {
		if _, err := read("place", old[:n]); !errors.Is(err, ErrRecord) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if content, err := read("place", Seal("jobs", []byte("a"), []byte("new"))); err != nil || content != "new" {
		t.Errorf("of the form of today: %q, %v", content, err)
	}
}

// FuzzUnseal gives both forms any bytes.
func FuzzUnseal(f *testing.F) {
	f.Add("a", Seal("shops", []byte("a"), []byte("content")))
	f.Add("", []byte("\x01content"))
	f.Fuzz(func(t *testing.T, key string, raw []byte) {
		content, err := unsealOr(binary.LittleEndian, nil, "shops", []byte(key), raw)
		if err != nil {
			return
		}
		again, err := Unseal("shops", []byte(key), Seal("shops", []byte(key), content))
		if err != nil || !bytes.Equal(again, content) {
			t.Errorf("%q became %q, %v", content, again, err)
		}
	})
}

// all holds a field of each kind.
type all struct {
	B      byte
	Yes    bool
	U      uint64
	N, I   int64
	Four   [4]byte
	Text   string
	Labels map[string]string
	Rest   string
}

func (a *all) fields(f *Fields) {
	f.Byte(&a.B, 9)
	f.Bool(&a.Yes)
	f.Uint(&a.U, 1<<40)
	f.Count(&a.N)
	f.Int(&a.I)
	f.Raw(a.Four[:])
	f.Text(&a.Text, 20)
	f.Labels(&a.Labels, 3, 5)
	f.Rest(&a.Rest)
}

func TestFieldsAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		short := rapid.StringN(0, 5, 5)
		want := all{
			B: rapid.ByteRange(0, 9).Draw(t, "byte"), Yes: rapid.Bool().Draw(t, "bool"), U: rapid.Uint64Range(0, 1<<40).Draw(t, "uint"),
			N: rapid.Int64Range(0, math.MaxInt64).Draw(t, "count"), I: rapid.Int64().Draw(t, "int"),
			Four: [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "raw")), Text: rapid.StringN(0, 20, 20).Draw(t, "text"),
			Labels: rapid.MapOfN(short, short, 0, 3).Draw(t, "labels"), Rest: rapid.String().Draw(t, "rest"),
		}
		out := &Fields{}
		want.fields(out)
		var got all
		in := &Fields{b: out.b, reading: true}
		got.fields(in)
		if err := in.err(); err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		whole := out.b[:len(out.b)-len(want.Rest)]
		in = &Fields{b: whole[:rapid.IntRange(0, len(whole)-1).Draw(t, "cut")], reading: true}
		got.fields(in)
		if in.err() == nil {
			t.Error("fields that were cut were read")
		}
	})
}

func TestFieldsBeyondTheirLimitsAreRefused(t *testing.T) {
	many := map[string]string{"1": "", "2": "", "3": "", "4": ""}
	long := map[string]string{"123456": ""}
	for name, write := range map[string]func(f *Fields){
		"a byte":               func(f *Fields) { f.Byte(&[]byte{10}[0], 10) },
		"a bool":               func(f *Fields) { f.Byte(&[]byte{2}[0], 2) },
		"a number":             func(f *Fields) { f.Uint(&[]uint64{1<<40 + 1}[0], math.MaxUint64) },
		"a negative count":     func(f *Fields) { f.Uint(&[]uint64{1 << 63}[0], math.MaxUint64) },
		"a number of 11 bytes": func(f *Fields) { f.Raw(bytes.Repeat([]byte{0xff}, 11)) },
		"a text":               func(f *Fields) { f.Text(&[]string{"twenty-one characters"}[0], 99) },
		"labels":               func(f *Fields) { f.Labels(&many, 9, 9) },
		"a long label":         func(f *Fields) { f.Labels(&long, 9, 9) },
		"more than there is":   func(f *Fields) {},
	} {
		out := &Fields{}
		write(out)
		in := &Fields{b: out.b, reading: true}
		var a all
		switch name {
		case "a byte":
			in.Byte(&a.B, 9)
		case "a bool":
			in.Bool(&a.Yes)
		case "a number", "a number of 11 bytes":
			in.Uint(&a.U, 1<<40)
		case "a negative count":
			in.Count(&a.N)
		case "a text", "more than there is":
			in.Text(&a.Text, 20)
		default:
			in.Labels(&a.Labels, 3, 5)
		}
		if in.err() == nil {
			t.Errorf("%s beyond its limit was read as %+v", name, a)
		}
	}
}
