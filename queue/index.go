package queue

import (
	"time"

	"github.com/google/btree"
)

// kind is a copy of what is known of a kind, as far as the writer knows.
func (q *Queue) kind(name string) kindState {
	q.mu.Lock()
	defer q.mu.Unlock()
	if k := q.mem.kinds[name]; k != nil {
		return *k
	}
	return kindState{next: never, due: never}
}

func (q *Queue) lastID() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.mem.lastID
}

// memory is what is known without reading the file. Counts and ids follow from the
// records: they are read once at Open and follow each commit from then on.
type memory struct {
	all     Tally
	kinds   map[string]*kindState
	groups  map[groupKey]*group
	counts  Counters
	damaged int    // records set aside, in the file
	coming  []move // of the commit that is in the file and not yet here, or is about to be
	lastID  uint64 // newest id given out
}

func newMemory() memory {
	return memory{kinds: map[string]*kindState{}, groups: map[groupKey]*group{}}
}

// kindState is what is known of a kind.
type kindState struct {
	Tally
	next    int64 // no job has to be handed out earlier; never when none waits
	due     int64 // when the next waiting job is due, never for none
	workers []*worker
	stuck   []stuck // replaced as a whole
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
		k = &kindState{next: never, due: never}
		m.kinds[name] = k
	}
	return k
}

// groupKey names the jobs that are counted and listed together.
type groupKey struct{ kind, shop, topic string }

// group are the jobs of one kind with the same two labels. An empty one is forgotten.
type group struct {
	Tally
	jobs   map[State]*set // by id
	failed *set           // those that wait or are leased after a failed try, by when they are due
}

// set holds jobs in order. A clone costs nothing and stands still.
type set = btree.BTreeG[mark]

// mark is one job in a set.
type mark struct {
	id  uint64
	at  int64 // when it came; in the set of failed jobs when it is due
	due bool  // of that set
}

func newSet() *set {
	return btree.NewG(16, func(a, b mark) bool {
		if a.due && a.at != b.at {
			return a.at < b.at
		}
		return a.id < b.id
	})
}

// count adds a job to all that is counted, by 1, or takes it out, by -1.
func (m *memory) count(r *record, by int) {
	m.all.count(r, by)
	m.kind(r.kind).count(r, by)
	key := groupKey{r.kind, r.labels[LabelShop], r.labels[LabelTopic]}
	g := m.groups[key]
	if g == nil {
		g = &group{jobs: map[State]*set{Waiting: newSet(), Leased: newSet(), Dead: newSet()}, failed: newSet()}
		m.groups[key] = g
	}
	g.count(r, by)
	put := func(s *set, k mark) {
		if by > 0 {
			s.ReplaceOrInsert(k)
		} else {
			s.Delete(k)
		}
	}
	put(g.jobs[r.state], mark{id: r.id, at: r.enqueuedAt})
	if r.unwell() {
		put(g.failed, mark{id: r.id, at: r.dueAt, due: true})
	}
	if g.Tally == (Tally{}) {
		delete(m.groups, key)
	}
}
