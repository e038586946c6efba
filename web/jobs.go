package web

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	"stockroom/queue"
	"stockroom/status"
	"stockroom/webhook"
)

// deliveryKind is the kind of a queued delivery.
const deliveryKind = status.DeliveryKind

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
		EnqueuedAt: j.EnqueuedAt, FirstAttemptAt: j.FirstAttemptAt, LastAttemptAt: j.LastAttemptAt,
		DueAt: j.DueAt, DiedAt: j.DiedAt, RetriedAt: j.RetriedAt, PayloadBytes: j.PayloadBytes,
	}
	if j.Payload == nil {
		return v
	}
	d, err := webhook.DecodeEnvelope(j.Payload)
	if err != nil {
		v.Data = dataOf(j.Payload)
		return v
	}
	v.Shop, v.Topic, v.WebhookID = cmp.Or(v.Shop, d.Shop), cmp.Or(v.Topic, d.Topic), cmp.Or(v.WebhookID, d.WebhookID)
	v.ReceivedAt, v.TriggeredAt, v.Data = d.ReceivedAt, d.TriggeredAt, dataOf(d.Body)
	return v
}
