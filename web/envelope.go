package web

import (
	"bytes"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"

	"stockroom/webhook"
)

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
