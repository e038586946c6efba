package web

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
)

const (
	apiRoot     = "/api/v1/"
	webhookRoot = "/webhooks/shopify/"
	samplePath  = "/api/v1/webhooks-test"
	maxAPIBody  = 1 << 20  // bytes of a request to the API
	maxSample   = 96 << 20 // of one that carries a sample delivery, escaped
	maxStranger = 16 << 10 // of one without a credential: the forms of the login and the first run
)

// endpoint answers one request or returns the error to be told.
type endpoint func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error

// jsonView answers a request of the API with a value that is written as JSON.
type jsonView func(r *http.Request, p httprouter.Params) (any, error)

// inJSON is the endpoint of a view.
func inJSON(read jsonView) endpoint { return inJSONWith(http.StatusOK, read) }

func inJSONWith(status int, read jsonView) endpoint {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
		v, err := read(r, p)
		if err != nil {
			return err
		}
		return answer.JSON(w, status, v)
	}
}

// route is one line of the routing table.
type route struct {
	method, path string
	serve        endpoint
}

// adminRoutes is everything the admin listener answers.
func (s *Server) adminRoutes() []route {
	table := []route{
		{http.MethodGet, "/assets/:name", s.asset},
		{http.MethodGet, "/events", s.events},
		{http.MethodGet, "/healthz", s.healthz},
		{http.MethodGet, "/readyz", s.readyz},
		{http.MethodGet, "/metrics", s.allMetrics},
		{http.MethodGet, "/metrics/shopify", s.shopifyMetrics},
	}
	for _, line := range s.pageRoutes() {
		table = append(table, route{line.method, line.path, s.asPage(line.serve)})
	}
	for _, line := range s.apiRoutes() {
		table = append(table, route{line.method, apiRoot + line.path, line.serve})
	}
	return table
}

// pageRoutes are the pages and what their buttons do. Each button is a POST that
// redirects to a page.
func (s *Server) pageRoutes() []route {
	return []route{
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
		{http.MethodGet, "/shops/:shop/consent", notToReaders(s.consentPage)},
		{http.MethodPost, "/shops/:shop/consent", s.answerAction},
		{http.MethodGet, "/shops/:shop/selection", s.selectionPage},
		{http.MethodPost, "/shops/:shop/selection", s.saveSelection},
		{http.MethodGet, "/shops/:shop/remove", s.removePage},
		{http.MethodPost, "/shops/:shop/remove", s.removeAction},
		{http.MethodPost, "/shops/:shop/circuit", s.circuitAction},
		{http.MethodPost, "/shops/:shop/subscriptions", s.registerAction},
		{http.MethodGet, "/settings", s.settingsPage},
		{http.MethodPost, "/settings/check", s.checkAction},
		{http.MethodPost, "/settings/notify", s.notifyAction},

		{http.MethodGet, "/setup", s.setupPage},
		{http.MethodPost, "/setup", s.setUp},
		{http.MethodGet, "/login", s.loginPage},
		{http.MethodPost, "/login", s.loginForm},
		{http.MethodPost, "/logout", s.logOut},
		{http.MethodGet, "/account", notToReaders(s.accountPage)},
		{http.MethodPost, "/account/password", s.changePassword},
		{http.MethodPost, "/account/sessions/:id/end", s.endSession},
		{http.MethodPost, "/account/sessions-end", s.endSessions},
		{http.MethodPost, "/account/tokens/:name/remove", s.removeToken},
	}
}

