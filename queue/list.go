package queue

import (
	"context"

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
	err = q.view(ctx, func(tx *bbolt.Tx) error {
		jobs, next, bad = nil, 0, false
		ids := q.walk(&f)
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
	if bad {
		q.doubt(ctx)
	}
	return jobs, next, err
}

// walk goes through the ids of the jobs that a filter may name, in its order, as
// they were when it began.
type walk struct {
	back bool
	sets []*set
	ids  []uint64 // the next one of each, 0 at its end
}

func (q *Queue) walk(f *Filter) *walk {
	w := &walk{back: f.NewestFirst}
	q.mu.Lock()
	defer q.mu.Unlock()
	for key, g := range q.mem.groups {
		if !f.names(key) {
			continue
		}
		for state, s := range g.jobs {
			// The file may be a commit ahead, in which a leased job has ended otherwise.
			if s.Len() > 0 && (f.State == "" || f.State == state || state == Leased) {
				w.sets = append(w.sets, s.Clone())
				w.ids = append(w.ids, behind(s, f.After, w.back))
			}
		}
	}
	return w
}

// next returns the next id, 0 at the end.
func (w *walk) next() (id uint64) {
	at := 0
	for i, next := range w.ids {
		if next != 0 && (id == 0 || (next > id) == w.back) {
			at, id = i, next
		}
	}
	if id != 0 {
		w.ids[at] = behind(w.sets[at], id, w.back)
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
