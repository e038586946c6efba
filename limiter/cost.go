package limiter

import (
	"encoding/binary"
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// maxQueries bounds what is remembered: the program has a few dozen queries.
const maxQueries = 1024

// lowerAfter is how many lower answers in a row lower a remembered cost. A
// higher one counts at once.
const lowerAfter = 8

// costs remembers what Shopify asked for each query.
type costs struct {
	mu sync.Mutex
	m  map[string]*queryCost
}

type queryCost struct {
	bound int // points
	lower int // highest of the lower answers in a row
	run   int
}

// Learn remembers the requestedQueryCost of a query. The name stands for the
// text and the page sizes: two pages of different size are two names. It is
// kept on disk when it changes; an error leaves it in memory.
func (l *Limiter) Learn(query string, requested int) error {
	if requested < 0 || query == "" {
		return nil
	}
	l.costs.mu.Lock()
	defer l.costs.mu.Unlock()
	bound, changed := l.costs.learn(query, requested)
	if !changed || l.closed.Load() {
		return nil
	}
	err := l.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(rootBucket).Bucket(costsBucket).Put([]byte(query), encodeCost(bound))
	})
	if err != nil {
		return fmt.Errorf("limiter: learn %s: %w", query, err)
	}
	return nil
}

func (c *costs) learn(query string, requested int) (bound int, changed bool) {
	q := c.m[query]
	switch {
	case q == nil && len(c.m) >= maxQueries:
		return 0, false
	case q == nil:
		c.m[query] = &queryCost{bound: requested}
		return requested, true
	case requested > q.bound:
		*q = queryCost{bound: requested}
		return requested, true
	case requested == q.bound:
		q.lower, q.run = 0, 0
		return q.bound, false
	}
	q.lower, q.run = max(q.lower, requested), q.run+1
	if q.run < lowerAfter {
		return q.bound, false
	}
	*q = queryCost{bound: q.lower}
	return q.bound, true
}

// Bound is the cost to reserve for a query: what Shopify asked for it before,
// or the computed bound while that is unknown.
func (l *Limiter) Bound(query string, computed int) int {
	l.costs.mu.Lock()
	defer l.costs.mu.Unlock()
	if q := l.costs.m[query]; q != nil {
		return min(q.bound, mostTimes*computed)
	}
	return computed
}

// load reads the remembered costs; a damaged one is as good as none.
func (c *costs) load(b *bolt.Bucket) error {
	c.m = map[string]*queryCost{}
	return b.ForEach(func(k, v []byte) error {
		if n, w := binary.Uvarint(v); w > 0 && w == len(v) && n <= maxPoints && len(c.m) < maxQueries {
			c.m[string(k)] = &queryCost{bound: int(n)}
		}
		return nil
	})
}

func encodeCost(bound int) []byte { return binary.AppendUvarint(nil, uint64(bound)) }
