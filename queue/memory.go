package queue

import "time"

// nextDue returns when the next job of a kind is due, as far as the writer knows.
func (q *Queue) nextDue(kind string) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if k := q.mem.kinds[kind]; k != nil {
		return k.next
	}
	return never
}

func (q *Queue) lastID() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.mem.lastID
}

// memory is what is known without reading the file.
type memory struct {
	kinds   map[string]*kindState
	counts  Counters
	damaged int    // records set aside, in the file
	lastID  uint64 // newest id given out
}

// kindState is what is known of a kind.
type kindState struct {
	waiting, snoozed, leased, dead int
	invalid                        int    // of the dead: of ClassValidation
	lowest                         uint64 // no job with a lower id waits
	entered                        uint64 // how often lowest was looked at for a job that began to wait
	next                           int64  // no job is due earlier; never when none waits
	pausedAt                       int64  // 0 when not paused
	workers                        []*worker
	stuck                          map[uint64]stuck // by id
}

// stuck is a job whose handler does not return.
type stuck struct {
	since time.Time // when it was called
	out   outcome   // what its job gets if it never does
}

func (m *memory) kind(name string) *kindState {
	k := m.kinds[name]
	if k == nil {
		k = &kindState{lowest: noID, next: never}
		m.kinds[name] = k
	}
	return k
}

func (k *kindState) stuckSince() (first time.Time) {
	for _, s := range k.stuck {
		if first.IsZero() || s.since.Before(first) {
			first = s.since
		}
	}
	return first
}
