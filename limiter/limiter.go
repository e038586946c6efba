package limiter

import (
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"stockroom/internal/uptime"
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
	base time.Time // tick 0
	seed maphash.Seed

	// start is read before tick 0, so that no record looks too old.
	start uptime.Reading

	closed atomic.Bool
	shards [shards]shard
	lease  flusher
	costs  costs
}

// Open makes a limiter whose state lives in db, in buckets of its own. db stays
// the caller's: close it after the limiter.
func Open(db DB, opts Options) (*Limiter, error) {
	l := &Limiter{db: db, opts: opts.withDefaults(), seed: maphash.MakeSeed()}
	l.start = l.opts.Uptime.Read()
	l.base = time.Now()
	l.start.Wall = l.base.UnixNano()
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
