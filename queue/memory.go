package queue

import (
	"slices"
	"time"
)

// kind is a copy of what is known of a kind, as far as the writer knows.
func (q *Queue) kind(name string) kindState {
	q.mu.Lock()
	defer q.mu.Unlock()
	if k := q.mem.kinds[name]; k != nil {
		return *k
	}
	return kindState{next: never}
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
	workers                        []*worker
	stuck                          []stuck // replaced as a whole
}

// stuck is a job whose handler does not return.
type stuck struct {
	id    uint64
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

// without is a kind's stuck jobs but for one.
func (k kindState) without(id uint64) []stuck {
	return slices.DeleteFunc(slices.Clone(k.stuck), func(s stuck) bool { return s.id == id })
}
