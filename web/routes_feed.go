package web

import "net/http"

// feedRoutes are what is followed live, and the description of the API.
func (s *Server) feedRoutes() []route {
	return []route{
		{http.MethodGet, "/api/v1/changes", s.apiChanges},
		{http.MethodGet, "/events", s.events},
		{http.MethodGet, "/api/v1/openapi.json", s.apiDescription},
	}
}
