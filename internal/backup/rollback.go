package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"stockroom/internal/datadir"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
)

// A store that was replaced by an older copy of itself is sound, and nothing in it says
// that it is old. So all three count the same generation, raised at each start, each
// proof and each clean stop, state.db first and products.db before queue.db. The file
// that is behind is the one that was replaced. When all three were, nothing is seen.

// ends are noted in each store: the generation, and how far the stores had come when it
// was raised.
type ends struct {
	Generation uint64 `json:"generation"`
	// Raising, in state.db only: the two others may have this generation or the one
	// before it, for a crash may have come in between.
	Raising bool   `json:"raising,omitempty"`
	Seq     int64  `json:"seq"`  // newest change
	Jobs    uint64 `json:"jobs"` // newest job's id
	// Version is that of the program, so that an older one can name it.
	Version string `json:"version,omitempty"`
}

const endsName = state.NotedAs // in state.db, under marks

// Stores are the three of them.
type Stores struct {
	Store *store.Store
	Queue *queue.Queue
	State *state.Store
	// Version is that of the program.
	Version string
}

// noted is what the stores say; nil is a file that says nothing, since it is new or of
// a version that did not count.
type noted struct{ state, products, queue *ends }

func (s Stores) noted(ctx context.Context) (n noted, err error) {
	kept, _ := s.State.Get(marks, endsName)
	products, err := s.Store.Noted(ctx)
	if err != nil {
		return n, err
	}
	jobs, err := s.Queue.Noted(ctx)
	if err != nil {
		return n, err
	}
	for _, of := range []struct {
		text []byte
		to   **ends
	}{{kept, &n.state}, {[]byte(products), &n.products}, {jobs, &n.queue}} {
		if e := new(ends); len(of.text) > 0 && json.Unmarshal(of.text, e) == nil {
			*of.to = e
		}
	}
	return n, nil
}

// older are the names of the stores that are older than the others.
func (n noted) older() (list []string) {
	at := func(e *ends) uint64 {
		if e == nil {
			return 0
		}
		return e.Generation
	}
	s, p, q := at(n.state), at(n.products), at(n.queue)
	low, begun := s, n.state != nil && n.state.Raising
	if begun {
		low--
	}
	if n.state != nil && max(p, q) > s {
		list = append(list, datadir.StateFile)
	}
	if n.products != nil && (p < low || p < q) {
		list = append(list, datadir.ProductsFile)
	}
	if n.queue != nil && (q < low || q < p && !(begun && p == s && q == low)) {
		list = append(list, datadir.QueueFile)
	}
	return list
}

// RolledBack returns the names of the stores that are older copies of themselves, and
// the newest change that products.db is known to have had. Ask before the next Raise.
func (s Stores) RolledBack(ctx context.Context) (older []string, seq int64, err error) {
	n, err := s.noted(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("compare the ages of the stores: %w", err)
	}
	older, seq = n.older(), max(s.Store.LastSeq(), s.State.Watermark().Seq)
	jobs := uint64(0)
	for _, e := range []*ends{n.state, n.products, n.queue} {
		if e != nil {
			seq, jobs = max(seq, e.Seq), max(jobs, e.Jobs)
		}
	}
	if jobs > s.Queue.LastID() && (len(older) == 0 || older[len(older)-1] != datadir.QueueFile) {
		older = append(older, datadir.QueueFile) // of the same generation, and yet jobs are missing
	}
	return older, seq, nil
}

// Raise begins a new generation. One that did not come to its end, by a crash or an
// error, is ended first, so that no store is ever more than one behind.
func (s Stores) Raise(ctx context.Context) error {
	n, err := s.noted(ctx)
	if err != nil {
		return fmt.Errorf("raise the generation: %w", err)
	}
	next := ends{Seq: s.Store.LastSeq(), Jobs: s.Queue.LastID(), Version: s.Version}
	for _, e := range []*ends{n.state, n.products, n.queue} {
		if e != nil {
			next.Generation = max(next.Generation, e.Generation)
		}
	}
	if n.state == nil || !n.state.Raising || n.state.Generation != next.Generation {
		next.Generation++
	}
	begun := next
	begun.Raising = true
	text, err := json.Marshal(next)
	if err == nil {
		err = s.noteInState(begun)
	}
	if err == nil {
		err = s.Store.Note(ctx, string(text))
	}
	if err == nil {
		err = s.Queue.Note(ctx, text)
	}
	if err == nil {
		err = s.noteInState(next)
	}
	if err != nil {
		return fmt.Errorf("raise the generation: %w", err)
	}
	return nil
}

func (s Stores) noteInState(e ends) error {
	text, err := json.Marshal(e)
	return errors.Join(err, s.State.Put(marks, endsName, text))
}

// NoteJobs notes in state.db how far the ids of jobs have come, so that an older queue.db
// of the same generation shows.
func (s Stores) NoteJobs() error {
	var e ends
	text, ok := s.State.Get(marks, endsName)
	if last := s.Queue.LastID(); ok && json.Unmarshal(text, &e) == nil && e.Jobs < last {
		e.Jobs = last
		return s.noteInState(e)
	}
	return nil
}

const openName = "open" // in state.db, under marks

// NoteOpen notes that products.db is in use, or was closed.
func NoteOpen(s *state.Store, open bool) error {
	if open {
		return s.Put(marks, openName, []byte("1"))
	}
	return s.Delete(marks, openName)
}

// Unclosed reports whether the last run ended without closing products.db: then its
// write-ahead log lies beside it, unless another file was put there. A copy by a program
// such as Litestream may be older by less than generations and ends can show.
func Unclosed(s *state.Store) bool {
	_, open := s.Get(marks, openName)
	return open
}
