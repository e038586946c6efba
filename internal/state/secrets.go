package state

import (
	"maps"
	"slices"
	"time"
)

// Secrets returns the secrets that verify a shop's webhooks, the current one
// first: current, previous, further ones by name. It is empty when none are
// known. The result must not be changed.
func (s *Store) Secrets(domain string) [][]byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, _ := s.effective(domain)
	var secrets [][]byte
	add := func(secret string) {
		if secret != "" {
			secrets = append(secrets, []byte(secret))
		}
	}
	add(r.APISecret)
	add(r.PreviousSecret)
	for _, name := range slices.Sorted(maps.Keys(r.Further)) {
		add(r.Further[name])
	}
	return secrets
}

// Prune drops the secrets of shops removed KeepRemovedSecrets ago, from the
// file's free pages as well. Open does it too.
func (s *Store) Prune(now time.Time) error {
	err := s.write(func(b *batch) error {
		s.prune(b, now)
		return nil
	})
	if err != nil {
		return err
	}
	return s.erase()
}

func (s *Store) prune(b *batch, now time.Time) {
	for domain := range s.credentials.rows {
		if r := s.shops.rows[domain]; !r.RemovedAt.IsZero() && now.Sub(r.RemovedAt) >= KeepRemovedSecrets {
			drop(b, s.credentials, domain)
			put(b, s.values, eraseKey, []byte(domain))
		}
	}
}
