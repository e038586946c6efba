package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
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
type Directory struct {
	shops   map[string]Shop
	keys    []*verifier
	retired []*verifier
}

// verifier checks signatures made with one secret.
type verifier struct {
	secret []byte
	old    bool
	shops  map[string]bool
	pool   sync.Pool
}

// NewDirectory builds a directory. Retired secrets verify nothing; they only
// help to say why a signature was refused.
func NewDirectory(shops []Shop, retired [][]byte) *Directory {
	d := &Directory{shops: make(map[string]Shop, len(shops))}
	bySecret := make(map[string]*verifier)
	for _, shop := range shops {
		d.shops[shop.Domain] = shop
		for _, k := range shop.Keys {
			if len(k.Secret) == 0 {
				continue
			}
			v, ok := bySecret[string(k.Secret)]
			if !ok {
				v = newVerifier(k.Secret)
				v.old = true
				bySecret[string(k.Secret)] = v
				d.keys = append(d.keys, v)
			}
			v.old = v.old && k.Old
			v.shops[shop.Domain] = true
		}
	}
	for _, secret := range retired {
		if _, active := bySecret[string(secret)]; !active && len(secret) > 0 {
			d.retired = append(d.retired, newVerifier(secret))
		}
	}
	return d
}

func newVerifier(secret []byte) *verifier {
	v := &verifier{secret: secret, shops: make(map[string]bool)}
	v.pool.New = func() any { return hmac.New(sha256.New, v.secret) }
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

// verify returns the keys that signed the body; all are tried, so the time
// taken does not tell which of them exist.
func (d *Directory) verify(body, sum []byte) (matched []*verifier) {
	for _, v := range d.keys {
		if v.match(body, sum) {
			matched = append(matched, v)
		}
	}
	return matched
}