// apiRoutes are the API, below apiRoot.
func (s *Server) apiRoutes() []route {
	return []route{
		{http.MethodGet, "openapi.json", s.apiDescription},
		{http.MethodGet, "status", inJSON(s.apiStatus)},
		{http.MethodPost, "notices/:id/acknowledge", inJSON(s.apiAcknowledge)},
		{http.MethodGet, "settings", inJSON(s.apiSettings)},
		{http.MethodPost, "doctor", inJSON(s.apiDoctor)},
		{http.MethodPost, "notify/test", inJSON(s.apiNotifyTest)},
		{http.MethodPost, strings.TrimPrefix(samplePath, apiRoot), inJSON(s.apiSendSample)},
		{http.MethodGet, "backup", notToReaders(s.apiBackup)},

		{http.MethodGet, "shops", inJSON(s.apiShops)},
		{http.MethodPut, "shops/:shop", inJSON(s.apiPutShop)},
		{http.MethodDelete, "shops/:shop", inJSON(s.apiDeleteShop)},
		{http.MethodGet, "shops/:shop/consent", notToReaders(inJSON(s.apiConsent))},
		{http.MethodDelete, "shops/:shop/consent", inJSON(s.apiForgetConsent)},
		{http.MethodPost, "shops/:shop/consent", inJSONWith(http.StatusCreated, s.apiBeginConsent)},
		{http.MethodPost, "shops/:shop/consent/callback", inJSON(s.apiAnswerConsent)},
		{http.MethodGet, "shops/:shop/selection", inJSON(s.apiSelection)},
		{http.MethodPut, "shops/:shop/selection", inJSON(s.apiPutSelection)},
		{http.MethodPost, "shops/:shop/circuit", inJSON(s.apiCircuit)},
		{http.MethodGet, "shops/:shop/sync", inJSON(s.apiSyncStatus)},
		{http.MethodPost, "shops/:shop/sync", s.apiStartSync},
		{http.MethodPost, "shops/:shop/sync/cancel", inJSON(s.apiCancelSync)},
		{http.MethodGet, "shops/:shop/subscriptions", inJSON(s.apiSubscriptions)},
		{http.MethodPost, "shops/:shop/subscriptions", inJSON(s.apiRegister)},

		{http.MethodGet, "products", s.ofKnownShop(s.apiProducts)},
		{http.MethodGet, "products/:shop/:id", s.apiProduct},
		{http.MethodGet, "products-export", s.ofKnownShop(s.apiExport)},
		{http.MethodGet, "explain/:shop/:id", s.apiExplain},
		{http.MethodGet, "deliveries", s.apiDeliveries},
		{http.MethodGet, "rejected", s.apiRejected},
		{http.MethodGet, "changes", s.apiChanges},

		{http.MethodGet, "jobs", inJSON(s.apiJobs)},
		{http.MethodGet, "jobs/:id", inJSON(s.apiJob)},
		{http.MethodPost, "jobs/:id/retry", inJSON(s.actOnJob("retried", s.o.Queue.Retry))},
		{http.MethodPost, "jobs/:id/discard", inJSON(s.actOnJob("discarded", s.o.Queue.Discard))},
		{http.MethodPost, "jobs-retry", inJSON(s.actOnAll("retried", s.o.Queue.RetryAll))},
		{http.MethodPost, "jobs-discard", inJSON(s.actOnAll("discarded", s.o.Queue.DiscardAll))},

		{http.MethodGet, "syncs", inJSON(s.apiSyncs)},
		{http.MethodGet, "syncs/:id", inJSON(s.apiSync)},
		{http.MethodGet, "syncs/:id/drift", inJSON(s.apiDrift)},

		{http.MethodGet, "password", notToReaders(inJSON(s.apiPassword))},
		{http.MethodPut, "password", ownerOnly(inJSON(s.apiPutPassword))},
		{http.MethodDelete, "password", ownerOnly(inJSON(s.apiDeletePassword))},
		{http.MethodPost, "password-link", ownerOnly(inJSONWith(http.StatusCreated, s.apiSetupLink))},
		{http.MethodPost, "login-link", ownerOnly(inJSONWith(http.StatusCreated, s.apiLoginLink))},
		{http.MethodGet, "tokens", notToReaders(inJSON(s.apiTokens))},
		{http.MethodPost, "tokens", inJSONWith(http.StatusCreated, s.apiAddToken)},
		{http.MethodDelete, "tokens/:name", inJSON(s.apiRemoveToken)},
		{http.MethodGet, "sessions", notToReaders(inJSON(s.apiSessions))},
		{http.MethodDelete, "sessions", inJSON(s.apiEndSessions)},
		{http.MethodDelete, "sessions/:id", inJSON(s.apiEndSession)},
	}
}

