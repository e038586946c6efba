package admit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
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

// links are the one-time links of one kind that are good; one more than there may be
// ends the oldest. Only the hashes of their tokens are kept, in memory, so a restart
// ends them.
type links struct {
	mu    sync.Mutex
	until *lru.LRU[[sha256.Size]byte, time.Time]
}

func newLinks(most int) *links {
	until, err := lru.NewLRU[[sha256.Size]byte, time.Time](most, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &links{until: until}
}

// make returns the token of a new link.
func (l *links) make(now time.Time) (token string, until time.Time) {
	token, until = newSecret(), now.Add(linkLife)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until.Add(sha256.Sum256([]byte(token)), until)
	return token, until
}

// good reports whether a link with the token is good. It uses nothing up.
func (l *links) good(now time.Time, token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, _ := l.until.Peek(sha256.Sum256([]byte(token)))
	return now.Before(until)
}

// ErrLinkUsed says that a one-time link is not good any more.
var ErrLinkUsed = errors.New("the link was used or is too old")

// use calls do if the link with the token is good and, when do worked, makes it
// good for nothing more. Of two calls with the same token one waits for the other.
func (l *links) use(now time.Time, token string, do func() error) error {
	sum := sha256.Sum256([]byte(token)) // looked up by its hash, the time of which tells nothing of the token
	l.mu.Lock()
	defer l.mu.Unlock()
	if until, _ := l.until.Peek(sum); !now.Before(until) {
		return ErrLinkUsed
	}
	if err := do(); err != nil {
		return err
	}
	l.until.Remove(sum)
	return nil
}

// void ends all links.
func (l *links) void() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until.Purge()
}
