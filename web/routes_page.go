package web

import "net/http"

// pageRoutes are the pages, what they are made of and what their buttons do.
// Each button is a POST that redirects to a page.
func (s *Server) pageRoutes() []route {
	list := []route{
		{http.MethodGet, "/", s.overviewPage},
		{http.MethodPost, "/notices/:id/acknowledge", s.acknowledgeAction},
		{http.MethodGet, "/products", s.productsPage},
		{http.MethodGet, "/products/:shop/:id", s.productPage},
		{http.MethodPost, "/products/:shop/:id/read", s.readAgain},
		{http.MethodGet, "/updates", s.updatesPage},
		{http.MethodGet, "/jobs", s.jobsPage},
		{http.MethodGet, "/jobs/:id", s.jobPage},
		{http.MethodGet, "/jobs/:id/:action", s.discardPage},
		{http.MethodPost, "/jobs/:id/:action", s.jobAction},
		{http.MethodGet, "/syncs", s.syncsPage},
		{http.MethodPost, "/syncs", s.startSync},
		{http.MethodGet, "/syncs/:id", s.syncPage},
		{http.MethodPost, "/syncs/:id/cancel", s.cancelSync},
		{http.MethodGet, "/shops", s.shopsPage},
		{http.MethodPost, "/shops", s.connectAction},
		{http.MethodGet, "/shops/:shop/selection", s.selectionPage},
		{http.MethodPost, "/shops/:shop/selection", s.saveSelection},
		{http.MethodGet, "/shops/:shop/remove", s.removePage},
		{http.MethodPost, "/shops/:shop/remove", s.removeAction},
		{http.MethodPost, "/shops/:shop/circuit", s.circuitAction},
		{http.MethodPost, "/shops/:shop/subscriptions", s.registerAction},
		{http.MethodGet, "/settings", s.settingsPage},
		{http.MethodPost, "/settings/check", s.checkAction},
	}
	for i := range list {
		list[i].serve = s.asPage(list[i].serve)
	}
	return append(list, route{http.MethodGet, "/assets/:name", s.asset})
}
