package boltfile

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A record is one version byte, a CRC-32C of version, table, key and content (4
// bytes, little endian), and the content. bbolt keeps no checksums of its own.
const (
	// RecordVersion is the version of the records that Seal makes. An older
	// Stockroom that finds it in state.db ends before it has changed anything.
	RecordVersion = 2
	recordHeader  = 5
)

var (
	// ErrRecord says that a record is not what was written in its place.
	ErrRecord = errors.New("damaged record")
	// ErrNewer says that a newer Stockroom wrote a record.
	ErrNewer = errors.New("a record of a newer version of Stockroom")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// sealOf is the checksum of a record. No table has a NUL in its name, so that it
// can't run into the key.
func sealOf(version byte, table string, key, content []byte) uint32 {
	place := append(append(make([]byte, 0, 96), version), table...)
	place = append(append(append(place, 0), key...), 0)
	return crc32.Update(Checksum(place), castagnoli, content)
}

// Seal returns the record of a key in a table that holds content.
func Seal(table string, key, content []byte) []byte {
	raw := append(make([]byte, recordHeader, recordHeader+len(content)), content...)
	raw[0] = RecordVersion
	binary.LittleEndian.PutUint32(raw[1:], sealOf(RecordVersion, table, key, content))
	return raw
}

// Unseal returns the content of a record, a part of raw. The error is ErrRecord, or
// ErrNewer for content of a form that may not be known here.
func Unseal(table string, key, raw []byte) (content []byte, err error) {
	if len(raw) < recordHeader {
		return nil, ErrRecord
	}
	version, content := raw[0], raw[recordHeader:]
	if binary.LittleEndian.Uint32(raw[1:]) != sealOf(version, table, key, content) {
		return nil, ErrRecord
	}
	if version > RecordVersion {
		return content, ErrNewer
	}
	return content, nil
}

// unsealOr is Unseal for a table whose records of version 1 had another form: the
// version, the content, and behind them the CRC-32C, in the given order of bytes,
// of place, version and content.
func unsealOr(order binary.ByteOrder, place []byte, table string, key, raw []byte) (content []byte, err error) {
	content, err = Unseal(table, key, raw)
	if err == nil || len(raw) < recordHeader {
		return content, err
	}
	body, sum := raw[:len(raw)-4], order.Uint32(raw[len(raw)-4:])
	if body[0] == 1 && crc32.Update(Checksum(place), castagnoli, body) == sum {
		return body[1:], nil
	}
	return nil, err
}
