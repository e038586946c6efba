package web

// accountRoutes are the first run, the login and the password.
func (s *Server) accountRoutes() []route { return nil }
