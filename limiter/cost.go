package limiter

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

// maxQueries bounds what is remembered: the program has a few dozen queries.
const maxQueries = 1024

// lowerAfter is how many lower answers in a row lower a remembered cost. A
// higher one counts at once.
const lowerAfter = 8

// queryCost is what Shopify asked for a query.
type queryCost struct {
	bound int // points
	lower int // highest of the lower answers in a row
	run   int
}

// learn remembers the requestedQueryCost of a query. It tells whether its bound
// changed; then it has to be written. Needs l.mu.
func (l *Limiter) learn(query string, requested int) (changed bool) {
	q := l.costs[query]
	switch {
	case requested <= 0 || query == "" || q == nil && len(l.costs) >= maxQueries:
		return false
	case q == nil || requested > q.bound:
		l.costs[query] = &queryCost{bound: requested}
	case requested == q.bound:
		q.lower, q.run = 0, 0
		return false
	default:
		if q.lower, q.run = max(q.lower, requested), q.run+1; q.run < lowerAfter {
			return false
		}
		*q = queryCost{bound: q.lower}
	}
	l.unsaved = true
	return true
}

// Bound is the cost that is reserved for a query: what Shopify asked for it
// before, or the computed bound while that is unknown.
func (l *Limiter) Bound(query string, computed int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bound(query, computed)
}

func (l *Limiter) bound(query string, computed int) int {
	if q := l.costs[query]; q != nil {
		return min(q.bound, mostTimes*computed)
	}
	return computed
}

// bounds lists the remembered costs. Needs l.mu.
func (l *Limiter) bounds() map[string]int {
	m := make(map[string]int, len(l.costs))
	for query, q := range l.costs {
		m[query] = q.bound
	}
	return m
}

func saveCosts(b *bolt.Bucket, costs map[string]int) error {
	for query, bound := range costs {
		if err := b.Put([]byte(query), binary.AppendUvarint(nil, uint64(bound))); err != nil {
			return err
		}
	}
	return nil
}

// loadCosts reads the remembered costs; a damaged one is as good as none.
func loadCosts(b *bolt.Bucket, costs map[string]*queryCost) error {
	return b.ForEach(func(k, v []byte) error {
		if n, w := binary.Uvarint(v); w > 0 && w == len(v) && n <= maxPoints && len(costs) < maxQueries {
			costs[string(k)] = &queryCost{bound: int(n)}
		}
		return nil
	})
}
