package queue

import (
	"context"
	"encoding/binary"

	"go.etcd.io/bbolt"
)

// Filter names jobs. Empty fields name all.
type Filter struct {
	State State
	Kind  string
	// Label and Value: only jobs whose label has this value. "" for any job.
	Label, Value string
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
	return (f.State == "" || r.state == f.State) && (f.Kind == "" || r.kind == f.Kind) &&
		(f.Label == "" || r.labels[f.Label] == f.Value)
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
		var sources []*source
		if f.State != Dead {
			sources = append(sources, newSource(tx.Bucket(bucketJobs), f))
		}
		if f.State == Dead || f.State == "" {
			sources = append(sources, newSource(tx.Bucket(bucketDead), f))
		}
		for looked := 0; ; looked++ {
			if looked%1000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			s := first(sources, f.NewestFirst)
			if s == nil {
				return nil
			}
			r, err := decodeRecord(s.id, s.val)
			if err == nil && f.matches(&r) {
				if len(jobs) == f.Limit {
					next = jobs[len(jobs)-1].ID
					return nil
				}
				jobs = append(jobs, r.job(q.opt.MaxAttempts))
			}
			bad = bad || err != nil
			s.advance()
		}
	})
	if bad {
		q.doubt(ctx)
	}
	return jobs, next, err
}

// source walks one bucket of records in the order of a list.
type source struct {
	c    *bbolt.Cursor
	back bool
	id   uint64 // 0 at the end
	val  []byte
}

func newSource(b *bbolt.Bucket, f Filter) *source {
	s := &source{c: b.Cursor(), back: f.NewestFirst}
	switch {
	case !f.NewestFirst:
		s.set(s.c.Seek(idKey(f.After + 1)))
	case f.After == 0:
		s.set(s.c.Last())
	default:
		// The cursor stands on the first id not below After, or at the end.
		if k, _ := s.c.Seek(idKey(f.After)); k == nil {
			s.set(s.c.Last())
		} else {
			s.set(s.c.Prev())
		}
	}
	return s
}

func (s *source) advance() {
	if s.back {
		s.set(s.c.Prev())
	} else {
		s.set(s.c.Next())
	}
}

func (s *source) set(k, v []byte) {
	s.id, s.val = 0, v
	if len(k) == 8 {
		s.id = binary.BigEndian.Uint64(k)
	}
}

// first returns the source whose id comes next, nil when all have ended.
func first(sources []*source, newest bool) (best *source) {
	for _, s := range sources {
		if s.id != 0 && (best == nil || (s.id > best.id) == newest) {
			best = s
		}
	}
	return best
}

// Get returns a job with its payload, or ErrNotFound. The payload is nil when it
// is no longer what was written.
func (q *Queue) Get(ctx context.Context, id uint64) (j Job, err error) {
	bad := false
	err = q.view(ctx, func(tx *bbolt.Tx) error {
		key := idKey(id)
		for _, name := range [...][]byte{bucketJobs, bucketDead} {
			v := tx.Bucket(name).Get(key)
			if v == nil {
				continue
			}
			r, err := decodeRecord(id, v)
			if err != nil {
				bad = true
				return ErrNotFound
			}
			t := &txn{payloads: tx.Bucket(bucketPayloads)}
			j = r.job(q.opt.MaxAttempts)
			var ok bool
			if j.Payload, ok = t.payload(&r); !ok {
				bad = r.class != ClassDamaged // else it is known
			}
			return nil
		}
		return ErrNotFound
	})
	if bad {
		q.doubt(ctx)
	}
	if err != nil {
		return Job{}, err
	}
	return j, nil
}
