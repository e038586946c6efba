package limiter

import (
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// shards spread the shop map; a write copies one shard, a read takes no lock.
const shards = 256

type shard struct {
	mu sync.Mutex // held to change shops
	m  atomic.Pointer[map[string]*shop]
}

// DB is where the state is kept: a *bolt.DB, or what stands before one that may
// be exchanged for another after damage. Whoever exchanges it calls Buckets
// first, so that the new one is ready.
type DB interface {
	Update(fn func(*bolt.Tx) error) error
	View(fn func(*bolt.Tx) error) error
}

// Buckets makes the limiter's buckets where they are missing.
func Buckets(tx *bolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(rootBucket)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{shopsBucket, costsBucket} {
		if _, err := b.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// Limiter decides for all shops. It is safe for concurrent use.
type Limiter struct {
	db   DB
	opts Options
	base time.Time     // tick 0
	now  chan struct{} // closed: the Ready of a grant that never waited
	seed maphash.Seed

	// the uptime at base: never later, so that no record looks too old
	start stamp

	closed atomic.Bool
	shards [shards]shard
	lease  flusher
	costs  costs
}

// Open makes a limiter whose state lives in db, in buckets of its own. db stays
// the caller's: close it after the limiter.
func Open(db DB, opts Options) (*Limiter, error) {
	opts = opts.withDefaults()
	boot, up, ok := opts.Uptime() // before the base is taken
	return open(time.Now(), db, opts, stamp{boot, up, ok})
}

// OpenAt is Open at an explicit instant, for callers that use the At forms.
func OpenAt(now time.Time, db DB, opts Options) (*Limiter, error) {
	opts = opts.withDefaults()
	boot, up, ok := opts.Uptime()
	return open(now, db, opts, stamp{boot, up, ok})
}

// stamp is a reading of the clock since boot.
type stamp struct {
	boot string
	up   time.Duration
	ok   bool
}

func open(now time.Time, db DB, opts Options, start stamp) (*Limiter, error) {
	l := &Limiter{db: db, opts: opts, base: now, now: make(chan struct{}), seed: maphash.MakeSeed(), start: start}
	close(l.now)
	for i := range l.shards {
		l.shards[i].m.Store(&map[string]*shop{})
	}
	err := db.Update(func(tx *bolt.Tx) error {
		if err := Buckets(tx); err != nil {
			return err
		}
		return l.costs.load(tx.Bucket(rootBucket).Bucket(costsBucket))
	})
	if err != nil {
		return nil, fmt.Errorf("limiter: open: %w", err)
	}
	return l, nil
}

// tick is now on the limiter's own clock, in ns. With monotonic readings on
// both sides, which time.Now gives, wall clock jumps do not exist here.
func (l *Limiter) tick(now time.Time) int64 {
	const far = math.MaxInt64 / 4 // 73 years
	return min(max(int64(now.Sub(l.base)), -far), far)
}

func (l *Limiter) shardOf(name string) *shard { return &l.shards[maphash.String(l.seed, name)%shards] }

// shop finds a shop, loading or making it at tick t, and returns it locked and
// entered. nil when the limiter is closed.
func (l *Limiter) shop(name string, t int64) (*shop, int64) {
	sh := l.shardOf(name)
	for {
		if l.closed.Load() {
			return nil, 0
		}
		s := (*sh.m.Load())[name]
		if s == nil {
			s = l.admit(sh, name, t)
		}
		s.mu.Lock()
		if !s.dead {
			return s, s.enter(t)
		}
		s.mu.Unlock()
	}
}

// admit puts a shop in the map, as disk remembers it.
func (l *Limiter) admit(sh *shard, name string, t int64) *shop {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := *sh.m.Load()
	if s := old[name]; s != nil {
		return s
	}
	s := &shop{name: name, l: l, last: t, answer: never, learned: never, probed: never, assumed: never}
	s.log.span = int64(l.opts.Window)
	s.mu.Lock()
	if s.load(t) {
		s.request(0) // after all of it is there: what is written now is what a crash leaves
	}
	s.mu.Unlock()
	m := make(map[string]*shop, len(old)+1)
	for k, v := range old {
		m[k] = v
	}
	m[name] = s
	sh.m.Store(&m)
	return s
}

// drop takes a dead shop out of the map.
func (l *Limiter) drop(s *shop) {
	sh := l.shardOf(s.name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := *sh.m.Load()
	if old[s.name] != s {
		return
	}
	m := make(map[string]*shop, len(old))
	for k, v := range old {
		if v != s {
			m[k] = v
		}
	}
	sh.m.Store(&m)
}

// all lists the shops in memory.
func (l *Limiter) all() []*shop {
	var list []*shop
	for i := range l.shards {
		for _, s := range *l.shards[i].m.Load() {
			list = append(list, s)
		}
	}
	return list
}

// Allow takes cost points of the shop if they are there now. It is for calls
// that leave at once and whose answers teach nothing; a real call uses Wait or
// Reserve, so that its time on the wire counts. A denied call costs nothing.
func (l *Limiter) Allow(shop string, class Class, cost int) bool {
	return l.AllowAt(time.Now(), shop, class, cost)
}

// AllowAt is Allow at an explicit instant.
func (l *Limiter) AllowAt(now time.Time, name string, class Class, cost int) bool {
	s, t := l.shop(name, l.tick(now))
	if s == nil {
		return false
	}
	ok := s.allow(t, class, int64(max(cost, 1)))
	if !ok {
		s.counts.Denied++
	}
	s.mu.Unlock()
	return ok
}

func (s *shop) allow(t int64, class Class, cost int64) bool {
	for {
		var dry bool
		if s.queued == 0 {
			if !s.fits(t, cost) {
				return false
			}
			if s.lease >= cost {
				s.spend(t, cost)
				return true
			}
			s.request(cost)
		} else {
			// others wait: stand in the queue for this instant
			g := &Grant{s: s, class: class, cost: cost, ready: make(chan struct{})}
			s.join(g)
			dry = s.pump(t)
			if g.state == inFlight {
				s.settle(t, g, cost, nil)
				return true
			}
			s.leave(g)
			if !dry {
				return false
			}
		}
		if s.awaitLease() != nil || s.dead {
			return false
		}
		t = s.enter(t)
	}
}

// Reserve takes cost points, or a place in the queue of its class when they are
// not there yet: see Grant.DelayFrom and Grant.Ready. The error is
// ErrCostAboveBudget, ErrClosed, or the disk's.
func (l *Limiter) Reserve(shop string, class Class, cost int) (*Grant, error) {
	return l.ReserveAt(time.Now(), shop, class, cost)
}

// ReserveAt is Reserve at an explicit instant.
func (l *Limiter) ReserveAt(now time.Time, name string, class Class, cost int) (*Grant, error) {
	s, t := l.shop(name, l.tick(now))
	if s == nil {
		return nil, ErrClosed
	}
	defer s.mu.Unlock()
	g, err := s.reserve(t, class, cost, false)
	if err != nil {
		return nil, err
	}
	if g.state == waiting {
		s.pumpLeased(t)
	}
	if g.err != nil {
		return nil, g.err
	}
	if g.state == waiting {
		s.counts.Delayed++
	}
	return g, nil
}

// reserve makes a grant, or one that stands in the queue.
func (s *shop) reserve(t int64, class Class, cost int, wait bool) (*Grant, error) {
	g := &Grant{s: s, class: min(class, Bulk), cost: int64(max(cost, 1)), wait: wait}
	if limit, ok := s.limit(); ok && g.cost > limit {
		s.counts.Denied++
		return nil, &CostError{int(g.cost), int(limit)}
	}
	if !s.tryNow(t, g) {
		g.ready = make(chan struct{})
		s.join(g)
	}
	return g, nil
}

// Lift ends a shop's penalty: a person wants it asked now.
func (l *Limiter) Lift(shop string) {
	now := time.Now()
	if s, t := l.shop(shop, l.tick(now)); s != nil {
		defer s.mu.Unlock()
		if s.penalty > t {
			s.penalty = t
			s.request(0)
		}
		s.pump(t)
	}
}

// Penalty keeps every call of the shop back until then: see Grant.Penalty.
func (l *Limiter) Penalty(shop string, until time.Time) { l.PenaltyAt(time.Now(), shop, until) }

// PenaltyAt is Penalty at an explicit instant.
func (l *Limiter) PenaltyAt(now time.Time, name string, until time.Time) {
	s, _ := l.shop(name, l.tick(now))
	if s == nil {
		return
	}
	s.mu.Unlock()
	(&Grant{s: s}).PenaltyAt(now, until)
}
