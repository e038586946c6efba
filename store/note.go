package store

import (
	"context"
	"errors"
)

const selectNote = `SELECT value FROM meta WHERE key = 'note'`

// Note keeps a small text of the caller's in the file. A *folder.NewerError has it.
func (s *Store) Note(ctx context.Context, text string) error {
	return s.write(ctx, s.urgent, 1, func(t *tx) error {
		return t.do("note",
			`INSERT INTO meta (key, value) VALUES ('note', ?1) ON CONFLICT DO UPDATE SET value = ?1`, text)
	})
}

// Noted returns what Note kept last, "" for nothing.
func (s *Store) Noted(ctx context.Context) (string, error) {
	text, err := queryOne(ctx, s, func(scan func(...any) error) (text string, err error) {
		return text, scan(&text)
	}, selectNote)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return text, err
}

// NumberFrom has the change feed go on above seq: so far it had come before an older
// copy took the file's place.
func (s *Store) NumberFrom(ctx context.Context, seq int64) error {
	return s.write(ctx, s.urgent, 1, func(t *tx) error {
		t.seq = max(t.seq, seq)
		return nil
	})
}
