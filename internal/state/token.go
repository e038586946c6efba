package state

import (
	"slices"
	"time"

	"stockroom/internal/config"
)

// Token is an access token that Shopify gave for the client id and secret.
type Token struct {
	Value      config.Secret
	Scopes     []string
	ObtainedAt time.Time
	ExpiresAt  time.Time
}

type tokenRecord struct {
	Value      string    `json:"value"`
	Scopes     []string  `json:"scopes,omitempty"`
	ObtainedAt time.Time `json:"obtained_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	For        string    `json:"for"` // fingerprint of the credentials
}

// String keeps the plain value out of every message.
func (r tokenRecord) String() string { return "token" }

// GoString is String for %#v.
func (r tokenRecord) GoString() string { return r.String() }

// SetToken stores a token for a shop.
func (s *Store) SetToken(domain string, t Token) error {
	return s.write(func(b *batch) error {
		if err := s.connected(domain); err != nil {
			return err
		}
		r, _ := s.effective(domain)
		put(b, s.tokens, domain, tokenRecord{t.Value.Reveal(), slices.Clone(t.Scopes), millis(t.ObtainedAt), millis(t.ExpiresAt), r.fingerprint()})
		return nil
	})
}

// Token returns a shop's token, unless it has expired at now or was given for
// other credentials than those in force.
func (s *Store) Token(domain string, now time.Time) (Token, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, there := s.tokens.rows[domain]
	r, _ := s.effective(domain)
	if !there || t.For != r.fingerprint() || !now.Before(t.ExpiresAt) {
		return Token{}, false
	}
	return Token{config.NewSecret(t.Value), slices.Clone(t.Scopes), t.ObtainedAt, t.ExpiresAt}, true
}

// DropToken forgets a shop's token, for example after Shopify refused it.
func (s *Store) DropToken(domain string) error {
	return s.write(func(b *batch) error {
		drop(b, s.tokens, domain)
		return nil
	})
}
