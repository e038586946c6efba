package web

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/julienschmidt/httprouter"
)

// TestAnswer is what the public listener answered to a test delivery.
type TestAnswer struct {
	URL    string          `json:"url"`
	Shop   string          `json:"shop"`
	Topic  string          `json:"topic"`
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer"` // the answer's body
}

// apiTestDelivery has a signed delivery sent through the public listener.
func (s *Server) apiTestDelivery(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if s.o.TestDelivery == nil {
		return refuse(http.StatusServiceUnavailable, "No public listener", "Nothing takes deliveries now; start `stockroom serve` first.")
	}
	var in struct {
		Shop   string  `json:"shop"`        // "" for the only one
		Topic  string  `json:"topic"`       // "" for products/update
		Body   *string `json:"body"`        // null for the topic's sample
		Base64 string  `json:"body_base64"` // instead of body, for bytes that are not UTF-8
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	var body []byte
	switch {
	case in.Body != nil:
		body = []byte(*in.Body)
	case in.Base64 != "":
		var err error
		if body, err = base64.StdEncoding.DecodeString(in.Base64); err != nil {
			return refuse(http.StatusBadRequest, "Not base64", "body_base64 is not base64.")
		}
	}
	if in.Topic == "" {
		in.Topic = "products/update"
	}
	answer, err := s.o.TestDelivery(r.Context(), in.Shop, in.Topic, body)
	if err != nil {
		return err
	}
	s.log.Info("test delivery sent", "shop", answer.Shop, "topic", answer.Topic, "status", answer.Status)
	return writeJSON(w, http.StatusOK, answer)
}
