package breaker

import (
	"fmt"
	"math"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"stockroom/internal/uptime"
)

// DB is where the state is kept: a *bolt.DB, or what stands before one that may
// be exchanged for another after damage. Whoever exchanges it calls Buckets
// first, so that the new one is ready.
type DB interface {
	Update(fn func(*bolt.Tx) error) error
}

// Buckets makes the breaker's bucket where it is missing.
func Buckets(tx *bolt.Tx) error {
	_, err := tx.CreateBucketIfNotExists(bucketName)
	return err
}

// Breaker holds the circuits of all keys. It is safe for concurrent use.
type Breaker struct {
	db    DB
	opts  Options
	base  time.Time      // tick origin
	start uptime.Reading // at base, or just before

	io sync.Mutex // held around every write, before mu

	mu    sync.Mutex            // held for a decision, never around a call or a write
	shops map[string][]*circuit // those of a shop, one per endpoint class
}

// Permit is the right to make one call. Report its outcome once with Done; the
// zero Permit reports to nobody.
type Permit struct {
	c   *circuit
	gen uint64
}

// Open makes a breaker whose state lives in a bucket of its own in db. db stays
// the caller's. There is nothing to close: every transition is on disk when the
// call that made it returns.
func Open(db DB, opts Options) (*Breaker, error) {
	opts = opts.withDefaults()
	start := opts.Uptime.Read() // before the base is taken: no record may look too old
	return open(time.Now(), db, opts, start)
}

func open(now time.Time, db DB, opts Options, start uptime.Reading) (*Breaker, error) {
	start.Wall = now.UnixNano()
	b := &Breaker{db: db, opts: opts, start: start, base: now, shops: map[string][]*circuit{}}
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("breaker: open: %w", err)
	}
	return b, nil
}

// tick is now on the breaker's own clock. Wall clock jumps do not exist here as
// long as now carries a monotonic reading.
func (b *Breaker) tick(now time.Time) int64 {
	const far = math.MaxInt64/8 - 1
	return origin + min(max(int64(now.Sub(b.base)), -far), far)
}

// origin is the tick of the opening: far from zero, so that no tick is negative.
const origin = math.MaxInt64 / 8

func (b *Breaker) instant(t int64) time.Time { return b.base.Add(time.Duration(t - origin)) }

// circuit finds the circuit of a key or makes it. Needs b.mu.
func (b *Breaker) circuit(key Key) *circuit {
	for _, c := range b.shops[key.Shop] {
		if c.key.Class == key.Class {
			return c
		}
	}
	c := &circuit{key: key, b: b}
	b.shops[key.Shop] = append(b.shops[key.Shop], c)
	return c
}

// Allow lets a call through at now, or refuses it with an *OpenError. No lock
// is held while the call runs.
func (b *Breaker) Allow(now time.Time, key Key) (Permit, error) {
	t := b.tick(now)
	b.mu.Lock()
	c := b.circuit(key)
	p, retry, reason, tr := c.allow(t)
	gen := c.gen
	b.mu.Unlock()
	var err error
	if tr != nil {
		err = b.commit(t, c, tr)
		if tr.To == StateHalfOpen {
			p, retry, reason = b.firstProbe(t, c, gen, err)
		}
	}
	if p.c != nil {
		return p, nil
	}
	e := &OpenError{Key: key, Reason: reason}
	if reason == ReasonDisk {
		e.Err = err
	}
	if retry >= 0 {
		e.RetryAt = now.Add(time.Duration(retry - t))
	}
	return Permit{}, e
}

// firstProbe gives out the first probe of generation gen, now that half-open was
// written with err.
func (b *Breaker) firstProbe(t int64, c *circuit, gen uint64, err error) (p Permit, retry int64, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.gen != gen {
		return p, max(c.until, t), c.reason // somebody decided otherwise meanwhile
	}
	if err != nil {
		// a probe that is not on disk could be sent twice
		c.open(t, b.opts.Reset, ReasonDisk)
		return p, c.until, ReasonDisk
	}
	c.stored = true
	return c.probe(t), 0, ""
}

// Done reports the outcome of the call at now. retryAfter is what the server asked
// for with a failure, 0 if nothing.
func (p Permit) Done(now time.Time, o Outcome, retryAfter time.Duration) {
	if p.c == nil {
		return
	}
	b := p.c.b
	t := b.tick(now)
	b.mu.Lock()
	tr := p.c.done(t, p.gen, o, retryAfter)
	b.mu.Unlock()
	if tr != nil {
		b.commit(t, p.c, tr)
	}
}

// Force holds a circuit open or closed, or lets it decide again: then it starts
// closed. The decision is on disk when Force returns nil, and outlives restarts.
func (b *Breaker) Force(now time.Time, key Key, hand Hand) error {
	t := b.tick(now)
	reason := ""
	if hand == HeldOpen {
		reason = ReasonHand
	}
	b.mu.Lock()
	c := b.circuit(key)
	c.hand, c.trips = hand, 0
	tr := c.enter(StateClosed, reason)
	b.mu.Unlock()
	return b.commit(t, c, tr)
}

// TryNow ends the wait of an open circuit: the next call is a probe.
func (b *Breaker) TryNow(now time.Time, key Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.circuit(key); c.state == StateOpen {
		c.until = min(c.until, b.tick(now))
	}
}

// Forget drops all circuits of a shop that was removed.
func (b *Breaker) Forget(shop string) error {
	b.io.Lock()
	defer b.io.Unlock()
	b.mu.Lock()
	gone := b.shops[shop]
	delete(b.shops, shop)
	for _, c := range gone {
		c.gen++ // its calls report to nobody
	}
	b.mu.Unlock()
	err := b.db.Update(func(tx *bolt.Tx) error {
		bk := tx.Bucket(bucketName)
		for _, c := range gone {
			if err := bk.Delete(c.key.bytes()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("breaker: forget: %w", err)
	}
	return nil
}

// commit puts what a transition led to on disk, then reports it, under no lock.
func (b *Breaker) commit(t int64, c *circuit, tr *Transition) error {
	err := b.write(t, c)
	if b.opts.OnTransition != nil {
		b.opts.OnTransition(*tr)
	}
	return err
}

// Status is what the page shows of one key.
type Status struct {
	Key     Key
	State   State
	Hand    Hand
	Reason  string    // why it is open
	RetryAt time.Time // open: when the first probe may go, perhaps past; else zero
}

// ShopAt is the state of a shop's circuits at an instant, in no order.
func (b *Breaker) ShopAt(now time.Time, shop string) []Status {
	t := b.tick(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Status
	for _, c := range b.shops[shop] {
		s := Status{Key: c.key, State: c.state, Hand: c.hand, Reason: c.reason}
		if c.state == StateOpen {
			s.RetryAt = now.Add(time.Duration(c.until - t))
		}
		list = append(list, s)
	}
	return list
}
