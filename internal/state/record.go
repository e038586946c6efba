package state

import (
	"encoding/json"
	"errors"
	"fmt"

	"stockroom/internal/boltfile"
)

// encodeRecord returns the bytes to store for v: a sealed record of JSON.
func encodeRecord(table, key string, v any) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return boltfile.Seal(table, []byte(key), content), nil
}

// decodeRecord reads what encodeRecord wrote into v, a pointer. The error is
// boltfile.ErrRecord or boltfile.ErrNewer.
func decodeRecord(table, key string, raw []byte, v any) error {
	content, err := boltfile.Unseal(table, []byte(key), raw)
	if errors.Is(err, boltfile.ErrNewer) {
		return fmt.Errorf("state.db was %w", err)
	}
	if err == nil && json.Unmarshal(content, v) != nil {
		err = boltfile.ErrRecord
	}
	return err
}
