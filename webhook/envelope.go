package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"stockroom/store"
)

// Envelope is a delivery as the queue keeps it: one line of JSON, then the raw
// body, so that the body's bytes stay as they came.
type Envelope struct {
	Shop        string    `json:"shop"`
	Topic       string    `json:"topic"` // canonical when known, else as sent
	WebhookID   string    `json:"webhook_id,omitempty"`
	EventID     string    `json:"event_id,omitempty"`
	ReceivedAt  time.Time `json:"received_at"`
	TriggeredAt time.Time `json:"triggered_at,omitzero"`
	Body        []byte    `json:"-"`
}

// Encode returns the queue's payload.
func (e Envelope) Encode() ([]byte, error) {
	head, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode delivery: %w", err)
	}
	out := make([]byte, 0, len(head)+1+len(e.Body))
	out = append(out, head...)
	out = append(out, '\n')
	return append(out, e.Body...), nil
}

// DecodeEnvelope reads a queue's payload; the body aliases it.
func DecodeEnvelope(payload []byte) (Envelope, error) {
	head, body, ok := bytes.Cut(payload, []byte{'\n'})
	if !ok {
		return Envelope{}, errors.New("decode delivery: no header line")
	}
	var e Envelope
	if err := json.Unmarshal(head, &e); err != nil {
		return Envelope{}, fmt.Errorf("decode delivery: %w", err)
	}
	if e.Shop == "" || e.ReceivedAt.IsZero() {
		return Envelope{}, errors.New("decode delivery: its header line names no shop or no time of arrival")
	}
	e.Body = body
	return e, nil
}

func (e Envelope) delivery() store.Delivery {
	return store.Delivery{
		Shop: e.Shop, Topic: e.Topic, WebhookID: e.WebhookID, EventID: e.EventID,
		ReceivedAt: e.ReceivedAt, TriggeredAt: e.TriggeredAt,
		Dedupe: store.DedupeKey(e.Shop, e.Topic, e.WebhookID, e.Body), Body: e.Body,
	}
}

func (e Envelope) labels(product int64) map[string]string {
	l := map[string]string{"shop": e.Shop, "topic": e.Topic}
	if product != 0 {
		l[store.LabelProduct] = strconv.FormatInt(product, 10)
	}
	if e.WebhookID != "" {
		l["webhook_id"] = e.WebhookID
	}
	return l
}
