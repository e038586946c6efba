package state

import (
	"maps"
	"slices"
)

// Removed returns the shops that were connected once and are not any more, by
// domain.
func (s *Store) Removed() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var domains []string
	for _, domain := range slices.Sorted(maps.Keys(s.shops.rows)) {
		if _, connected := s.shop(domain); !connected {
			domains = append(domains, domain)
		}
	}
	return domains
}
