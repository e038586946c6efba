package limiter

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// batchShops bounds one commit, so that nobody waits for 20,000 records.
const batchShops = 2048

// flusher writes the records of shops in group commits, in one goroutine that
// lives while there is something to write.
type flusher struct {
	io sync.Mutex // held around every write of records, before any shop's mu

	mu      sync.Mutex
	list    []*shop
	running bool
	closed  bool // no more writes but Close's own
	wg      sync.WaitGroup
	poison  error // a commit failed in a way that leaves the file unknown
}

// request asks for a record of s on disk and a lease of at least need points.
// Needs s.mu; the work is done elsewhere.
func (s *shop) request(need int64) {
	s.want = max(s.want, need)
	if s.pending {
		s.again = true
		return
	}
	f := &s.l.lease
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		s.flushErr = ErrClosed
		return
	}
	s.pending = true
	f.list = append(f.list, s)
	if !f.running {
		f.running = true
		f.wg.Go(s.l.flushAll)
	}
}

// awaitLease waits until the flusher has been by, with s.mu released.
func (s *shop) awaitLease() error {
	if !s.pending {
		return s.flushErr
	}
	if s.flushed == nil {
		s.flushed = make(chan struct{})
	}
	ch := s.flushed
	s.mu.Unlock()
	<-ch
	s.mu.Lock()
	return s.flushErr
}

// stop refuses further requests and waits for those under way.
func (f *flusher) stop() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.wg.Wait()
}

// flushAll writes until nothing waits. It is the only goroutine of the package.
func (l *Limiter) flushAll() {
	f := &l.lease
	for {
		f.mu.Lock()
		n := min(len(f.list), batchShops)
		batch := f.list[:n:n]
		f.list = f.list[n:]
		if n == 0 {
			f.running, f.list = false, nil
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		l.flush(batch)
	}
}

// note is the record of a shop to be written, and the block it leases.
type note struct {
	s     *shop
	rec   []byte
	block int64
}

// put writes records in one commit. Needs l.lease.io, and no shop's mu.
func (l *Limiter) put(notes []note) error {
	return l.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(rootBucket).Bucket(shopsBucket)
		for _, n := range notes {
			if err := b.Put([]byte(n.s.name), n.rec); err != nil {
				return err
			}
		}
		return nil
	})
}

// flush writes the records of a batch in one commit and credits the leases.
func (l *Limiter) flush(batch []*shop) {
	f := &l.lease
	f.io.Lock()
	jobs := make([]note, 0, len(batch))
	for _, s := range batch {
		s.mu.Lock()
		if s.dead {
			s.written(ErrClosed, 0)
		} else {
			block := int64(0)
			if size := s.block(s.last); s.lease < max(s.want, size/2) {
				block = max(size, s.want-s.lease)
			}
			s.want = 0
			jobs = append(jobs, note{s, s.record(s.flight.points + s.lease + block), block})
		}
		s.mu.Unlock()
	}
	err := f.poison
	if err == nil && len(jobs) > 0 {
		if err = l.put(jobs); err != nil {
			err = fmt.Errorf("limiter: lease: %w", err)
			// A full disk may have room again; after any other failed write
			// nothing on a bare handle can be trusted to be durable. Whatever
			// stands before one mends it or refuses by itself.
			_, bare := l.db.(*bolt.DB)
			if bare && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
				f.poison = err
			}
		}
	}
	f.io.Unlock()
	for _, j := range jobs {
		j.s.mu.Lock()
		j.s.written(err, j.block)
		j.s.mu.Unlock()
	}
}

// written takes the outcome of a write: the leased block is there to grant, or
// nobody who waits gets anything. Needs s.mu.
func (s *shop) written(err error, block int64) {
	s.pending, s.flushErr = false, err
	again := s.again
	s.again = false
	if s.flushed != nil {
		close(s.flushed)
		s.flushed = nil
	}
	if s.dead {
		return
	}
	if err != nil {
		for g := s.pick(); g != nil; g = s.pick() {
			s.fail(g, err)
		}
		return
	}
	s.lease += block
	if again || s.lease < s.block(s.last)/2 {
		s.request(0)
	}
	s.pump(s.last)
}

// Close returns the unspent leases, fails whoever waits with ErrClosed and
// writes every shop's record. Grants still under way count as spent.
func (l *Limiter) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	l.lease.stop()
	l.lease.io.Lock()
	defer l.lease.io.Unlock()
	var notes []note
	for _, s := range l.all() {
		s.mu.Lock()
		s.enter(l.tick(time.Now()))
		s.lease = 0 // nothing is granted beyond this record
		s.end()
		notes = append(notes, note{s: s, rec: s.record(s.flight.points)})
		s.mu.Unlock()
	}
	err := l.lease.poison
	if err == nil {
		err = l.put(notes)
	}
	if err != nil {
		return fmt.Errorf("limiter: close: %w", err)
	}
	return nil
}

// end closes a shop: nothing more is granted here. Needs s.mu.
func (s *shop) end() {
	if s.dead {
		return
	}
	s.dead = true
	for g := s.pick(); g != nil; g = s.pick() {
		s.fail(g, ErrClosed)
	}
	if s.flushed != nil {
		close(s.flushed)
		s.flushed = nil
	}
	if s.alarm.timer != nil {
		s.alarm.timer.Stop()
	}
}

// Forget drops a shop from memory and disk: it was removed. Whoever waits gets
// ErrClosed. Added again, it starts with a spent window.
func (l *Limiter) Forget(name string) error {
	l.lease.io.Lock()
	defer l.lease.io.Unlock()
	sh := l.shardOf(name)
	if s := (*sh.m.Load())[name]; s != nil {
		s.mu.Lock()
		s.end()
		s.mu.Unlock()
		l.drop(s)
	}
	err := l.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(rootBucket).Bucket(shopsBucket).Delete([]byte(name))
	})
	if err != nil {
		return fmt.Errorf("limiter: forget: %w", err)
	}
	return nil
}
