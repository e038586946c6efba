package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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

// ForgetShop drops all that is kept of a removed shop at once, and erases it from
// the file: a purge and shop/redact ask for that. That the shop was here stays
// known.
func (s *Store) ForgetShop(domain string) error {
	err := s.write(func(b *batch) error {
		if r, there := s.shops.rows[domain]; !there || r.RemovedAt.IsZero() {
			return fmt.Errorf("%s: %w", domain, ErrUnknownShop)
		}
		drop(b, s.credentials, domain)
		drop(b, s.conditions, domain)
		s.dropContents(b, domain)
		for key := range s.values.rows {
			if strings.Contains(key+"/", "/"+domain+"/") {
				drop(b, s.values, key)
			}
		}
		put(b, s.values, eraseKey, []byte(domain))
		return nil
	})
	if err != nil {
		return err
	}
	return s.Prune(time.Now()) // what is left of it in the file
}

// eraseKey is the value that says that the file may still hold dropped secrets in
// free pages. It is stored with the change that drops them and goes when the file
// was written again, so a crash in between loses nothing: Open does the rest.
const eraseKey = "erase/file"

// erase puts a new file in the old one's place when that is owed. The new one
// holds no page of the old one that was free.
func (s *Store) erase() error {
	if _, owed := row(s, s.values, eraseKey); !owed {
		return nil
	}
	if err := s.file.rewrite(); err != nil {
		return fmt.Errorf("erase dropped secrets: %w", err)
	}
	return s.write(func(b *batch) error {
		drop(b, s.values, eraseKey)
		return nil
	})
}
