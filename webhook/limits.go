package webhook

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"stockroom/internal/admit"
)

const (
	failureBurst = 20
	failureEvery = 6 * time.Second // one more wrong signature is answered with 401 per this time
	provenFor    = time.Hour       // a sender is known after a delivery that was applied
	sendersKept  = 4096            // of each kind
)

// senderOf is whom a request is counted for: an IPv4 address, or the IPv6 network
// of one customer. Everything behind a proxy that is not trusted is one sender.
func senderOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// senders is what is remembered of senders. Those that fail and those of whom a
// delivery was applied have lists of their own, so that no number of strangers makes
// a known one forgotten.
type senders struct {
	mu       sync.Mutex
	failures *lru.LRU[netip.Prefix, *rate.Limiter]
	proven   *lru.LRU[netip.Prefix, time.Time] // when a delivery of each was applied last
}

func newSenders() *senders {
	return &senders{
		failures: newList[netip.Prefix, *rate.Limiter](sendersKept), proven: newList[netip.Prefix, time.Time](sendersKept),
	}
}

func newList[K comparable, V any](size int) *lru.LRU[K, V] {
	list, err := lru.NewLRU[K, V](size, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return list
}

// mayFail reports whether one more wrong signature of a sender is answered with
// 401; beyond its limit it is 429. Right signatures are never limited.
func (l *senders) mayFail(sender netip.Prefix, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, ok := l.failures.Get(sender)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(failureEvery), failureBurst)
		l.failures.Add(sender, limiter)
	}
	return limiter.AllowN(now, 1)
}

// signed notes that a delivery of a sender was applied.
func (l *senders) signed(sender netip.Prefix, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proven.Add(sender, now)
}

// known reports whether a delivery of a sender was applied within provenFor.
func (l *senders) known(sender netip.Prefix, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.proven.Peek(sender)
	return ok && now.Sub(at) < provenFor
}

// Known reports whether a delivery of the sender at the other end of a connection
// was applied within the last hour.
func (in *Intake) Known(remote string) bool {
	return in.senders.known(senderOf(admit.Peer(remote)), time.Now())
}

// from is whose share a request's body takes part in.
func (in *Intake) from(req *request) from {
	f := from{sender: senderOf(req.address), conn: in.opt.Proved(req.http)}
	if f.conn || in.senders.known(f.sender, req.arrived) {
		f.known = 1
	}
	return f
}
