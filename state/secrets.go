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
	for _, named := range r.secrets() {
		secrets = append(secrets, []byte(named.secret))
	}
	return secrets
}

// namedSecret is a secret and what it is to its shop.
type namedSecret struct{ role, secret string }

// String keeps the plain value out of every message.
func (n namedSecret) String() string { return n.role }

// Roles of secrets; a further one has its own name.
const (
	RoleCurrent  = "current"
	RolePrevious = "previous"
)

func (r credentialRecord) secrets() []namedSecret {
	all := []namedSecret{{RoleCurrent, r.APISecret}, {RolePrevious, r.PreviousSecret}}
	for _, name := range slices.Sorted(maps.Keys(r.Further)) {
		all = append(all, namedSecret{name, r.Further[name]})
	}
	return slices.DeleteFunc(all, func(n namedSecret) bool { return n.secret == "" })
}

// AllActiveSecrets returns the secrets of all shops, each once, current ones
// first: a webhook may be signed with any of them, and which shop it names is
// looked at later. The secrets of shops removed less than KeepRemovedSecrets ago
// are among them. It takes no lock; the result must not be changed.
func (s *Store) AllActiveSecrets() [][]byte { return *s.secrets.Load() }

// refresh makes the list of active secrets anew. s.mu is held.
func (s *Store) refresh() {
	domains := slices.Sorted(maps.Keys(s.credentials.rows))
	if s.env.Declared() {
		domains = slices.Insert(domains, 0, s.env.Domain)
	}
	var current, others [][]byte
	seen := map[string]bool{}
	add := func(list [][]byte, secret string) [][]byte {
		if seen[secret] {
			return list
		}
		seen[secret] = true
		return append(list, []byte(secret))
	}
	for _, first := range []bool{true, false} {
		for _, domain := range domains {
			r, _ := s.effective(domain)
			for _, named := range r.secrets() {
				switch {
				case first && named.role == RoleCurrent:
					current = add(current, named.secret)
				case !first && named.role != RoleCurrent:
					others = add(others, named.secret)
				}
			}
		}
	}
	all := slices.Concat(current, others)
	s.secrets.Store(&all)
}

// useStep is how much newer a use must be to be stored.
const useStep = time.Hour

// NoteSecretUsed notes that a secret has verified a webhook. It is stored at
// most once an hour for each secret, so most calls only look at memory.
func (s *Store) NoteSecretUsed(secret []byte, at time.Time) error {
	key := fingerprint(string(secret))
	s.mu.RLock()
	last := s.uses.rows[key]
	s.mu.RUnlock()
	if at.Sub(last) < useStep {
		return nil
	}
	return s.write(func(b *batch) error {
		if at.Sub(s.uses.rows[key]) >= useStep {
			put(b, s.uses, key, millis(at))
		}
		return nil
	})
}

// SecretUse says when a secret last verified a webhook, to the hour.
type SecretUse struct {
	Role     string    // RoleCurrent, RolePrevious or the name of a further one
	Since    time.Time // for RolePrevious: when it was replaced, else zero
	LastUsed time.Time // zero: never
}

// SecretUses returns the use of each of a shop's secrets.
func (s *Store) SecretUses(domain string) []SecretUse {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, _ := s.effective(domain)
	var uses []SecretUse
	for _, named := range r.secrets() {
		use := SecretUse{Role: named.role, LastUsed: s.uses.rows[fingerprint(named.secret)]}
		if named.role == RolePrevious {
			use.Since = r.ReplacedAt
		}
		uses = append(uses, use)
	}
	return uses
}

// Prune drops the secrets of shops removed KeepRemovedSecrets ago, from the
// file's free pages as well, and the uses of secrets that are gone. Open does it
// too.
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
	active := map[string]bool{}
	for domain := range s.credentials.rows {
		if r := s.shops.rows[domain]; !r.RemovedAt.IsZero() && now.Sub(r.RemovedAt) >= KeepRemovedSecrets {
			drop(b, s.credentials, domain)
			put(b, s.values, eraseKey, []byte(domain))
			continue
		}
		for _, named := range s.credentials.rows[domain].secrets() {
			active[fingerprint(named.secret)] = true
		}
	}
	declared, _ := s.effective(s.env.Domain)
	for _, named := range declared.secrets() {
		active[fingerprint(named.secret)] = true
	}
	for key := range s.uses.rows {
		if !active[key] {
			drop(b, s.uses, key)
		}
	}
}
