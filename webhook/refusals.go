package webhook

import (
	"slices"
	"sync"
	"time"
)

const (
	// RefusedFor is how long after the last refused signature a row of them ends.
	RefusedFor = 10 * time.Minute
	// refusalsKept is how long they are known after the last: Shopify sends what was
	// refused again at intervals of up to two hours.
	refusalsKept = 24 * time.Hour
)

// Refusals are the deliveries for a shop whose signature was refused, from the
// first of the newest row of them. A valid delivery ends it. Shop names are public, so anybody can cause them. The zero
// value says that there are none.
type Refusals struct {
	First, Last time.Time
	Count       int
	Reason      Reason // of the newest whose cause was looked for
	// Fits: one of them was signed with a secret that is known here, a replaced
	// one or another shop's. A stranger can't sign so; one who has seen such a
	// delivery can only send that one again.
	Fits Reason
}

// Stranger is a shop name that is not connected and whose deliveries are signed
// with the secret of connected shops.
type Stranger struct {
	Name  string
	Shops []string // whose secret it is, at most a few
	At    time.Time
	Count int
}

const (
	strangersKept = 8
	strangersFor  = refusalsKept
)

// refusals keeps what was refused, by shop. It holds connected shops only, so it
// is bounded by their number.
type refusals struct {
	mu        sync.Mutex
	shops     map[string]Refusals
	strangers []Stranger // the newest last
}

// refused notes a refusal; only those of a signature count. A cause that was not
// looked for contradicts none that was found.
func (l *refusals) refused(shop string, reason Reason, found bool, at time.Time) {
	switch reason {
	case ReasonWrongSecret, ReasonOldSecret, ReasonOtherShop, ReasonBodyChanged, ReasonTruncated, ReasonTooMany:
	default:
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.shops[shop]
	if at.Sub(r.Last) > RefusedFor {
		r = Refusals{First: at}
	}
	r.Last = at
	r.Count++
	if found || r.Reason == "" {
		r.Reason = reason
	}
	if reason == ReasonOldSecret || reason == ReasonOtherShop {
		r.Fits = reason
	}
	if l.shops == nil {
		l.shops = map[string]Refusals{}
	}
	l.shops[shop] = r
}

// accepted notes a valid delivery that arrived at an instant: what was refused
// before it is over.
func (l *refusals) accepted(shop string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, ok := l.shops[shop]; ok && at.After(r.Last) {
		delete(l.shops, shop)
	}
}

// stranger notes a delivery of an unknown shop that a known secret signed.
func (l *refusals) stranger(name string, signer *verifier, at time.Time) {
	const shopsNamed = 3
	s := Stranger{Name: name, At: at, Count: 1, Shops: signer.shops[:min(len(signer.shops), shopsNamed)]}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.IndexFunc(l.strangers, func(o Stranger) bool { return o.Name == name }); i >= 0 {
		s.Count += l.strangers[i].Count
		l.strangers = slices.Delete(l.strangers, i, i+1)
	}
	l.strangers = append(l.strangers, s)
	if n := len(l.strangers) - strangersKept; n > 0 {
		l.strangers = slices.Delete(l.strangers, 0, n)
	}
}

// Refusals tells which deliveries for a shop were refused for their signature.
func (in *Intake) Refusals(shop string) Refusals {
	in.refusals.mu.Lock()
	defer in.refusals.mu.Unlock()
	r := in.refusals.shops[shop]
	if time.Since(r.Last) > refusalsKept {
		return Refusals{}
	}
	return r
}

// Strangers tells which shops that are not connected sent deliveries, signed with
// a known secret, within a day; the newest first.
func (in *Intake) Strangers() []Stranger {
	in.refusals.mu.Lock()
	defer in.refusals.mu.Unlock()
	d := in.directory.Load()
	var list []Stranger
	for _, s := range slices.Backward(in.refusals.strangers) {
		if _, connected := d.shops[s.Name]; !connected && time.Since(s.At) < strangersFor {
			list = append(list, s)
		}
	}
	return list
}
