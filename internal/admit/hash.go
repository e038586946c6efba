package admit

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	argonSalt = 16 // bytes
	argonSum  = 32 // bytes
)

// argonCost is what hashing a password costs.
type argonCost struct {
	passes, memory uint32 // memory in KiB
	lanes          uint8
}

// loginCost is RFC 9106's second recommended option.
func loginCost() argonCost { return argonCost{passes: 3, memory: 64 << 10, lanes: 4} }

// passwordHash is the argon2id hash of a password with what it was made with.
type passwordHash struct {
	argonCost
	salt, sum []byte
}

func hashPassword(text string, cost argonCost) *passwordHash {
	h := &passwordHash{argonCost: cost, salt: make([]byte, argonSalt)}
	rand.Read(h.salt) // never fails (crypto/rand)
	h.sum = h.slowly(text, argonSum)
	return h
}

// verify compares in a time that does not depend on where the hashes differ.
func (h *passwordHash) verify(text string) bool {
	sum := h.slowly(text, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}

// slowly hashes a password. Garbage is given back before it takes its memory, and
// that memory at once after it: the next try would else take as much again.
func (h *passwordHash) slowly(text string, size uint32) []byte {
	debug.FreeOSMemory()
	defer debug.FreeOSMemory()
	return argon2.IDKey([]byte(text), h.salt, h.passes, h.memory, h.lanes, size)
}

// text is the hash in the usual form, $argon2id$v=19$m=65536,t=3,p=4$SALT$SUM.
func (h *passwordHash) text() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes, b64.EncodeToString(h.salt), b64.EncodeToString(h.sum))
}

// mark names the hash without telling of it.
func (h *passwordHash) mark() string {
	sum := sha256.Sum256([]byte("mark of " + h.text()))
	return hex.EncodeToString(sum[:12])
}

var errHash = errors.New("not an argon2id hash")

// parsePasswordHash reads what text wrote, and nothing else. Costs beyond what a login
// may take are refused: nobody but us wrote them.
func parsePasswordHash(text string) (*passwordHash, error) {
	h := new(passwordHash)
	var rest string
	_, err := fmt.Sscanf(text, "$argon2id$v=19$m=%d,t=%d,p=%d$%s", &h.memory, &h.passes, &h.lanes, &rest)
	salt, sum, _ := strings.Cut(rest, "$")
	var noSalt, noSum error
	h.salt, noSalt = base64.RawStdEncoding.DecodeString(salt)
	h.sum, noSum = base64.RawStdEncoding.DecodeString(sum)
	if errors.Join(err, noSalt, noSum) != nil || h.passes < 1 || h.passes > 16 || h.memory < 8 || h.memory > 1<<20 ||
		h.lanes < 1 || len(h.salt) < 8 || len(h.sum) < 16 || h.text() != text {
		return nil, errHash
	}
	return h, nil
}
