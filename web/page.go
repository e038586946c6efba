package web

import (
	"github.com/julienschmidt/httprouter"
	"net/http"
)

func (s *Server) statusPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	return nil
}
func (s *Server) pageAction(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	return nil
}
