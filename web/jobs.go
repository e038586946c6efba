package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"stockroom/queue"
)

// deliveryKind is the kind of a queued delivery.
const deliveryKind = "webhook"

// jobView is a job as people see it. Times are RFC 3339, absent when the thing
// has not happened.
type jobView struct {
	ID             string            `json:"id"`
	Kind           string            `json:"kind"`
	Key            string            `json:"key,omitempty"`
	Shop           string            `json:"shop,omitempty"`
	Topic          string            `json:"topic,omitempty"`
	WebhookID      string            `json:"webhook_id,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	State          queue.State       `json:"state"`
	Attempts       int               `json:"attempts"`
	MaxAttempts    int               `json:"max_attempts"`
	Snoozes        int               `json:"snoozes"`
	Reclaims       int               `json:"reclaims"`
	Coalesced      int               `json:"coalesced"`
	Redrives       int               `json:"redrives"`
	Class          queue.Class       `json:"class,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	FirstError     string            `json:"first_error,omitempty"`
	LastError      string            `json:"last_error,omitempty"`
	EnqueuedAt     time.Time         `json:"enqueued_at"`
	ReceivedAt     time.Time         `json:"received_at,omitzero"` // of the webhook in it
	TriggeredAt    time.Time         `json:"triggered_at,omitzero"`
	FirstAttemptAt time.Time         `json:"first_attempt_at,omitzero"`
	LastAttemptAt  time.Time         `json:"last_attempt_at,omitzero"`
	DueAt          time.Time         `json:"due_at,omitzero"`
	DiedAt         time.Time         `json:"died_at,omitzero"`
	RetriedAt      time.Time         `json:"retried_at,omitzero"`
	PayloadBytes   int               `json:"payload_bytes"`
	// Data is the webhook's body, or the payload of another kind of job. A list
	// has it only on request.
	Data json.RawMessage `json:"data,omitempty"`
}

// viewJob turns a job into what is shown. The body is there when the job has
// its payload.
func viewJob(j queue.Job) jobView {
	v := jobView{
		ID: strconv.FormatUint(j.ID, 10), Kind: j.Kind, Key: j.Key, Labels: j.Labels,
		Shop: j.Labels["shop"], Topic: j.Labels["topic"], WebhookID: j.Labels["webhook_id"],
		State: j.State, Attempts: j.Attempts, MaxAttempts: j.MaxAttempts, Snoozes: j.Snoozes, Reclaims: j.Reclaims,
		Coalesced: j.Coalesced, Redrives: j.Redrives, Class: j.Class, Reason: j.Reason, FirstError: j.FirstError, LastError: j.LastError,
		EnqueuedAt: utc(j.EnqueuedAt), FirstAttemptAt: utc(j.FirstAttemptAt), LastAttemptAt: utc(j.LastAttemptAt),
		DueAt: utc(j.DueAt), DiedAt: utc(j.DiedAt), RetriedAt: utc(j.RetriedAt), PayloadBytes: j.PayloadBytes,
	}
	if j.Payload == nil {
		return v
	}
	d, ok := parseDelivery(j.Payload)
	if !ok {
		v.Data = dataOf(j.Payload)
		return v
	}
	v.Shop, v.Topic, v.WebhookID = cmp.Or(v.Shop, d.Shop), cmp.Or(v.Topic, d.Topic), cmp.Or(v.WebhookID, d.WebhookID)
	v.ReceivedAt, v.TriggeredAt, v.Data = utc(d.ReceivedAt), utc(d.TriggeredAt), dataOf(d.Body)
	return v
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// shopJobs are the jobs of one shop in numbers.
type shopJobs struct {
	waiting, dead int
	unworked      int // of the waiting: work that nobody does
	updates       int // of the waiting: deliveries
	oldest        time.Time
	atLeast       bool
}

// jobsLooked bounds the jobs that are read to count them by shop.
const jobsLooked = 1000

// jobsByShop counts the jobs of each shop among the first jobsLooked of each
// state.
func (s *Server) jobsByShop(ctx context.Context) map[string]shopJobs {
	byShop := map[string]shopJobs{}
	cut := false
	for _, state := range []queue.State{queue.Waiting, queue.Leased, queue.Dead} {
		jobs, next, err := s.o.Queue.List(ctx, queue.Filter{State: state, Limit: jobsLooked})
		if err != nil {
			s.log.Debug("status: jobs", "error", err.Error())
			return byShop
		}
		cut = cut || next != 0
		for _, j := range jobs {
			n := byShop[j.Labels["shop"]]
			if state == queue.Dead {
				n.dead++
			} else {
				n.waiting++
				switch {
				case j.Kind == deliveryKind:
					n.updates++
				case !s.o.Queue.HasWorker(j.Kind):
					n.unworked++
				}
				if n.oldest.IsZero() || j.EnqueuedAt.Before(n.oldest) {
					n.oldest = j.EnqueuedAt
				}
			}
			byShop[j.Labels["shop"]] = n
		}
	}
	if cut {
		for shop, n := range byShop {
			n.atLeast = true
			byShop[shop] = n
		}
	}
	return byShop
}

func (s *Server) queueFacts(ctx context.Context) queueFacts {
	f := queueFacts{OK: true}
	stats := s.o.Queue.Stats()
	f.Waiting, f.Leased, f.Dead = stats.Waiting, stats.Leased, stats.Dead
	for name, k := range stats.Kinds {
		if f.Oldest.IsZero() || !k.OldestEnqueuedAt.IsZero() && k.OldestEnqueuedAt.Before(f.Oldest) {
			f.Oldest = k.OldestEnqueuedAt
		}
		// A kind that nobody works or that is paused has no next try.
		if k.Workers > 0 && k.PausedAt.IsZero() && !k.NextDue.IsZero() && (f.Next.IsZero() || k.NextDue.Before(f.Next)) {
			f.Next = k.NextDue
		}
		switch n := k.Waiting + k.Leased; {
		case name == deliveryKind:
			f.Updates += n
		case k.Workers > 0:
			f.Reads += n
		default:
			f.Unworked += n
		}
		if !k.PausedAt.IsZero() && k.Waiting > 0 {
			f.Paused = append(f.Paused, name)
		}
	}
	slices.Sort(f.Paused)
	// Counts come from memory; a list shows whether the file can be read.
	if _, _, err := s.o.Queue.List(ctx, queue.Filter{Limit: 1}); err != nil && ctx.Err() == nil {
		f.OK, f.Reason = false, "its file can't be read"
		if errors.Is(err, queue.ErrClosed) {
			f.Reason = "Stockroom is stopping"
		}
		return f
	}
	if failure, failed := s.o.QueueWatch.failing(time.Now()); failed {
		f.OK, f.Reason = false, failure
	}
	return f
}

// QueueWatch learns from the queue's commits whether the queue can be written.
// Give its Commit to queue.Options.OnCommit. The zero value is ready.
type QueueWatch struct {
	mu     sync.Mutex
	failed string // why the newest commit failed, "" when it did not
	at     time.Time
}

// forgetFailure is after how long a failed commit that no other one followed
// says nothing any more.
const forgetFailure = time.Minute

// Commit notes one commit.
func (q *QueueWatch) Commit(c queue.Commit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed, q.at = "", time.Now()
	if c.Err != nil {
		q.failed = "its file can't be written"
	}
}

// failing reports whether the newest commit failed, and why. A nil watch knows
// of no failure.
func (q *QueueWatch) failing(now time.Time) (string, bool) {
	if q == nil {
		return "", false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failed, q.failed != "" && now.Sub(q.at) < forgetFailure
}
