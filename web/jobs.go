package web

import (
	"cmp"
	"encoding/json"
	"time"

	"stockroom/queue"
	"stockroom/webhook"
)

// Job is a job as API, pages and command line show it. Times are RFC 3339, absent
// when the thing has not happened.
type Job struct {
	queue.Job
	Shop        string    `json:"shop,omitempty"`
	Topic       string    `json:"topic,omitempty"`
	WebhookID   string    `json:"webhook_id,omitempty"`
	ReceivedAt  time.Time `json:"received_at,omitzero"` // of the webhook in it
	TriggeredAt time.Time `json:"triggered_at,omitzero"`
	// Data is the webhook's body, or the payload of another kind of job. A list
	// has it only on request.
	Data json.RawMessage `json:"data,omitempty"`
}

// viewJob turns a job into what is shown. The body is there when the job has
// its payload.
func viewJob(j queue.Job) Job {
	v := Job{Job: j, Shop: j.Labels["shop"], Topic: j.Labels["topic"], WebhookID: j.Labels["webhook_id"]}
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

// Why is why it waits or what failed last, "" when it says nothing.
func (j *Job) Why() string {
	return cmp.Or(j.Reason, j.LastError, j.Labels["waits_for"], j.Labels["reason"])
}
