package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"slices"
	"sync"
)

// Shop is what the intake has to know of a shop.
type Shop struct {
	Domain string
	// Keys sign the shop's deliveries; the first is the current client secret.
	// After a rotation Shopify may sign with the previous one for an hour.
	Keys []Key
	// Removed: the connection was removed here. Only compliance topics are
	// still acknowledged.
	Removed bool
	// Uninstalled: the API confirmed that the app is gone from the shop.
	Uninstalled bool
}

// Key is one signing secret.
type Key struct {
	Secret []byte
	// Old marks a secret that was replaced; it still verifies.
	Old bool
}

// Directory is an immutable list of shops with their secrets.
//
// Whatever a request claims, its signature costs as many digests as the shop with
// the most distinct secrets has. So neither the work that a stranger can cause nor
// the time of an answer depends on which shops there are.
type Directory struct {
	shops   map[string]Shop
	signers map[string][]*verifier // by shop, each filled up to digests
	keys    map[string]*verifier   // by secret
	order   []*verifier            // the distinct secrets, as they were given
	decoys  []*verifier            // secrets of nobody
	retired []*verifier
	digests int // for each signature
}

// verifier checks signatures made with one secret.
type verifier struct {
	secret string
	old    bool
	shops  []string // in the directory's order
	pool   sync.Pool
}

const retiredTried = 8

// NewDirectory builds a directory. Retired secrets verify nothing; the last few of
// them help to say why a signature was refused.
func NewDirectory(shops []Shop, retired [][]byte) *Directory {
	d := &Directory{shops: make(map[string]Shop, len(shops)), signers: make(map[string][]*verifier, len(shops)),
		keys: make(map[string]*verifier), digests: 1}
	for _, shop := range shops {
		d.shops[shop.Domain] = shop
		var own []*verifier
		for _, k := range shop.Keys {
			if len(k.Secret) == 0 {
				continue
			}
			v, ok := d.keys[string(k.Secret)]
			if !ok {
				v = newVerifier(string(k.Secret))
				v.old = true
				d.keys[v.secret] = v
				d.order = append(d.order, v)
			}
			v.old = v.old && k.Old
			if !slices.Contains(own, v) {
				own = append(own, v)
				v.shops = append(v.shops, shop.Domain)
			}
		}
		d.signers[shop.Domain] = own
		d.digests = max(d.digests, len(own))
	}
	for range d.digests {
		d.decoys = append(d.decoys, newVerifier(rand.Text()))
	}
	for domain, own := range d.signers {
		d.signers[domain] = append(own, d.decoys[len(own):]...)
	}
	for _, secret := range retired[max(0, len(retired)-retiredTried):] {
		if d.keys[string(secret)] == nil && len(secret) > 0 {
			d.retired = append(d.retired, newVerifier(string(secret)))
		}
	}
	return d
}

func newVerifier(secret string) *verifier {
	v := &verifier{secret: secret}
	v.pool.New = func() any { return hmac.New(sha256.New, []byte(v.secret)) }
	return v
}

// match reports whether sum is the HMAC-SHA256 of body, in constant time.
func (v *verifier) match(body, sum []byte) bool {
	mac := v.pool.Get().(hash.Hash)
	mac.Reset()
	mac.Write(body)
	var want [sha256.Size]byte
	ok := subtle.ConstantTimeCompare(mac.Sum(want[:0]), sum) == 1
	v.pool.Put(mac)
	return ok
}

// matching returns the first of a list that signed the body, nil for none. All are
// tried, so the time taken does not tell which.
func matching(list []*verifier, body, sum []byte) (first *verifier) {
	for _, v := range list {
		if v.match(body, sum) && first == nil {
			first = v
		}
	}
	return first
}

// candidates are the secrets that a delivery for a shop may be signed with: its
// own, and for a name that is not known those that fitted last.
func (d *Directory) candidates(shop string, l *lately) []*verifier {
	if own, known := d.signers[shop]; known {
		return own
	}
	list := l.of(d, d.digests)
	return append(list, d.decoys[len(list):]...)
}

// lately are the secrets that fitted last, the newest first. They outlive the
// directory that they were found in.
type lately struct {
	mu      sync.Mutex
	secrets []string
}

const latelyKept = 64

// fitted notes that a secret fitted.
func (l *lately) fitted(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.secrets, secret)
	if i < 0 {
		if len(l.secrets) < latelyKept {
			l.secrets = append(l.secrets, "")
		}
		i = len(l.secrets) - 1
	}
	copy(l.secrets[1:i+1], l.secrets[:i])
	l.secrets[0] = secret
}

// of returns at most n secrets of a directory: those that fitted last, then its
// first ones.
func (l *lately) of(d *Directory, n int) []*verifier {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*verifier, 0, n)
	for _, secret := range l.secrets {
		if v := d.keys[secret]; v != nil && len(list) < n {
			list = append(list, v)
		}
	}
	for _, v := range d.order {
		if len(list) == n {
			break
		}
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}
