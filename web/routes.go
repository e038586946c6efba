package web

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
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

// route is one line of the routing table.
type route struct {
	method, path string
	serve        endpoint
}

// adminRoutes is everything the admin listener answers. Each subject keeps its
// own lines beside its handlers.
func (s *Server) adminRoutes() []route {
	return slices.Concat(s.pageRoutes(), s.accountRoutes(), s.apiRoutes(), s.syncRoutes(), s.feedRoutes())
}

// apiRoutes are the parts of the API without a file of their own.
func (s *Server) apiRoutes() []route {
	const v1 = "/api/v1/"
	return []route{
		{http.MethodGet, "/healthz", s.healthz},
		{http.MethodGet, "/readyz", s.readyz},
		{http.MethodGet, "/metrics", s.allMetrics},
		{http.MethodGet, "/metrics/shopify", s.shopifyMetrics},

		{http.MethodGet, v1 + "status", s.apiStatus},
		{http.MethodPost, v1 + "notices/:id/acknowledge", s.apiAcknowledge},
		{http.MethodGet, v1 + "shops", s.apiShops},
		{http.MethodPut, v1 + "shops/:shop", s.apiPutShop},
		{http.MethodDelete, v1 + "shops/:shop", s.apiDeleteShop},
		{http.MethodGet, v1 + "shops/:shop/selection", s.apiSelection},
		{http.MethodPut, v1 + "shops/:shop/selection", s.apiPutSelection},
		{http.MethodPost, v1 + "shops/:shop/circuit", s.apiCircuit},
		{http.MethodGet, v1 + "jobs", s.apiJobs},
		{http.MethodGet, v1 + "jobs/:id", s.apiJob},
		{http.MethodPost, v1 + "jobs/:id/retry", s.apiRetry},
		{http.MethodPost, v1 + "jobs/:id/discard", s.apiDiscard},
		{http.MethodPost, v1 + "jobs-retry", s.apiRetryAll},
		{http.MethodPost, v1 + "jobs-discard", s.apiDiscardAll},
		{http.MethodGet, v1 + "products", s.ofKnownShop(s.apiProducts)},
		{http.MethodGet, v1 + "products/:shop/:id", s.apiProduct},
		{http.MethodGet, v1 + "products-export", s.ofKnownShop(s.apiExport)},
		{http.MethodGet, v1 + "explain/:shop/:id", s.apiExplain},
		{http.MethodGet, v1 + "deliveries", s.apiDeliveries},
		{http.MethodGet, v1 + "rejected", s.apiRejected},
		{http.MethodPost, v1 + "doctor", s.apiDoctor},
		{http.MethodGet, v1 + "settings", s.apiSettings},
		{http.MethodPost, samplePath, s.apiSendSample},
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
