package limiter

import (
	"fmt"
	"math"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"stockroom/internal/uptime"
)

// DB is where the state is kept: what stands before a *bolt.DB and mends it, or
// refuses, after a write that failed. Whoever exchanges the file calls Buckets
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

	// start is read before tick 0, so that no record looks too old.
	start uptime.Reading

	io sync.Mutex     // held around every write, before mu
	wg sync.WaitGroup // of the flusher

	mu       sync.Mutex // held for a decision, never around a write; owns all that follows
	closed   bool
	shops    map[string]*shop
	costs    map[string]*queryCost
	unsaved  bool    // a cost changed that is not on disk
	stale    []*shop // whose records have to be written
	flushing bool
}

// Open makes a limiter whose state lives in db, in buckets of its own. db stays
// the caller's: close it after the limiter.
func Open(db DB, opts Options) (*Limiter, error) {
	l := &Limiter{db: db, opts: opts.withDefaults(), shops: map[string]*shop{}, costs: map[string]*queryCost{}}
	l.start = l.opts.Uptime.Read()
	l.base = time.Now()
	l.start.Wall = l.base.UnixNano()
	err := db.Update(func(tx *bolt.Tx) error {
		if err := Buckets(tx); err != nil {
			return err
		}
		return loadCosts(tx.Bucket(rootBucket).Bucket(costsBucket), l.costs)
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

// shop finds a shop, loading or making it, and enters now. nil when the limiter is
// closed. Needs l.mu.
func (l *Limiter) shop(name string, now time.Time) (*shop, int64) {
	if l.closed {
		return nil, 0
	}
	t := l.tick(now)
	s := l.shops[name]
	if s == nil {
		s = newShop(l, name, t)
		l.shops[name] = s
		if s.load(t) {
			s.request(0)
		}
	}
	return s, s.enter(t)
}

// Lift ends a shop's penalty: a person wants it asked now.
func (l *Limiter) Lift(shop string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, t := l.shop(shop, time.Now()); s != nil {
		if s.penalty > t {
			s.penalty = t
			s.request(0)
		}
		s.pump(t)
	}
}

// Compact writes the shops that nobody used for two windows to disk, returns
// their leases and drops them from memory; they come back when they are asked
// for. Call it now and then.
func (l *Limiter) Compact() {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tick(time.Now())
	for _, s := range l.shops {
		if s.unused() && t-s.last >= 2*s.log.span {
			s.enter(t)
			s.resting = true
			s.request(0)
		}
	}
}

// Forget drops a shop from memory and disk: it was removed. Whoever waits gets
// ErrClosed. Added again, it starts with a spent window.
func (l *Limiter) Forget(name string) error {
	l.io.Lock()
	defer l.io.Unlock()
	l.mu.Lock()
	if s := l.shops[name]; s != nil {
		s.failAll(ErrClosed)
		delete(l.shops, name)
	}
	l.mu.Unlock()
	err := l.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(rootBucket).Bucket(shopsBucket).Delete([]byte(name))
	})
	if err != nil {
		return fmt.Errorf("limiter: forget: %w", err)
	}
	return nil
}

// Close fails whoever waits with ErrClosed, returns the unspent leases and writes
// every shop's record. Grants still under way count as spent.
func (l *Limiter) Close() error {
	if !l.stop() {
		return nil
	}
	l.mu.Lock()
	batch := make([]*shop, 0, len(l.shops))
	for _, s := range l.shops {
		s.enter(l.tick(time.Now()))
		batch = append(batch, s)
	}
	l.mu.Unlock()
	if err := l.write(batch); err != nil {
		return fmt.Errorf("limiter: close: %w", err)
	}
	return nil
}

// stop grants nothing more and waits for the writes under way. It reports
// whether the limiter was open.
func (l *Limiter) stop() bool {
	l.mu.Lock()
	open := !l.closed
	l.closed = true
	for _, s := range l.shops {
		s.failAll(ErrClosed)
	}
	l.mu.Unlock()
	l.wg.Wait()
	return open
}
