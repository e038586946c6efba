package state

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
)

// NewerRecord is a record as a newer version would write it.
func NewerRecord(table, key string) []byte {
	raw := append([]byte{boltfile.RecordVersion + 1, 0, 0, 0, 0}, "{}"...)
	whole := append([]byte{raw[0]}, table+"\x00"+key+"\x00{}"...)
	binary.LittleEndian.PutUint32(raw[1:], boltfile.Checksum(whole))
	return raw
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
	s.file.opened.Doubt(errors.New("sync: input/output error"))
	if err := s.RaiseWatermark(1, now); err != nil {
		t.Fatal(err)
	}
	if s.file.opened.DB == old || !s.file.opened.Sound() {
		t.Error("the old file is still in use")
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
			if !errors.Is(err, boltfile.ErrRecord) && !errors.Is(err, boltfile.ErrNewer) {
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
