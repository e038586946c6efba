package limiter

import (
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// batchShops bounds one commit, so that nobody waits for 20,000 records.
const batchShops = 512

// request asks for a record of s on disk and a lease of at least need points.
func (s *shop) request(need int) {
	l := s.l
	s.want = max(s.want, need)
	if s.stale || l.closed {
		return
	}
	s.stale = true
	l.stale = append(l.stale, s)
	if !l.flushing {
		l.flushing = true
		l.wg.Go(l.flush)
	}
}

// prefetch asks for the next block while the present one lasts.
func (s *shop) prefetch() {
	if !s.stale && !s.writing && s.lease < s.block()/2 {
		s.request(0)
	}
}

// block is how many points one lease commit brings: enough that commits are
// rare, few enough that a burnt lease is a small part of the window.
func (s *shop) block() int { return max(10, s.budget(s.last)/32) }

// flush writes the records of shops in group commits until none waits. It is
// the only goroutine of the package.
func (l *Limiter) flush() {
	for {
		l.mu.Lock()
		n := min(len(l.stale), batchShops)
		batch := l.stale[:n:n]
		if l.stale = l.stale[n:]; n == 0 {
			l.flushing, l.stale = false, nil
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.write(batch) // whoever waits gets its error
	}
}

// note is the record of a shop to be written.
type note struct {
	s     *shop
	rec   []byte
	block int  // the points that it leases
	probe bool // it knows of the probe that is due
}

// write writes the records of a batch in one commit, with the costs that changed,
// and credits the leases.
func (l *Limiter) write(batch []*shop) error {
	l.io.Lock()
	defer l.io.Unlock()
	l.mu.Lock()
	notes, costs := l.notes(batch)
	l.mu.Unlock()
	err := l.db.Update(func(tx *bolt.Tx) error {
		root := tx.Bucket(rootBucket)
		for _, n := range notes {
			if err := root.Bucket(shopsBucket).Put([]byte(n.s.name), n.rec); err != nil {
				return err
			}
		}
		return saveCosts(root.Bucket(costsBucket), costs)
	})
	if err != nil {
		err = fmt.Errorf("limiter: lease: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsaved = l.unsaved || err != nil && costs != nil
	for _, n := range notes {
		n.s.written(n, err)
	}
	return err
}

// notes makes the records of a batch and the blocks that they lease, and lists the
// remembered costs when one is not on disk. Needs l.mu.
func (l *Limiter) notes(batch []*shop) (notes []note, costs map[string]int) {
	now := l.opts.Uptime.Read() // after the last tick: a later stamp makes a record look younger, never older
	for _, s := range batch {
		s.stale = false
		if l.shops[s.name] != s {
			continue // forgotten
		}
		n := note{s: s, probe: s.due}
		switch size := s.block(); {
		case l.closed || s.resting && s.unused():
			// from here on, whoever wants points needs a new lease
			s.lease = 0
		case s.lease < max(s.want, size/2):
			n.block = max(size, s.want-s.lease)
		}
		s.want, s.writing = 0, true
		n.rec = s.record(s.flying+s.lease+n.block, now)
		notes = append(notes, n)
	}
	if l.unsaved {
		l.unsaved, costs = false, l.bounds()
	}
	return notes, costs
}

// written takes the outcome of a write: the leased block is there to grant, or
// nobody who waits gets anything. Needs l.mu.
func (s *shop) written(n note, err error) {
	rested := s.resting
	s.writing, s.resting = false, false
	if err != nil {
		s.failAll(err)
		return
	}
	s.lease += n.block
	s.noted = s.noted || n.probe
	if rested && s.unused() && !s.stale {
		delete(s.l.shops, s.name)
		return
	}
	s.prefetch()
	s.pump(s.last)
}

// unused tells that nobody waits, no call is under way and nothing is to be
// written.
func (s *shop) unused() bool { return len(s.flight) == 0 && s.pick() == nil && !s.writing }
