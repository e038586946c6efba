package state

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// NewerRecord is a record as a newer version would write it.
func NewerRecord(table, key string) []byte {
	raw := append(make([]byte, recordHeader), "{}"...)
	raw[0] = recordVersion + 1
	binary.LittleEndian.PutUint32(raw[1:], checksum(raw[0], table, key, raw[recordHeader:]))
	return raw
}

func TestARecordIsReadOnlyWhereItWasWritten(t *testing.T) {
	raw, err := encodeRecord("shops", "a", shopRecord{MerchantID: "m"})
	if err != nil {
		t.Fatal(err)
	}
	var r shopRecord
	if err := decodeRecord("shops", "a", raw, &r); err != nil || r.MerchantID != "m" {
		t.Fatalf("got %+v, %v", r, err)
	}
	for _, place := range [][2]string{{"shops", "b"}, {"tokens", "a"}} {
		if err := decodeRecord(place[0], place[1], raw, &r); !errors.Is(err, errDamaged) {
			t.Errorf("read as %v: %v", place, err)
		}
	}
	for i := range raw {
		raw[i] ^= 1
		if err := decodeRecord("shops", "a", raw, &r); !errors.Is(err, errDamaged) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		raw[i] ^= 1
	}
	for n := range raw {
		if err := decodeRecord("shops", "a", raw[:n], &r); !errors.Is(err, errDamaged) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// After a failed sync the disk may hold anything; all of the file is written
// again before the next change is acknowledged.
func TestAfterAFailedSyncTheFileIsWrittenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	now := time.Unix(1_800_000_000, 0)
	s, err := Open(path, now, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddShop("a.myshopify.com", "m", now); err != nil {
		t.Fatal(err)
	}
	old := s.file.opened.DB
	// The change that failed to sync may be in the file all the same.
	if err := s.file.opened.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(rootBucket)).Bucket([]byte("shops")).Delete([]byte("a.myshopify.com"))
	}); err != nil {
		t.Fatal(err)
	}
	s.file.health, s.file.cause = unsynced, errors.New("sync: input/output error")
	if err := s.RaiseWatermark(1, now); err != nil {
		t.Fatal(err)
	}
	if s.file.opened.DB == old || s.file.health != healthy {
		t.Errorf("the old file is still in use, health %d", s.file.health)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, now, Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if shop, known := s.Shop("a.myshopify.com"); !known || shop.MerchantID != "m" || s.Watermark().Seq != 1 {
		t.Errorf("got %+v, %v", shop, known)
	}
}

func FuzzRecord(f *testing.F) {
	raw, _ := encodeRecord("shops", "a", shopRecord{MerchantID: "m"})
	f.Add("a", raw)
	f.Add("a", NewerRecord("shops", "a"))
	f.Fuzz(func(t *testing.T, key string, raw []byte) {
		var r shopRecord
		if err := decodeRecord("shops", key, raw, &r); err != nil {
			if !errors.Is(err, errDamaged) && !errors.Is(err, ErrNewer) {
				t.Fatalf("unknown error %v", err)
			}
			return
		}
		again, err := encodeRecord("shops", key, r)
		if err != nil {
			t.Fatal(err)
		}
		var back shopRecord
		if err := decodeRecord("shops", key, again, &back); err != nil || !reflect.DeepEqual(r, back) {
			t.Fatalf("%+v became %+v, %v", r, back, err)
		}
	})
}
