package queue

import (
	"bytes"
	"context"
	"time"

	"go.etcd.io/bbolt"
)

// statsMost is how long Stats waits for a file that is being exchanged.
const statsMost = 500 * time.Millisecond

// Stats is the state of the queue in numbers.
type Stats struct {
	Kinds map[string]KindStats `json:"kinds"`
	// Sums over all kinds.
	Waiting int `json:"waiting"`
	Leased  int `json:"leased"`
	Dead    int `json:"dead"`
	// Damaged counts records set aside because they can't be understood.
	Damaged int      `json:"damaged"`
	Counts  Counters `json:"counts"`
}

// KindStats is the state of one kind.
type KindStats struct {
	Waiting int `json:"waiting"` // due now or later
	Snoozed int `json:"snoozed"` // of those, put back by a handler
	Leased  int `json:"leased"`
	Dead    int `json:"dead"`
	Invalid int `json:"invalid"` // of the dead: their class is validation
	Workers int `json:"workers"` // calls of Work
	// Stuck counts jobs whose handler does not return although its context ended,
	// and StuckSince is when the first was called. They stay leased; others run in
	// their place, up to as many again as run at a time. A restart ends them.
	Stuck      int       `json:"stuck"`
	StuckSince time.Time `json:"stuck_since,omitzero"`
	// OldestEnqueuedAt is when the job that waits longest came; zero for none.
	OldestEnqueuedAt time.Time `json:"oldest_enqueued_at,omitzero"`
	// NextDue is when the next waiting job is due, in the past when one is; zero
	// for none.
	NextDue time.Time `json:"next_due,omitzero"`
}

// Counters count what has happened since Open.
type Counters struct {
	Enqueued  uint64 `json:"enqueued"`  // jobs handed in and stored, coalesced and buried ones too
	Coalesced uint64 `json:"coalesced"` // jobs another one stands for
	Done      uint64 `json:"done"`      // handlers that returned nil
	Retried   uint64 `json:"retried"`   // failed attempts with another to come
	Snoozed   uint64 `json:"snoozed"`   // put back by a handler
	Died      uint64 `json:"died"`      // became dead letters
	Reclaimed uint64 `json:"reclaimed"` // in hand when the process ended
	Redriven  uint64 `json:"redriven"`  // brought back from the dead
	Resolved  uint64 `json:"resolved"`  // dead letters mended by a later success
	Discarded uint64 `json:"discarded"` // deleted by a person
}

func (c *Counters) add(d Counters) {
	c.Enqueued += d.Enqueued
	c.Coalesced += d.Coalesced
	c.Done += d.Done
	c.Retried += d.Retried
	c.Snoozed += d.Snoozed
	c.Died += d.Died
	c.Reclaimed += d.Reclaimed
	c.Redriven += d.Redriven
	c.Resolved += d.Resolved
	c.Discarded += d.Discarded
}

// Stats returns the state of the queue. Counts are kept in memory and are always
// given. NextDue and OldestEnqueuedAt are read from the file, for which it waits half
// a second at most; when the file can't be read they stay zero.
func (q *Queue) Stats() Stats {
	s := Stats{Kinds: map[string]KindStats{}}
	lowest, entered := map[string]uint64{}, map[string]uint64{}
	q.mu.Lock()
	s.Counts, s.Damaged = q.mem.counts, q.mem.damaged
	for name, k := range q.mem.kinds {
		if k.waiting == 0 && k.leased == 0 && k.dead == 0 && len(k.workers) == 0 {
			continue
		}
		v := KindStats{
			Waiting: k.waiting, Snoozed: k.snoozed, Leased: k.leased, Dead: k.dead, Invalid: k.invalid,
			Workers: len(k.workers), Stuck: len(k.stuck),
		}
		if len(k.stuck) > 0 {
			v.StuckSince = k.stuck[0].since
		}
		s.Kinds[name] = v
		s.Waiting += k.waiting
		s.Leased += k.leased
		s.Dead += k.dead
		if k.waiting > 0 {
			lowest[name], entered[name] = k.lowest, k.entered
		}
	}
	q.mu.Unlock()
	if len(lowest) == 0 {
		return s
	}
	found := map[string]uint64{}
	ctx, cancel := context.WithTimeout(context.Background(), statsMost)
	defer cancel()
	_ = q.view(ctx, func(tx *bbolt.Tx) error {
		for name, from := range lowest {
			k := s.Kinds[name]
			k.NextDue = nextOf(tx.Bucket(bucketDue), name)
			walkIDs(tx.Bucket(bucketJobs), from, func(id uint64, v []byte) bool {
				r, err := decodeRecord(id, v)
				if err != nil || r.kind != name || r.state != Waiting {
					return true
				}
				k.OldestEnqueuedAt = instant(r.enqueuedAt)
				found[name] = id
				return false
			})
			s.Kinds[name] = k
		}
		return nil
	})
	// The next look starts where this one found something, unless a job has come
	// to wait meanwhile.
	q.mu.Lock()
	for name, id := range found {
		if k := q.mem.kinds[name]; k != nil && k.entered == entered[name] && k.waiting > 0 {
			k.lowest = max(k.lowest, id)
		}
	}
	q.mu.Unlock()
	return s
}

// nextOf is when the next job of a kind is due, zero for none.
func nextOf(b *bbolt.Bucket, kind string) time.Time {
	prefix := append([]byte(kind), 0)
	c := b.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		if due, _, ok := dueOf(k); ok && len(k) == len(prefix)+16 {
			return instant(due)
		}
	}
	return time.Time{}
}
