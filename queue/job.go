package queue

import (
	"fmt"
	"strings"
	"time"
)

// State is where a job is in its life.
type State string

const (
	Waiting State = "waiting" // due now or later
	Leased  State = "leased"  // a handler works at it
	Dead    State = "dead"    // kept for a person, or for a later success to resolve
)

// The labels that jobs are counted by and that filters find them by without looking
// at others.
const (
	LabelShop  = "shop"
	LabelTopic = "topic"
)

// Limits of a new job.
const (
	MaxKind    = 64       // bytes of a kind
	MaxKey     = 512      // bytes of a key
	MaxLabels  = 16       // labels of a job
	MaxLabel   = 256      // bytes of a label's name or value
	MaxPayload = 64 << 20 // bytes of a payload
	maxText    = 2000     // bytes kept of an error or reason
)

// NewJob is what a caller hands in. The queue copies it; the caller may change
// Labels and Payload as soon as the call returns.
type NewJob struct {
	// Kind names the worker that handles it: 1 to 64 bytes, no NUL.
	Kind string
	// Key makes jobs of a kind one: while a job with the same kind and key is
	// waiting, a new one only replaces its payload and labels. A leased job does
	// not coalesce: the new one waits beside it and runs after it. "" never
	// coalesces. At most 512 bytes, no NUL.
	//
	// A coalesced job keeps its id, its attempts and, once it has failed or was
	// snoozed, its due time: news about a product don't shorten a backoff.
	// Untouched so far, it becomes due at the earlier of the two times.
	Key string
	// Labels are shown to people and can be filtered by. At most 16 of 256 bytes
	// each.
	Labels map[string]string
	// Payload is kept byte for byte. At most 64 MiB.
	Payload []byte
	// Delay says that a try has failed outside of the queue: the first try waits
	// for Options.RetryDelay (60 s), the next for twice that, and so on; five
	// tries come at +60, +120, +240, +480 and +960 s. Without it the first try is
	// due at once and the following come after +60, +120, +240 and +480 s.
	Delay bool
	// NotBefore, when set, is when the first try is due, whatever Delay says.
	NotBefore time.Time
}

func (j NewJob) validate() error {
	switch {
	case j.Kind == "" || len(j.Kind) > MaxKind || strings.IndexByte(j.Kind, 0) >= 0:
		return fmt.Errorf("%w: a kind has 1 to %d bytes and no NUL", ErrInvalid, MaxKind)
	case len(j.Key) > MaxKey || strings.IndexByte(j.Key, 0) >= 0:
		return fmt.Errorf("%w: a key has at most %d bytes and no NUL", ErrInvalid, MaxKey)
	case len(j.Labels) > MaxLabels:
		return fmt.Errorf("%w: more than %d labels", ErrInvalid, MaxLabels)
	case len(j.Payload) > MaxPayload:
		return fmt.Errorf("%w: payload of more than %d bytes", ErrInvalid, MaxPayload)
	}
	for k, v := range j.Labels {
		if len(k) > MaxLabel || len(v) > MaxLabel {
			return fmt.Errorf("%w: a label has at most %d bytes", ErrInvalid, MaxLabel)
		}
	}
	return nil
}

// Job is one job as it was at the moment of the call. Times are zero when the
// thing has not happened. As JSON it is what people see of it.
type Job struct {
	ID     uint64            `json:"id,string"`
	Kind   string            `json:"kind"`
	Key    string            `json:"key,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// Payload is set for handlers and by Get, not by List.
	Payload      []byte `json:"-"`
	PayloadBytes int    `json:"payload_bytes"`
	State        State  `json:"state"`
	// Attempts counts tries that were begun and neither snoozed nor cut short by
	// the end of the process. In a handler it includes the present one.
	Attempts    int `json:"attempts"`
	MaxAttempts int `json:"max_attempts"`
	// Snoozes counts how often a handler put it back without an attempt.
	Snoozes int `json:"snoozes"`
	// Reclaims counts how often the process ended, since the job's last attempt
	// that ended, with the job leased.
	Reclaims int `json:"reclaims"`
	// Coalesced counts the later jobs that this one stands for.
	Coalesced int `json:"coalesced"`
	// Redrives counts how often a person brought it back from the dead.
	Redrives   int       `json:"redrives"`
	EnqueuedAt time.Time `json:"enqueued_at"`
	// DueAt is when the next try is due; for a leased job, when it will be should
	// the present one fail.
	DueAt          time.Time `json:"due_at,omitzero"`
	FirstAttemptAt time.Time `json:"first_attempt_at,omitzero"`
	LastAttemptAt  time.Time `json:"last_attempt_at,omitzero"`
	DiedAt         time.Time `json:"died_at,omitzero"`
	RetriedAt      time.Time `json:"retried_at,omitzero"`
	// Reason is why a snoozed job waits, "" when it waits for another reason.
	Reason     string `json:"reason,omitempty"`
	FirstError string `json:"first_error,omitempty"`
	LastError  string `json:"last_error,omitempty"`
	Class      Class  `json:"class,omitempty"`
}
