package queue

import (
	"bytes"
	"time"

	"go.etcd.io/bbolt"
)

// Stats is the state of the queue in numbers.
type Stats struct {
	Kinds map[string]KindStats
	Tally // of all kinds
	// Damaged counts records set aside because they can't be understood.
	Damaged int
	Counts  Counters
}

// Tally counts jobs.
type Tally struct {
	Waiting int // due now or later
	Snoozed int // of those, put back by a handler
	Leased  int
	Dead    int
	Invalid int // of the dead: their class is validation
	Failed  int // of the waiting and leased: a try failed
}

// count adds a job, by 1, or takes it out, by -1.
func (n *Tally) count(r *record, by int) {
	switch r.state {
	case Waiting:
		n.Waiting += by
		if r.snoozed() {
			n.Snoozed += by
		}
	case Leased:
		n.Leased += by
	case Dead:
		n.Dead += by
		if r.class == ClassValidation {
			n.Invalid += by
		}
	}
	if r.unwell() {
		n.Failed += by
	}
}

// KindStats is the state of one kind.
type KindStats struct {
	Tally
	Workers int // calls of Work
	// Stuck counts jobs whose handler does not return although its context ended,
	// and StuckSince is when the first was called. They stay leased; others run in
	// their place, up to as many again as run at a time. A restart ends them.
	Stuck      int
	StuckSince time.Time
	// NextDue is when the next waiting job is due, in the past when one is; zero
	// for none.
	NextDue time.Time
}

// Group is the jobs of a kind whose labels LabelShop and LabelTopic are the same.
type Group struct {
	Kind, Shop, Topic string
	Tally
	// First of the waiting jobs, of the leased ones, and of those that failed (the
	// one that is due next, with that time); zero for none.
	Waits, InHand, Fails Mark
}

// Mark is one job and a time of it: when it came, if nothing else is said.
type Mark struct {
	ID uint64
	At time.Time
}

// Counters count what has happened since Open.
type Counters struct {
	Enqueued  uint64 // jobs handed in and stored, coalesced and buried ones too
	Coalesced uint64 // jobs another one stands for
	Done      uint64 // handlers that returned nil
	Retried   uint64 // failed attempts with another to come
	Snoozed   uint64 // put back by a handler
	Died      uint64 // became dead letters
	Reclaimed uint64 // leased when the process ended
	Redriven  uint64 // brought back from the dead
	Resolved  uint64 // dead letters mended by a later success
	Discarded uint64 // deleted by a person
}

// Stats returns the state of the queue. It reads no file, and costs the same however
// many jobs there are.
func (q *Queue) Stats() Stats {
	s := Stats{Kinds: map[string]KindStats{}}
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Counts, s.Damaged, s.Tally = q.mem.counts, q.mem.damaged, q.mem.all
	for name, k := range q.mem.kinds {
		if k.Tally == (Tally{}) && len(k.workers) == 0 {
			continue
		}
		v := KindStats{Tally: k.Tally, Workers: len(k.workers), Stuck: len(k.stuck)}
		if len(k.stuck) > 0 {
			v.StuckSince = k.stuck[0].since
		}
		if k.due != never {
			v.NextDue = instant(k.due)
		}
		s.Kinds[name] = v
	}
	return s
}

// Groups are the jobs by kind, shop and topic, in no order. It costs what Stats does.
func (q *Queue) Groups() []Group {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := make([]Group, 0, len(q.mem.groups))
	for key, g := range q.mem.groups {
		list = append(list, Group{Kind: key.kind, Shop: key.shop, Topic: key.topic, Tally: g.Tally,
			Waits: firstOf(g.jobs[Waiting]), InHand: firstOf(g.jobs[Leased]), Fails: firstOf(g.failed)})
	}
	return list
}

func firstOf(s *set) (m Mark) {
	if k, ok := s.Min(); ok {
		m = Mark{k.id, instant(k.at)}
	}
	return m
}

// nextOf is when the next job of a kind is due, never for none.
func nextOf(b *bbolt.Bucket, kind string) int64 {
	prefix := append([]byte(kind), 0)
	c := b.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		if due, _, ok := dueOf(k); ok && len(k) == len(prefix)+16 {
			return due
		}
	}
	return never
}
