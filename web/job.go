package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"

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

// dataOf returns bytes as JSON: as they are when they are JSON, else as a JSON
// string, with what is not UTF-8 replaced.
func dataOf(b []byte) json.RawMessage {
	if len(b) == 0 {
		return nil
	}
	if v := jsontext.Value(b); v.IsValid() {
		return json.RawMessage(b)
	}
	quoted, err := json.Marshal(string(bytes.ToValidUTF8(b, []byte("\uFFFD"))))
	if err != nil {
		return nil
	}
	return quoted
}

// subjectMost is the largest body that is read for the name of its product.
const subjectMost = 64 << 10

// subjectOf returns the product that a queued delivery is about: its title as
// the body has it and its id, "" and 0 when that can't be told.
func subjectOf(payload []byte) (title string, id int64) {
	d, err := webhook.DecodeEnvelope(payload)
	if err != nil || happened(d.Topic) == "" {
		return "", 0
	}
	var body struct {
		ID    json.RawMessage `json:"id"`
		Title json.RawMessage `json:"title"`
	}
	if err := json.Unmarshal(d.Body, &body); err != nil {
		return "", 0
	}
	// The body may be kept because one of these is of the wrong type.
	if err := json.Unmarshal(body.ID, &id); err != nil {
		id = 0
	}
	if err := json.Unmarshal(body.Title, &title); err != nil {
		title = ""
	}
	return title, id
}
