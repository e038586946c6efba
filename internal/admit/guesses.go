package admit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"stockroom/internal/answer"
)

const (
	passwordBurst  = 10              // wrong passwords an address, or a known browser, may send at once
	passwordEvery  = 6 * time.Second // one more after that long
	networkFactor  = 3               // times as many: all addresses of a network
	overallFactor  = 10              // all addresses together, so that no network takes what is for all
	passwordMemory = time.Minute     // how long a right password is known without verifying it again
	sendersKept    = 4096

	turnsWaiting  = 32                    // requests that wait for their password to be verified, and as many of known browsers
	turnsOfOne    = 16                    // of a network, all with the same password
	longestToTurn = 10 * time.Second      // that they wait
	lookAgain     = 25 * time.Millisecond // how often they look whether it is their turn, on average
)

// guesser is who sends a password: a browser that logged in before, by its
// device cookie, or an address. A known browser has limits of its own and goes
// first, so that strangers can't keep its owner out.
type guesser struct {
	known   bool
	name    string // the cookie's nonce, or the address (of IPv6 a customer's whole network)
	network string // of many customers; a known browser is one of its own
}

func guesserAt(a netip.Addr) guesser {
	prefix := func(v4, v6 int) string {
		if a.Is6() {
			v4 = v6
		}
		p, _ := a.Prefix(v4) // what has no address is one sender
		return p.String()
	}
	return guesser{name: prefix(32, 64), network: prefix(24, 48)}
}

// passwordCheck verifies passwords, one at a time, and limits the wrong ones: of
// a known browser; of an address, of its network and in all.
type passwordCheck struct {
	account Account
	key     [32]byte

	mu        sync.Mutex
	senders   *lru.LRU[string, *sender]
	overall   *rate.Limiter
	verifying bool
	waiting   map[bool][]*turn // known browsers, and others
}

// turn is a request whose password waits to be verified.
type turn struct {
	network string
	sum     [sha256.Size]byte // of its password
}

// sender is a browser, an address or a network that sent passwords.
type sender struct {
	wrong *rate.Limiter
	// known is a keyed hash of the password that was right, under the password
	// with the mark; it saves the slow work for a while.
	known [sha256.Size]byte
	mark  string
	until time.Time
}

func newPasswordCheck(account Account) *passwordCheck {
	senders, err := lru.NewLRU[string, *sender](sendersKept, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	p := &passwordCheck{account: account, senders: senders, overall: newLimit(overallFactor), waiting: map[bool][]*turn{}}
	rand.Read(p.key[:]) // never fails
	return p
}

func newLimit(factor int) *rate.Limiter {
	return rate.NewLimiter(rate.Every(passwordEvery/time.Duration(factor)), factor*passwordBurst)
}

// sender returns what is known of a browser, an address or a network. Only one
// whose password was verified is kept, so what others send displaces nobody. mu
// is held.
func (p *passwordCheck) sender(name string, factor int, keep bool) *sender {
	s, ok := p.senders.Get(name)
	if !ok {
		s = &sender{wrong: newLimit(factor)}
	}
	if keep && !ok {
		p.senders.Add(name, s)
	}
	return s
}

func tooManyPasswords(detail string) *answer.Refusal {
	return &answer.Refusal{
		Status: http.StatusTooManyRequests, Title: "Too many wrong passwords", RetryAfter: int(passwordEvery / time.Second),
		Detail: detail + " Wait a few seconds before the next try, or run `stockroom open` on the server's machine for a link that needs no password.",
	}
}

// check returns nil for the right password. One that sent too many wrong ones is
// told to wait whatever it sends, so that it learns nothing by going on; one that
// sent the right one a moment ago is not held up by what others send.
func (p *passwordCheck) check(from guesser, password string) *answer.Refusal {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(password))
	sum := [sha256.Size]byte(mac.Sum(nil))
	p.mu.Lock()
	defer p.mu.Unlock()
	if done, refusal := p.glance(from, sum); done {
		return refusal
	}
	if !p.waitForTurn(from, sum) {
		return tooManyPasswords("Others send so many wrong passwords that this one could not be looked at.")
	}
	defer func() { p.verifying = false }()
	if done, refusal := p.glance(from, sum); done { // others of the same sender came first
		return refusal
	}
	mark := p.account.Mark()
	right := p.verify(password)
	now, s := time.Now(), p.sender(from.name, 1, true)
	if right {
		s.known, s.mark, s.until = sum, mark, now.Add(passwordMemory)
		return nil
	}
	s.wrong.AllowN(now, 1)
	if !from.known {
		p.sender(from.network, networkFactor, true).wrong.AllowN(now, 1)
		p.overall.AllowN(now, 1)
	}
	return answer.Refuse(http.StatusUnauthorized, "Wrong password", "This is not the password of the status page. `stockroom password link`, run on its machine, makes a link for setting a new one.")
}

// verify does the slow work without holding up who needs none. mu is held.
func (p *passwordCheck) verify(password string) bool {
	p.mu.Unlock()
	defer p.mu.Lock()
	return p.account.Verify(password)
}

// glance decides what needs no slow work. mu is held.
func (p *passwordCheck) glance(from guesser, sum [sha256.Size]byte) (done bool, r *answer.Refusal) {
	now, s := time.Now(), p.sender(from.name, 1, false)
	switch {
	case s.wrong.TokensAt(now) < 1:
		if from.known {
			return true, tooManyPasswords("Too many wrong passwords came from this browser.")
		}
		return true, tooManyPasswords("Too many wrong passwords came from your address.")
	case subtle.ConstantTimeCompare(sum[:], s.known[:]) == 1 && now.Before(s.until) && s.mark == p.account.Mark():
		return true, nil
	case !from.known && p.sender(from.network, networkFactor, false).wrong.TokensAt(now) < 1:
		return true, tooManyPasswords("Too many wrong passwords came from the network of your address.")
	}
	return false, nil
}

// waitForTurn reports whether the turn came in time. Known browsers go before
// others, whose turns begin when all addresses together may send one more. A
// network has one password that waits, and which of them is next is left to chance,
// so none gains by sending more. mu is held, but not while waiting.
func (p *passwordCheck) waitForTurn(from guesser, sum [sha256.Size]byte) bool {
	row, same := p.waiting[from.known], 0
	for _, t := range row {
		if t.network == from.network {
			same++
			if t.sum != sum {
				return false
			}
		}
	}
	if len(row) >= turnsWaiting || same >= turnsOfOne {
		return false
	}
	t := &turn{from.network, sum}
	p.waiting[from.known] = append(row, t)
	defer func() {
		p.waiting[from.known] = slices.DeleteFunc(p.waiting[from.known], func(other *turn) bool { return other == t })
	}()
	for end := time.Now().Add(longestToTurn); ; {
		now := time.Now()
		if !p.verifying && (from.known || len(p.waiting[true]) == 0 && p.overall.TokensAt(now) >= 1) {
			p.verifying = true
			return true
		}
		if !now.Before(end) {
			return false
		}
		p.mu.Unlock()
		time.Sleep(mathrand.N(2 * lookAgain))
		p.mu.Lock()
	}
}
