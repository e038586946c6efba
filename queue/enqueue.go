package queue

import (
	"context"
	"maps"
	"math/rand/v2"
)

// Enqueue stores a job and returns its id once it is on disk. coalesced says
// that a waiting job with the same kind and key stands for it; the id is that
// job's. When ctx ends first, ctx's error is returned and the job may be stored
// all the same. Errors: ErrInvalid, ErrUnavailable, ErrClosed.
func (q *Queue) Enqueue(ctx context.Context, j NewJob) (id uint64, coalesced bool, err error) {
	n, err := q.prepare(j)
	if err != nil {
		return 0, false, err
	}
	if err = q.do(ctx, "enqueue", n.bytes(), func(t *txn) error { t.enqueue(n); return nil }); err != nil {
		return 0, false, err
	}
	return n.id, n.coalesced, nil
}

// EnqueueAll stores jobs in one commit: all of them or, on error, none. Keep a
// call below some 10,000 jobs or 64 MiB. Errors are those of Enqueue.
func (q *Queue) EnqueueAll(ctx context.Context, jobs []NewJob) error {
	prepared := make([]*incoming, len(jobs))
	size := 0
	for i, j := range jobs {
		n, err := q.prepare(j)
		if err != nil {
			return err
		}
		prepared[i] = n
		size += n.bytes()
	}
	return q.do(ctx, "enqueue all", size, func(t *txn) error {
		for _, n := range prepared {
			t.enqueue(n)
		}
		return nil
	})
}

// Bury stores a job as a dead letter at once, without any attempt. NotBefore and
// Delay mean nothing here. Errors are those of Enqueue.
func (q *Queue) Bury(ctx context.Context, j NewJob, class Class, cause error) (id uint64, err error) {
	n, err := q.prepare(j)
	if err != nil {
		return 0, err
	}
	text := "unknown"
	if cause != nil {
		text = cause.Error()
	}
	return call(ctx, q, "bury", n.bytes(), func(t *txn) uint64 { return t.buryNew(n, class, text) })
}

func (t *txn) buryNew(n *incoming, class Class, text string) uint64 {
	r := n.record
	r.state, r.class, r.enqueuedAt, r.diedAt = Dead, classes[class.number()], t.ns, t.ns
	r.fail(text)
	t.add(&r, n.payload)
	n.id = r.id
	t.counts.Enqueued++
	t.counts.Died++
	t.q.log.Warn("job was handed in as a dead letter", "id", r.id, "kind", r.kind, "class", string(r.class))
	return r.id
}

// incoming is a checked copy of a NewJob and what became of it.
type incoming struct {
	record    record // without id and times
	payload   []byte
	notBefore int64 // 0 for none
	wait      int64 // ns from now until the first try, when notBefore is 0

	id        uint64
	coalesced bool
}

func (n *incoming) bytes() int { return len(n.payload) + 512 }

func (q *Queue) prepare(j NewJob) (*incoming, error) {
	if err := j.validate(); err != nil {
		return nil, err
	}
	n := &incoming{
		record:    record{state: Waiting, delayed: j.Delay, kind: j.Kind, key: j.Key, labels: maps.Clone(j.Labels)},
		payload:   append([]byte{}, j.Payload...), // the caller may go on with its own
		notBefore: stamp(j.NotBefore),
	}
	n.record.setPayload(n.payload)
	if j.Delay {
		n.wait = int64(Backoff(q.opt.RetryDelay, 1, rand.Float64()))
	}
	return n, nil
}

func (t *txn) enqueue(n *incoming) {
	due := t.ns + n.wait
	if n.notBefore != 0 {
		due = max(n.notBefore, t.ns)
	}
	if n.record.key != "" {
		if id := t.waiter(n.record.kind, n.record.key); id != 0 {
			if r, ok := t.get(id); ok && r.state == Waiting {
				t.coalesce(&r, n, due)
				return
			}
		}
	}
	r := n.record
	r.enqueuedAt = t.ns
	t.waitUntil(&r, due, "")
	t.add(&r, n.payload)
	n.id, n.coalesced = r.id, false
	t.counts.Enqueued++
}

// coalesce lets the waiting job r stand for a new one.
func (t *txn) coalesce(r *record, n *incoming, due int64) {
	t.change(r, func(r *record) {
		r.size, r.sum, r.labels = n.record.size, n.record.sum, n.record.labels
		r.coalesced++
		if r.failures() == 0 && !r.snoozed() && due < r.dueAt {
			t.waitUntil(r, due, "")
		}
	})
	must(t.payloads.Put(idKey(r.id), n.payload))
	n.id, n.coalesced = r.id, true
	t.counts.Enqueued++
	t.counts.Coalesced++
}
