package web

import "net/http"

// pageRoutes are the pages, what they are made of and what their buttons do.
func (s *Server) pageRoutes() []route {
	return []route{
		{http.MethodGet, "/", s.asPage(s.statusPage)},
		{http.MethodGet, "/assets/:name", s.asset},
		{http.MethodPost, "/jobs/:id/:action", s.asPage(s.pageAction)},
	}
}
