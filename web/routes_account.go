package web

import "net/http"

// accountRoutes are the first run, the login, the password, sessions and tokens.
func (s *Server) accountRoutes() []route {
	const v1 = "/api/v1/"
	return []route{
		{http.MethodGet, "/setup", s.asPage(s.setupPage)},
		{http.MethodPost, "/setup", s.asPage(s.setUp)},
		{http.MethodGet, "/login", s.asPage(s.loginPage)},
		{http.MethodPost, "/login", s.asPage(s.loginForm)},
		{http.MethodPost, "/logout", s.asPage(s.logOut)},
		{http.MethodGet, "/account", s.asPage(notToReaders(s.accountPage))},
		{http.MethodPost, "/account/password", s.asPage(s.changePassword)},
		{http.MethodPost, "/account/sessions/:id/end", s.asPage(s.endSession)},
		{http.MethodPost, "/account/sessions-end", s.asPage(s.endSessions)},
		{http.MethodPost, "/account/tokens/:name/remove", s.asPage(s.removeToken)},

		{http.MethodGet, v1 + "password", notToReaders(s.apiPassword)},
		{http.MethodPut, v1 + "password", ownerOnly(s.apiPutPassword)},
		{http.MethodDelete, v1 + "password", ownerOnly(s.apiDeletePassword)},
		{http.MethodPost, v1 + "password-link", ownerOnly(s.apiSetupLink)},
		{http.MethodPost, v1 + "login-link", ownerOnly(s.apiLoginLink)},
		{http.MethodGet, v1 + "tokens", notToReaders(s.apiTokens)},
		{http.MethodPost, v1 + "tokens", s.apiAddToken},
		{http.MethodDelete, v1 + "tokens/:name", s.apiRemoveToken},
		{http.MethodGet, v1 + "sessions", notToReaders(s.apiSessions)},
		{http.MethodDelete, v1 + "sessions", s.apiEndSessions},
		{http.MethodDelete, v1 + "sessions/:id", s.apiEndSession},
	}
}
