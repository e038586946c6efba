package state

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"stockroom/internal/config"
)

// Credentials are what a shop's app is known by.
type Credentials struct {
	APIKey    string        // the app's client id, "" with a static token
	APISecret config.Secret // signs webhooks; with APIKey it gets tokens
	// PreviousSecret is the one that APISecret replaced at ReplacedAt. Shopify
	// may sign with it for an hour after the rotation; it verifies webhooks until
	// it is taken out.
	PreviousSecret config.Secret
	ReplacedAt     time.Time
	// Further secrets verify webhooks too, by name, such as the shop's own one
	// that signs notifications.
	Further     map[string]config.Secret
	AccessToken config.Secret // does not end; unset: tokens are asked for
	// Consented is when the shop's owner let the app in, so that AccessToken is the app's;
	// zero for a token that a person gave.
	Consented time.Time
}

// NotificationSecret is the name in Credentials.Further of the shop's own
// secret, which signs webhooks made under Settings, Notifications.
const NotificationSecret = "notifications"

// credentialRecord is the stored form: the one place where secrets are plain.
type credentialRecord struct {
	APIKey         string            `json:"api_key,omitempty"`
	APISecret      string            `json:"api_secret,omitempty"`
	PreviousSecret string            `json:"previous_secret,omitempty"`
	ReplacedAt     time.Time         `json:"replaced_at,omitzero"`
	Further        map[string]string `json:"further,omitempty"`
	AccessToken    string            `json:"access_token,omitempty"`
	Consented      time.Time         `json:"consented,omitzero"`
}

func (c Credentials) record() credentialRecord {
	r := credentialRecord{
		APIKey: c.APIKey, APISecret: c.APISecret.Reveal(), PreviousSecret: c.PreviousSecret.Reveal(),
		ReplacedAt: millis(c.ReplacedAt), AccessToken: c.AccessToken.Reveal(), Consented: millis(c.Consented),
	}
	for name, secret := range c.Further {
		if r.Further == nil {
			r.Further = map[string]string{}
		}
		r.Further[name] = secret.Reveal()
	}
	return r
}

func (r credentialRecord) credentials() Credentials {
	c := Credentials{
		APIKey: r.APIKey, APISecret: config.NewSecret(r.APISecret), PreviousSecret: config.NewSecret(r.PreviousSecret),
		ReplacedAt: r.ReplacedAt, AccessToken: config.NewSecret(r.AccessToken), Consented: r.Consented, Further: map[string]config.Secret{},
	}
	for name, secret := range r.Further {
		c.Further[name] = config.NewSecret(secret)
	}
	return c
}

// String keeps the plain values out of every message.
func (r credentialRecord) String() string { return "credentials" }

// GoString is String for %#v.
func (r credentialRecord) GoString() string { return r.String() }

// SetCredentials stores a shop's credentials in place of the old ones. A cached
// token of other credentials is dropped.
func (s *Store) SetCredentials(domain string, c Credentials) error {
	return s.write(func(b *batch) error {
		if domain == s.env.Domain {
			return ErrDeclared
		}
		if err := s.connected(domain); err != nil {
			return err
		}
		r := c.record()
		put(b, s.credentials, domain, r)
		if t, there := s.tokens.rows[domain]; there && t.For != r.fingerprint() {
			drop(b, s.tokens, domain)
		}
		return nil
	})
}

// Credentials returns a connected shop's credentials; those that the
// environment declares replace what is stored. False: none are known.
func (s *Store) Credentials(domain string) (Credentials, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, connected := s.shop(domain); !connected {
		return Credentials{}, false
	}
	r, there := s.effective(domain)
	return r.credentials(), there
}

// KeptCredentials is Credentials, of a removed shop too: who connects it again
// need not give them again.
func (s *Store) KeptCredentials(domain string) Credentials {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, _ := s.effective(domain)
	return r.credentials()
}

// effective returns the credentials in force, of removed shops too.
func (s *Store) effective(domain string) (credentialRecord, bool) {
	if !s.env.Declared() || domain != s.env.Domain {
		r, there := s.credentials.rows[domain]
		return r, there
	}
	r := credentialRecord{
		APIKey: s.env.APIKey, APISecret: s.env.APISecret.Reveal(), PreviousSecret: s.env.APISecretPrevious.Reveal(),
		AccessToken: s.env.AccessToken.Reveal(),
	}
	if s.env.NotificationSecret.IsSet() {
		r.Further = map[string]string{NotificationSecret: s.env.NotificationSecret.Reveal()}
	}
	return r, true
}

// fingerprint tells the credentials that a token was asked for with.
func (r credentialRecord) fingerprint() string { return fingerprint(r.APIKey + "\x00" + r.APISecret) }

func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
