package web

// syncRoutes are syncs, their reports and subscriptions.
func (s *Server) syncRoutes() []route { return nil }