// router serves a table. HEAD is served where GET is; nothing is redirected.
func (s *Server) router(table []route) *httprouter.Router {
	r := httprouter.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath, r.HandleOPTIONS = false, false, false
	r.HandleMethodNotAllowed = true
	missing := s.endpoint(s.asPage(func(http.ResponseWriter, *http.Request, httprouter.Params) error { return noPath() }))
	r.NotFound = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { missing(w, r, nil) })
	r.MethodNotAllowed = s.wrongMethod()
	known := queryNames()
	for _, line := range table {
		if names, ok := known[operationKey(line)]; ok {
			line.serve = onlyKnown(names, line.serve)
		}
		handle := s.endpoint(line.serve)
		r.Handle(line.method, line.path, handle)
		if line.method == http.MethodGet {
			r.Handle(http.MethodHead, line.path, handle)
		}
	}
	return r
}

// endpoint turns the error of an endpoint into an answer.
func (s *Server) endpoint(serve endpoint) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		if r.Body != nil {
			most := int64(maxAPIBody)
			switch {
			case !admit.VisitorOf(r).Admitted():
				most = maxStranger
			case r.URL.Path == samplePath:
				most = maxSample
			}
			r.Body = http.MaxBytesReader(w, r.Body, most)
		}
		call := func(w http.ResponseWriter, r *http.Request) error { return serve(w, r, p) }
		var err error
		if strings.HasPrefix(r.URL.Path, apiRoot) {
			err = s.onces.Serve(answer.Conditional(w, r), r, call)
		} else {
			err = call(w, r)
		}
		if err == nil || errors.Is(err, context.Canceled) && r.Context().Err() != nil {
			return
		}
		refusal, unexpected := refusalOf(err)
		if unexpected {
			s.lines.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err.Error())
		}
		refusal.Write(w)
	}
}

// public serves deliveries and health. Every method of a delivery goes to
// webhooks, which answers the wrong ones itself.
func (s *Server) public(webhooks http.Handler) http.Handler {
	rest := s.router([]route{
		{http.MethodGet, "/", publicRoot},
		{http.MethodGet, "/healthz", s.healthz},
		{http.MethodGet, "/readyz", s.publicReadyz},
	})
	deliver := func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) { webhooks.ServeHTTP(w, r) }
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
		rest.Handle(method, webhookRoot+"*path", deliver)
	}
	rest.NotFound = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { noPath().Write(w) })
	rest.MethodNotAllowed = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isDelivery(r) {
			webhooks.ServeHTTP(w, r)
			return
		}
		wrongMethodOf(w).Write(w)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isDelivery(r) {
			setSecurityHeaders(w.Header())
		}
		rest.ServeHTTP(w, r)
	})
}

func isDelivery(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, webhookRoot) }

func publicRoot(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("This is Stockroom's public address. It takes webhooks from Shopify and nothing else.\n" +
		"The status page is elsewhere: on the admin address, see --admin-listen.\n"))
	return nil
}

// noPath answers a path that is none, as a page where a browser asks the admin
// listener.
func noPath() *answer.Refusal {
	return answer.Refuse(http.StatusNotFound, "Not found", "There is nothing at this path.")
}

// wrongMethodOf tells which methods a path takes.
func wrongMethodOf(w http.ResponseWriter) *answer.Refusal {
	return answer.Refuse(http.StatusMethodNotAllowed, "Wrong method", "This path takes other methods: "+w.Header().Get("Allow")+".")
}

// recovered answers 500 when a handler panics; one bad page must not cost the
// connection of another.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			s.lines.Error("a handler panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			refusal := answer.Refuse(http.StatusInternalServerError, "Something went wrong here", "The log of Stockroom has a line with the cause.")
			if !wantsPage(r) || s.pageOf(w, r, refusal) != nil {
				refusal.Write(w)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
