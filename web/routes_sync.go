package web

import "net/http"

// syncRoutes are syncs, their reports and subscriptions.
func (s *Server) syncRoutes() []route {
	const v1 = "/api/v1/"
	return []route{
		{http.MethodGet, v1 + "syncs", s.apiSyncs},
		{http.MethodGet, v1 + "syncs/:id", s.apiSync},
		{http.MethodGet, v1 + "syncs/:id/drift", s.apiDrift},
		{http.MethodGet, v1 + "shops/:shop/sync", s.apiSyncStatus},
		{http.MethodPost, v1 + "shops/:shop/sync", s.apiStartSync},
		{http.MethodPost, v1 + "shops/:shop/sync/cancel", s.apiCancelSync},
		{http.MethodGet, v1 + "shops/:shop/subscriptions", s.apiSubscriptions},
		{http.MethodPost, v1 + "shops/:shop/subscriptions", s.apiRegister},
	}
}
