package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// A record is one version byte, a CRC-32C of version, table, key and content
// (4 bytes, little endian), and the content as JSON. bbolt has no checksums of
// its own.
const (
	recordVersion = 1
	recordHeader  = 5
)

// errDamaged means that a record is not what was written.
var errDamaged = errors.New("damaged record")

// ErrNewer means that the file was written by a newer Stockroom. Nothing was
// changed.
var ErrNewer = errors.New("state.db was written by a newer version of Stockroom; use that version, or restore a backup of this one")

func checksum(version byte, table, key string, content []byte) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, castagnoli, []byte{version})
	// A table has no NUL in its name, so that it can't run into the key.
	sum = crc32.Update(sum, castagnoli, []byte(table+"\x00"+key+"\x00"))
	return crc32.Update(sum, castagnoli, content)
}

// encodeRecord returns the bytes to store for v.
func encodeRecord(table, key string, v any) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	raw := make([]byte, recordHeader, recordHeader+len(content))
	raw[0] = recordVersion
	binary.LittleEndian.PutUint32(raw[1:], checksum(recordVersion, table, key, content))
	return append(raw, content...), nil
}

// decodeRecord reads what encodeRecord wrote into v, a pointer. The error is
// errDamaged or ErrNewer.
func decodeRecord(table, key string, raw []byte, v any) error {
	if len(raw) < recordHeader {
		return errDamaged
	}
	version, content := raw[0], raw[recordHeader:]
	if binary.LittleEndian.Uint32(raw[1:]) != checksum(version, table, key, content) {
		return errDamaged
	}
	if version > recordVersion {
		return ErrNewer
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}
