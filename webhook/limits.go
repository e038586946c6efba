package webhook

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	failureBurst  = 20
	failureEvery  = 6 * time.Second // one more wrong signature is answered with 401 per this time
	failureSource = 4096            // addresses remembered
)

// failureLimiter bounds the wrong signatures one address may send before it is
// answered with 429. Right signatures never get here.
type failureLimiter struct {
	mu      sync.Mutex
	sources *lru.LRU[netip.Prefix, *rate.Limiter]
}

func newFailureLimiter() *failureLimiter {
	sources, err := lru.NewLRU[netip.Prefix, *rate.Limiter](failureSource, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &failureLimiter{sources: sources}
}

func (l *failureLimiter) allow(a netip.Addr, now time.Time) bool {
	bits := 32
	if a.Is6() {
		bits = 64 // a customer's whole network
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		prefix = netip.Prefix{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, ok := l.sources.Get(prefix)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(failureEvery), failureBurst)
		l.sources.Add(prefix, limiter)
	}
	return limiter.AllowN(now, 1)
}

// clientAddress is the peer's address, or, when the peer is a trusted proxy,
// the last address in X-Forwarded-For that is none.
func (in *Intake) clientAddress(r *http.Request) netip.Addr {
	addr := peer(r.RemoteAddr)
	if !in.trusted(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return addr
		}
		addr = hop.Unmap()
		if !in.trusted(addr) {
			return addr
		}
	}
	return addr
}

func (in *Intake) trusted(a netip.Addr) bool {
	for _, p := range in.opt.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func peer(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
