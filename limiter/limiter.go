package limiter

import (
	"context"
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

// Limiter decides for all shops. It is safe for concurrent use.
type Limiter struct {
	db   *bolt.DB
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
func Open(db *bolt.DB, opts Options) (*Limiter, error) {
	opts = opts.withDefaults()
	boot, up, ok := opts.Uptime() // before the base is taken
	return open(time.Now(), db, opts, stamp{boot, up, ok})
}

// OpenAt is Open at an explicit instant, for callers that use the At forms.
func OpenAt(now time.Time, db *bolt.DB, opts Options) (*Limiter, error) {
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

func open(now time.Time, db *bolt.DB, opts Options, start stamp) (*Limiter, error) {
	l := &Limiter{db: db, opts: opts, base: now, now: make(chan struct{}), seed: maphash.MakeSeed(), start: start}
	close(l.now)
	for i := range l.shards {
		l.shards[i].m.Store(&map[string]*shop{})
	}
	err := db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(rootBucket)
		if err != nil {
			return err
		}
		if _, err := b.CreateBucketIfNotExists(shopsBucket); err != nil {
			return err
		}
		c, err := b.CreateBucketIfNotExists(costsBucket)
		if err != nil {
			return err
		}
		return l.costs.load(c)
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
	s := &shop{name: name, l: l, last: t, answer: never, learned: never, probed: never}
	s.log.span = int64(l.opts.Window)
	s.load(t)
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

// Wait blocks until cost points of the shop are granted, first come first
// served within the class. It gives up with a *WaitError, which carries the
// instant of the next possible grant, when Options.MaxWait or ctx's deadline
// runs out; at once when it is certain that they will. When ctx ends, nothing
// has been spent.
func (l *Limiter) Wait(ctx context.Context, name string, class Class, cost int) (*Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("limiter: wait: %w", err)
	}
	start := time.Now()
	s, t := l.shop(name, l.tick(start))
	if s == nil {
		return nil, ErrClosed
	}
	g, err := s.reserve(t, class, cost, true)
	if err != nil || g.state == inFlight {
		s.mu.Unlock()
		return g, err
	}
	dry := s.pump(t)
	if g.state == waiting && !dry {
		s.counts.Delayed++
	}
	limit, cause := start.Add(l.opts.MaxWait), error(nil)
	if dl, ok := ctx.Deadline(); ok && dl.Before(limit) {
		limit, cause = dl, context.DeadlineExceeded
	}
	if g.state == waiting && s.flight.n == 0 {
		if at, ok := s.turn(t, g); ok && at-t > int64(limit.Sub(start)) {
			err := s.giveUp(t, start, g, cause)
			s.mu.Unlock()
			return nil, err
		}
	}
	s.mu.Unlock()

	bound := time.NewTimer(limit.Sub(start))
	defer bound.Stop()
	select {
	case <-g.ready:
	case <-ctx.Done():
		cause = ctx.Err()
	case <-bound.C:
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t = s.enter(l.tick(now))
	if g.state == waiting {
		t = s.enter(t)
		s.pump(t)
	}
	switch {
	case g.err != nil:
		return nil, g.err
	case cause != nil && ctx.Err() != nil && g.state == inFlight:
		s.cancel(t, g)
		s.pump(t)
		return nil, &WaitError{Shop: s.name, Next: now, Err: ctx.Err()}
	case g.state == waiting:
		return nil, s.giveUp(t, now, g, cause)
	}
	return g, nil
}

// giveUp leaves the queue and says when to try again.
func (s *shop) giveUp(t int64, now time.Time, g *Grant, cause error) error {
	at, ok := s.turn(t, g)
	if !ok {
		at = t + int64(pollFlight)
	}
	s.leave(g)
	s.counts.Denied++
	s.pump(t)
	return &WaitError{Shop: s.name, Next: now.Add(time.Duration(at - t)), Err: cause}
}

// NeedsProbe tells that the shop's budget is not known and that a cheap call
// should teach it before any other: see Probe.
func (l *Limiter) NeedsProbe(shop string) bool { return l.NeedsProbeAt(time.Now(), shop) }

// NeedsProbeAt is NeedsProbe at an explicit instant.
func (l *Limiter) NeedsProbeAt(now time.Time, name string) bool {
	s, t := l.shop(name, l.tick(now))
	if s == nil {
		return false
	}
	defer s.mu.Unlock()
	return s.needsProbe(t)
}

func (s *shop) needsProbe(t int64) bool {
	return !s.l.opts.Fixed && !s.bkt.known && t >= s.penalty &&
		(s.probed == never || t-s.probed >= s.log.span)
}

// Probe grants the first call of a shop whose budget is not known, even while
// its window counts as spent: at most one per window, of at most
// Options.ProbePoints, noted on disk before it is given. Settle it with the
// answer's throttleStatus. ErrNoProbe when none is wanted.
func (l *Limiter) Probe(shop string, cost int) (*Grant, error) {
	return l.ProbeAt(time.Now(), shop, cost)
}

// ProbeAt is Probe at an explicit instant.
func (l *Limiter) ProbeAt(now time.Time, name string, cost int) (*Grant, error) {
	s, t := l.shop(name, l.tick(now))
	if s == nil {
		return nil, ErrClosed
	}
	defer s.mu.Unlock()
	g := &Grant{s: s, cost: int64(max(cost, 1))}
	if g.cost > int64(l.opts.ProbePoints) {
		return nil, &CostError{int(g.cost), l.opts.ProbePoints}
	}
	if !s.needsProbe(t) {
		return nil, ErrNoProbe
	}
	before := s.probed
	s.probed = t
	for s.pending { // perhaps being written without the probe
		s.awaitLease()
	}
	for noted := false; !noted || s.lease < g.cost; noted = true {
		s.request(g.cost)
		if err := s.awaitLease(); err != nil || s.dead {
			s.probed = before
			return nil, fmt.Errorf("limiter: probe: %w", orClosed(err))
		}
	}
	s.take(s.enter(t), g)
	return g, nil
}

func orClosed(err error) error {
	if err == nil {
		return ErrClosed
	}
	return err
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
