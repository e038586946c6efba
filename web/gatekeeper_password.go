package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	passwordBurst  = 10              // wrong passwords an address may send at once
	passwordEvery  = 6 * time.Second // one more after that long
	passwordMemory = time.Minute     // how long a right password is known without verifying it anew
	addressesKept  = 1024
)

// passwordCheck verifies passwords, one at a time, and limits the wrong ones by
// address and in all.
type passwordCheck struct {
	account Account
	key     [32]byte

	verifying sync.Mutex // held while a password is verified, which is slow on purpose; taken before mu
	mu        sync.Mutex
	senders   *lru.LRU[netip.Prefix, *sender]
	overall   *rate.Limiter
}

// sender is an address that sent passwords.
type sender struct {
	wrong *rate.Limiter
	// known is a keyed hash of the password that was right, under the password
	// with the mark; it saves the slow work for a while.
	known [sha256.Size]byte
	mark  string
	until time.Time
}

func newPasswordCheck(account Account) *passwordCheck {
	senders, err := lru.NewLRU[netip.Prefix, *sender](addressesKept, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	p := &passwordCheck{account: account, senders: senders, overall: rate.NewLimiter(rate.Every(passwordEvery/10), 10*passwordBurst)}
	rand.Read(p.key[:]) // never fails
	return p
}

// check returns nil for the right password. An address that sent too many wrong
// ones is told to wait whatever it sends, so that it learns nothing by going on;
// one that sent the right one a moment ago is not held up by what others send.
func (p *passwordCheck) check(now time.Time, from netip.Addr, password string) *Refusal {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(password))
	sum := [sha256.Size]byte(mac.Sum(nil))
	if done, refusal := p.glance(now, from, sum); done {
		return refusal
	}
	p.verifying.Lock()
	defer p.verifying.Unlock()
	if done, refusal := p.glance(now, from, sum); done {
		return refusal
	}
	mark := p.account.Mark()
	right := p.account.Verify(password)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sender(from)
	if right {
		s.known, s.mark, s.until = sum, mark, now.Add(passwordMemory)
		return nil
	}
	s.wrong.AllowN(now, 1)
	p.overall.AllowN(now, 1)
	return refuse(http.StatusUnauthorized, "Wrong password", "This is not the password of the status page. `stockroom password link`, run on its machine, makes a link for setting a new one.")
}

// glance decides what needs no slow work.
func (p *passwordCheck) glance(now time.Time, from netip.Addr, sum [sha256.Size]byte) (done bool, r *Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sender(from)
	tooMany := &Refusal{
		Status: http.StatusTooManyRequests, Title: "Too many wrong passwords", RetryAfter: int(passwordEvery / time.Second),
		Detail: "Wait a few seconds before the next try.",
	}
	if s.wrong.TokensAt(now) < 1 {
		return true, tooMany
	}
	if subtle.ConstantTimeCompare(sum[:], s.known[:]) == 1 && now.Before(s.until) && s.mark == p.account.Mark() {
		return true, nil
	}
	if p.overall.TokensAt(now) < 1 {
		return true, tooMany
	}
	return false, nil
}

// sender returns what is known of an address. mu is held.
func (p *passwordCheck) sender(a netip.Addr) *sender {
	bits := 32
	if a.Is6() {
		bits = 64 // a customer's whole network
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		prefix = netip.Prefix{}
	}
	s, ok := p.senders.Get(prefix)
	if !ok {
		s = &sender{wrong: rate.NewLimiter(rate.Every(passwordEvery), passwordBurst)}
		p.senders.Add(prefix, s)
	}
	return s
}
