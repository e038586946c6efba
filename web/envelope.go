package web

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// deliveryPayload is what a queued delivery's payload says: one line of JSON,
// then the webhook's body as it came.
type deliveryPayload struct {
	Shop        string    `json:"shop"`
	Topic       string    `json:"topic"`
	WebhookID   string    `json:"webhook_id"`
	EventID     string    `json:"event_id"`
	ReceivedAt  time.Time `json:"received_at"`
	TriggeredAt time.Time `json:"triggered_at"`
	Body        []byte    `json:"-"`
}

// parseDelivery reads a payload; false when it is that of another kind of job.
func parseDelivery(payload []byte) (deliveryPayload, bool) {
	head, body, ok := bytes.Cut(payload, []byte{'\n'})
	if !ok {
		return deliveryPayload{}, false
	}
	var d deliveryPayload
	if err := json.Unmarshal(head, &d); err != nil || d.Shop == "" || d.ReceivedAt.IsZero() {
		return deliveryPayload{}, false
	}
	d.Body = body
	return d, true
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
