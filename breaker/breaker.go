package breaker

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"stockroom/uptime"
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
	slice time.Duration

	// circuits in ready are found without a lock; new ones wait in young until
	// they have been missed often enough to pay for the copy
	ready  atomic.Pointer[map[Key]*circuit]
	mu     sync.Mutex
	young  map[Key]*circuit
	missed int

	io sync.Mutex // held around every write, before any circuit's mu
}

// Permit is the right to make one call. Report its outcome once with Done; the
// zero Permit reports to nobody.
type Permit struct {
	c     *circuit
	gen   uint64
	at    int64
	probe uint64 // its bit among the probes; 0 while closed
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
	b := &Breaker{db: db, opts: opts, start: start, base: now, young: map[Key]*circuit{}}
	b.slice = max(b.opts.Window/slices, 1)
	ready := map[Key]*circuit{}
	b.ready.Store(&ready)
	if err := b.load(ready); err != nil {
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

// circuit finds the circuit of a key or makes it.
func (b *Breaker) circuit(key Key) *circuit {
	if c := (*b.ready.Load())[key]; c != nil {
		return c
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	ready := *b.ready.Load()
	if c := ready[key]; c != nil {
		return c
	}
	c := b.young[key]
	if c == nil {
		c = &circuit{key: key, b: b}
		c.setGate()
		b.young[key] = c
	}
	if b.missed++; b.missed > len(ready)+len(b.young) {
		b.publish(ready)
	}
	return c
}

// publish moves the young circuits to where no lock is needed. Needs b.mu.
func (b *Breaker) publish(ready map[Key]*circuit) {
	m := make(map[Key]*circuit, len(ready)+len(b.young))
	for k, v := range ready {
		m[k] = v
	}
	for k, v := range b.young {
		m[k] = v
	}
	b.ready.Store(&m)
	clear(b.young)
	b.missed = 0
}

// Allow lets a call through at now, or refuses it with an *OpenError. No lock
// is held while the call runs.
func (b *Breaker) Allow(now time.Time, key Key) (Permit, error) {
	c := b.circuit(key)
	if gate := c.gate.Load(); gate&1 != 0 {
		return Permit{c: c, gen: gate >> 1, at: b.tick(now)}, nil
	}
	return b.admit(now, c)
}

// admit decides for a circuit that is not closed, and writes the step to
// half-open before its first probe goes out.
func (b *Breaker) admit(now time.Time, c *circuit) (Permit, error) {
	t := b.tick(now)
	refuse := func(at int64, reason string, err error) (Permit, error) {
		e := &OpenError{Key: c.key, Reason: reason, Err: err}
		if at >= 0 {
			e.RetryAt = now.Add(time.Duration(at - t))
		}
		return Permit{}, e
	}
	c.mu.Lock()
	p, retry, reason, tr := c.allow(t)
	half := tr != nil && tr.To == StateHalfOpen
	gen := c.gen
	c.mu.Unlock()
	if tr == nil {
		if p.c == nil {
			return refuse(retry, reason, nil)
		}
		return p, nil
	}
	err := b.write(t, c)
	b.tell(tr)
	if !half {
		return refuse(retry, reason, nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != gen {
		return refuse(max(c.until, t), c.reason, nil) // somebody decided otherwise meanwhile
	}
	if err != nil {
		// a probe that is not on disk could be sent twice
		c.enter(t, StateOpen, ReasonDisk)
		c.wait = int64(b.opts.Reset)
		c.until = t + c.wait
		return refuse(c.until, ReasonDisk, err)
	}
	c.stored = true
	return c.probe(t), nil
}

// Done reports the outcome of the call. retryAfter is what the server asked
// for with a failure, 0 if nothing. A call that succeeded counts at the instant
// it was allowed: no clock is read for it.
func (p Permit) Done(o Outcome, retryAfter time.Duration) {
	if p.c == nil {
		return
	}
	now := p.at
	if o == Failure || p.probe != 0 {
		now = p.c.b.tick(time.Now())
	}
	p.done(now, o, retryAfter)
}

// DoneAt is Done at an explicit instant.
func (p Permit) DoneAt(now time.Time, o Outcome, retryAfter time.Duration) {
	if p.c == nil {
		return
	}
	p.done(p.c.b.tick(now), o, retryAfter)
}

func (p Permit) done(t int64, o Outcome, retryAfter time.Duration) {
	c := p.c
	if p.probe == 0 {
		if o == Ignored || c.gate.Load() != p.gen<<1|1 {
			return // says nothing, or too late
		}
		if o == Success {
			c.count(t, 0)
			c.succeed(p.gen)
			return
		}
	}
	c.mu.Lock()
	if p.probe == 0 && p.gen == c.gen && c.hand == Auto {
		c.count(t, 1)
		c.run.Add(1)
	}
	tr := c.done(t, p, o, retryAfter)
	c.mu.Unlock()
	if tr != nil {
		c.b.write(t, c)
		c.b.tell(tr)
	}
}

// Force holds a circuit open or closed, or lets it decide again: then it starts
// closed. The decision is on disk when Force returns nil, and outlives restarts.
func (b *Breaker) Force(now time.Time, key Key, hand Hand) error {
	c := b.circuit(key)
	t := b.tick(now)
	c.mu.Lock()
	c.hand = hand
	reason := ""
	if hand == HeldOpen {
		reason = ReasonHand
	}
	c.trips = 0
	tr := c.enter(t, StateClosed, reason)
	c.mu.Unlock()
	err := b.write(t, c)
	b.tell(tr)
	return err
}

// TryNow ends the wait of an open circuit: the next call is a probe.
func (b *Breaker) TryNow(now time.Time, key Key) {
	c := b.circuit(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == StateOpen {
		c.until = min(c.until, b.tick(now))
	}
}

// Forget drops all circuits of a shop that was removed.
func (b *Breaker) Forget(shop string) error {
	b.io.Lock()
	defer b.io.Unlock()
	var gone []*circuit
	b.mu.Lock()
	b.publish(*b.ready.Load())
	kept := map[Key]*circuit{}
	for k, c := range *b.ready.Load() {
		if k.Shop == shop {
			gone = append(gone, c)
		} else {
			kept[k] = c
		}
	}
	b.ready.Store(&kept)
	b.mu.Unlock()
	for _, c := range gone {
		c.mu.Lock()
		c.gen++ // its calls report to nobody
		c.setGate()
		c.mu.Unlock()
	}
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

func (b *Breaker) tell(tr *Transition) {
	if b.opts.OnTransition != nil {
		b.opts.OnTransition(*tr)
	}
}
