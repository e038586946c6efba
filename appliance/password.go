package appliance

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// password verifies the admin password. Only its argon2id hash is kept
// (RFC 9106, second recommended option: 3 passes, 64 MiB, 4 lanes); the last
// right answer is remembered by a digest, so that a page with ten requests does
// not hash ten times.
type password struct {
	salt, hash []byte
	key        []byte
	seen       atomic.Pointer[[sha256.Size]byte]
}

func newPassword(text string) *password {
	p := &password{salt: make([]byte, 16), key: make([]byte, 32)}
	rand.Read(p.salt) // never fails (crypto/rand)
	rand.Read(p.key)
	p.hash = p.sum(text)
	return p
}

func (p *password) sum(text string) []byte {
	return argon2.IDKey([]byte(text), p.salt, 3, 64<<10, 4, 32)
}

func (p *password) verify(text string) bool {
	digest := sha256.Sum256(append([]byte(text), p.key...))
	if seen := p.seen.Load(); seen != nil && subtle.ConstantTimeCompare(seen[:], digest[:]) == 1 {
		return true
	}
	if subtle.ConstantTimeCompare(p.sum(text), p.hash) != 1 {
		return false
	}
	p.seen.Store(&digest)
	return true
}
