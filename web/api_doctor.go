package web

import (
	"net/http"

	"github.com/julienschmidt/httprouter"
)

// Finding is what the doctor says about one thing.
type Finding struct {
	Check string `json:"check"` // what was looked at, such as "token"
	Shop  string `json:"shop,omitempty"`
	Level string `json:"level"` // ok, warn or fail
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // what to do, for warn and fail
	// Cause sorts failures for the exit code: integrity, unreachable or "".
	Cause string `json:"cause,omitempty"`
}

// apiDoctor is a POST because it spends a shop's points.
func (s *Server) apiDoctor(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	var list []Finding
	if s.o.Doctor != nil {
		list = s.o.Doctor(r.Context())
	}
	return writeJSON(w, http.StatusOK, map[string]any{"findings": list})
}
