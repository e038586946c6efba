package admit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync"
	"time"
)

const (
	linkLife   = 30 * time.Minute // how long a one-time link is good
	loginLinks = 16               // to the status page that are good at once: that of serve and some of open
	setupLinks = 1                // for setting the password that are good at once
)

// newSecret returns 256 random bits as text that fits into an address.
func newSecret() string {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

// links are the one-time links of one kind that are good. Only the hashes of their
// tokens are kept, in memory, so a restart ends them.
type links struct {
	most int // at once; one more ends the oldest

	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

func newLinks(most int) *links {
	return &links{most: most, until: map[[sha256.Size]byte]time.Time{}}
}

// make returns the token of a new link.
func (l *links) make(now time.Time) (token string, until time.Time) {
	token, until = newSecret(), now.Add(linkLife)
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.until) >= l.most {
		var oldest [sha256.Size]byte
		var ends time.Time
		for sum, t := range l.until {
			if ends.IsZero() || t.Before(ends) {
				oldest, ends = sum, t
			}
		}
		delete(l.until, oldest)
	}
	l.until[sha256.Sum256([]byte(token))] = until
	return token, until
}

// good reports whether a link with the token is good. It uses nothing up.
func (l *links) good(now time.Time, token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.until[sha256.Sum256([]byte(token))])
}

// ErrLinkUsed says that a one-time link is not good any more.
var ErrLinkUsed = errors.New("the link was used or is too old")

// use calls do if the link with the token is good and, when do worked, makes it
// good for nothing more. Of two calls with the same token one waits for the other.
func (l *links) use(now time.Time, token string, do func() error) error {
	sum := sha256.Sum256([]byte(token)) // looked up by its hash, the time of which tells nothing of the token
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Before(l.until[sum]) {
		return ErrLinkUsed
	}
	if err := do(); err != nil {
		return err
	}
	delete(l.until, sum)
	return nil
}

// void ends all links.
func (l *links) void() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.until)
}
