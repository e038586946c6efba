package web

import (
	_ "embed"
	"net/http"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
)

// openAPI describes every path below /api/v1. A test holds the handlers to it.
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) apiDescription(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	w.Header().Set("Cache-Control", "no-cache") // nothing in it is secret
	answer.Document(w, http.StatusOK, openAPI)
	return nil
}
