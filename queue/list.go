package queue

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"
)

// Filter names jobs. Empty fields name all.
type Filter struct {
	State State
	Kind  string
	// Labels: only jobs whose labels have these values. What LabelShop and LabelTopic
	// name is found without looking at other jobs.
	Labels map[string]string
	// NewestFirst lists by falling id, the order in which jobs came; else by
	// rising id.
	NewestFirst bool
	// After is the id behind which the list goes on: what List returned as next.
	// 0 for the start.
	After uint64
	// Limit is the most jobs to return. Default 100 (zero or less), at most 1,000.
	Limit int
}

func (f *Filter) matches(r *record) bool {
	for name, value := range f.Labels {
		if r.labels[name] != value {
			return false
		}
	}
	return (f.State == "" || r.state == f.State) && (f.Kind == "" || r.kind == f.Kind)
}

// names reports whether jobs of a group may match.
func (f *Filter) names(key groupKey) bool {
	shop, ofShop := f.Labels[LabelShop]
	topic, ofTopic := f.Labels[LabelTopic]
	return (f.Kind == "" || key.kind == f.Kind) && (!ofShop || key.shop == shop) && (!ofTopic || key.topic == topic)
}

// List returns jobs without their payloads, and where to go on (Filter.After),
// 0 at the end. Records that can't be understood are left out.
func (q *Queue) List(ctx context.Context, f Filter) (jobs []Job, next uint64, err error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	f.Limit = min(f.Limit, 1000)
	bad := false
	q.mu.Lock()
	commits := q.commits
	q.mu.Unlock()
	for tries := range listTries {
		jobs, next, bad, err = q.list(ctx, f, &commits, tries == listTries-1)
		if !errors.Is(err, errMoved) {
			break
		}
	}
	if bad {
		q.doubt(ctx)
	}
	return jobs, next, err
}

// listTries bounds how often a list begins again because of commits. The last one
// may miss a job that moved within microseconds.
const listTries = 10

// errMoved: a commit has ended between the look at the file and the one at memory.
var errMoved = errors.New("jobs have moved")

// list lists what the file has, found by what memory has: of no commit more than the
// file had since commits was read, which it brings up to date with errMoved.
func (q *Queue) list(ctx context.Context, f Filter, commits *int64, last bool) (jobs []Job, next uint64, bad bool, err error) {
	err = q.view(ctx, func(tx *bbolt.Tx) error {
		ids, moved := q.walk(&f, commits)
		if moved && !last {
			return errMoved
		}
		for looked := 0; ; looked++ {
			if looked%1000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			id := ids.next()
			if id == 0 {
				return nil
			}
			r, found, err := read(tx, id)
			bad = bad || err != nil
			if err != nil || !found || !f.matches(&r) { // it may have changed a moment ago
				continue
			}
			if len(jobs) == f.Limit {
				next = jobs[len(jobs)-1].ID
				return nil
			}
			jobs = append(jobs, r.job(q.opt.MaxAttempts))
		}
	})
	return jobs, next, bad, err
}

// walk goes through the ids of the jobs that a filter may name, in its order, as
// they were when it began. What the commit under way moves is looked at whatever it
// was: the file may have it already.
type walk struct {
	back bool
	sets []*set
	ids  []uint64 // the next one of each, 0 at its end
}

// walk also tells whether memory has changed since commits was read.
func (q *Queue) walk(f *Filter, commits *int64) (w *walk, moved bool) {
	w = &walk{back: f.NewestFirst}
	q.mu.Lock()
	defer q.mu.Unlock()
	moved, *commits = *commits != q.commits, q.commits
	if coming := newSet(); len(q.mem.coming) > 0 {
		for _, m := range q.mem.coming {
			coming.ReplaceOrInsert(mark{id: m.r.id})
		}
		w.add(coming, f.After)
	}
	for key, g := range q.mem.groups {
		if !f.names(key) {
			continue
		}
		for state, s := range g.jobs {
			if s.Len() > 0 && (f.State == "" || f.State == state) {
				w.add(s.Clone(), f.After)
			}
		}
	}
	return w, moved
}

func (w *walk) add(s *set, after uint64) {
	w.sets = append(w.sets, s)
	w.ids = append(w.ids, behind(s, after, w.back))
}

// next returns the next id, once, and 0 at the end.
func (w *walk) next() (id uint64) {
	for _, next := range w.ids {
		if next != 0 && (id == 0 || (next > id) == w.back) {
			id = next
		}
	}
	for i, next := range w.ids {
		if next == id && id != 0 {
			w.ids[i] = behind(w.sets[i], id, w.back)
		}
	}
	return id
}

// behind is the id that follows one in a set, 0 for none.
func behind(s *set, id uint64, back bool) (next uint64) {
	found := func(m mark) bool { next = m.id; return false }
	switch {
	case !back:
		s.AscendGreaterOrEqual(mark{id: id + 1}, found)
	case id == 0:
		s.Descend(found)
	default:
		s.DescendLessOrEqual(mark{id: id - 1}, found)
	}
	return next
}

// read returns the record with an id, or an error when it can't be understood.
func read(tx *bbolt.Tx, id uint64) (r record, found bool, err error) {
	key := idKey(id)
	for _, name := range [...][]byte{bucketJobs, bucketDead} {
		if v := tx.Bucket(name).Get(key); v != nil {
			r, err = decodeRecord(id, v)
			return r, true, err
		}
	}
	return r, false, nil
}

// Get returns a job with its payload, or ErrNotFound. The payload is nil when it
// is no longer what was written.
func (q *Queue) Get(ctx context.Context, id uint64) (j Job, err error) {
	bad := false
	err = q.view(ctx, func(tx *bbolt.Tx) error {
		r, found, err := read(tx, id)
		if bad = err != nil; bad || !found {
			return ErrNotFound
		}
		t := &txn{payloads: tx.Bucket(bucketPayloads)}
		j = r.job(q.opt.MaxAttempts)
		var ok bool
		if j.Payload, ok = t.payload(&r); !ok {
			bad = r.class != ClassDamaged // else it is known
		}
		return nil
	})
	if bad {
		q.doubt(ctx)
	}
	if err != nil {
		return Job{}, err
	}
	return j, nil
}
