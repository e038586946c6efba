package fakeshopify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Handler serves the shop's Admin API:
//
//	POST /admin/api/{version}/graphql.json
//	GET  /admin/oauth/authorize       the page of consent
//	POST /admin/oauth/authorize       its button
//	POST /admin/oauth/access_token
//	GET  /admin/oauth/access_scopes.json
//	GET  /bulk/{id}/{file}            results of bulk operations
func (s *Shop) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /admin/api/{version}/graphql.json", s.serveGraphQL)
	mux.HandleFunc("POST /admin/api/graphql.json", s.serveGraphQL)
	mux.HandleFunc("GET /admin/oauth/authorize", s.serveAuthorize)
	mux.HandleFunc("POST /admin/oauth/authorize", s.serveAuthorize)
	mux.HandleFunc("POST /admin/oauth/access_token", s.serveToken)
	mux.HandleFunc("GET /admin/oauth/access_scopes.json", s.serveScopes)
	mux.HandleFunc("GET /bulk/{id}/{file}", s.serveBulk)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answerJSON(w, http.StatusNotFound, statusBody(404)) })
	return mux
}

func (s *Shop) requestID(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uuid(s.api.rand) + "-" + strconv.FormatInt(now.Unix(), 10)
}

func (s *Shop) authorized(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, ok := s.api.tokens[r.Header.Get("X-Shopify-Access-Token")]
	ok = ok && !s.api.uninstalled && (end.IsZero() || s.opt.Now().Before(end))
	if !ok {
		s.api.stats.BadToken++
	}
	return ok
}

func (s *Shop) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	now := s.opt.Now()
	request := s.requestID(now)
	version := s.servedVersion(r.PathValue("version"), now)
	if version == "" {
		answerJSON(w, http.StatusNotFound, statusBody(404))
		return
	}
	w.Header().Set("X-Request-Id", request)
	w.Header().Set("X-Shopify-Api-Version", version)
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		answerJSON(w, http.StatusBadRequest, statusBody(400))
		return
	}
	s.mu.Lock()
	s.api.stats.Calls++
	s.mu.Unlock()
	denied := ""
	if f := s.fault("graphql"); f != nil {
		s.mu.Lock()
		s.api.record(APICall{At: now, Done: now, Outcome: "fault"})
		s.mu.Unlock()
		switch {
		case f.Kind == FaultTruncate || f.Kind == FaultSlow:
			w = &damagedWriter{ResponseWriter: w, r: r, fault: f, left: f.Bytes}
		case f.Kind == FaultDenied:
			denied = f.Scope
		default:
			serveFault(w, r, f, request, func() members {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.costBlock(now, 10, -1)
			})
			return
		}
	}
	if !s.authorized(r) {
		answerJSON(w, http.StatusUnauthorized, statusBody(401))
		return
	}
	var in struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err := d.Decode(&in); err != nil || strings.TrimSpace(in.Query) == "" {
		answerJSON(w, http.StatusBadRequest, []byte(`{"errors":{"query":"Required parameter missing or invalid"}}`))
		return
	}
	answer, deprecated := s.query(r.Context(), version, baseOf(r), in.Query, in.OperationName, in.Variables, denied)
	if deprecated {
		w.Header().Set("X-Shopify-Api-Deprecated-Reason", usageDocs+"versioning#deprecation-practices")
	}
	answerTree(w, answer)
}

func baseOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// query runs a document and returns the whole answer, and whether a deprecated
// field was asked for.
func (s *Shop) query(ctx context.Context, version, base, text, name string, vars map[string]any, denied string) (answer members, deprecated bool) {
	schema := schemaFor(version)
	refuse := func(errs ...*gqlError) (members, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		now := s.opt.Now()
		s.api.record(APICall{At: now, Done: now, Outcome: "invalid", Operation: name})
		return members{{"errors", errorTrees(errs)}}, false
	}
	doc, list := s.document(schema, text)
	if list != nil {
		return refuse(documentErrors(list)...)
	}
	op := doc.Operations.ForName(name)
	if op == nil {
		return refuse(&gqlError{message: "No operation named \"" + name + "\"", code: "BAD_REQUEST"})
	}
	vars, err := validator.VariableValues(schema, op, vars)
	if err != nil {
		return refuse(&gqlError{message: err.Error(), code: "INVALID_VARIABLE"})
	}
	e := &exec{s: s, schema: schema, vars: vars, version: version, base: base}
	requested := e.requested(op)

	s.mu.Lock()
	defer s.mu.Unlock()
	e.now = s.opt.Now()
	call := APICall{At: e.now, Done: e.now, Requested: requested, Operation: op.Name}
	if requested > maxQueryCost {
		call.Outcome = "too-dear"
		s.api.record(call)
		return members{{"errors", []any{tooDear(requested).tree()}}}, false
	}
	b := &s.api.bucket
	b.refill(s.api.plan, e.now)
	if float64(requested) > b.level {
		call.Outcome = "throttled"
		s.api.record(call)
		return members{{"errors", []any{throttledError().tree()}}, {"extensions", members{{"cost", s.costBlock(e.now, requested, -1)}}}}, false
	}
	b.level -= float64(requested)
	if d := s.opt.API.Latency; d > 0 {
		s.mu.Unlock()
		sleep(ctx, d)
		s.mu.Lock()
		e.now = s.opt.Now()
	}
	s.advance(e.now)
	for _, x := range s.api.scopes {
		if x != denied {
			e.scopes = append(e.scopes, x)
		}
	}
	data, cost := e.run(op)
	actual := int(cost)
	b.refill(s.api.plan, e.now)
	b.level = min(s.api.plan.Maximum, b.level+float64(requested-actual))
	call.Actual, call.Done, call.Outcome = actual, e.now, "ok"
	out := members{{"data", data}}
	if len(e.errs) > 0 {
		call.Outcome = "errors"
		out = append(out, member{"errors", errorTrees(e.errs)})
	}
	s.api.record(call)
	ext := members{{"cost", s.costBlock(e.now, requested, actual)}}
	if len(e.search) > 0 {
		ext = append(ext, member{"search", e.search})
	}
	return append(out, member{"extensions", ext}), e.deprecated
}

func parseDocument(schema *ast.Schema, text string) (*ast.QueryDocument, gqlerror.List) {
	return gqlparser.LoadQueryWithRules(schema, text, rules.NewDefaultRules())
}

// document parses and checks a document, or takes it from the last ones: a
// client sends the same few again and again.
func (s *Shop) document(schema *ast.Schema, text string) (*ast.QueryDocument, gqlerror.List) {
	key := documentKey{schema, text}
	s.mu.Lock()
	doc := s.api.documents[key]
	s.mu.Unlock()
	if doc != nil {
		return doc, nil
	}
	doc, list := parseDocument(schema, text)
	if list != nil {
		return nil, list
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.api.documents) >= 64 || s.api.documents == nil {
		s.api.documents = make(map[documentKey]*ast.QueryDocument)
	}
	s.api.documents[key] = doc
	return doc, nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func errorTrees(errs []*gqlError) []any {
	list := make([]any, len(errs))
	for i, e := range errs {
		list[i] = e.tree()
	}
	return list
}

// costBlock is extensions.cost; a negative actual cost is null.
func (s *Shop) costBlock(now time.Time, requested, actual int) members {
	s.api.bucket.refill(s.api.plan, now)
	m := members{{"requestedQueryCost", requested}, {"actualQueryCost", any(actual)}}
	if actual < 0 {
		m[1].val = nil
	}
	if !s.opt.API.NoThrottleStatus {
		m = append(m, member{"throttleStatus", members{{"maximumAvailable", s.api.plan.Maximum},
			{"currentlyAvailable", int(max(s.api.bucket.level, 0))}, {"restoreRate", s.api.plan.Restore}}})
	}
	return m
}

func tooDear(cost int) *gqlError {
	return &gqlError{
		message: fmt.Sprintf("Query cost is %d, which exceeds the single query max cost limit (%d).\n\nSee %srate-limits for more information on how the\ncost of a query is calculated.\n",
			cost, maxQueryCost, usageDocs),
		code: "MAX_COST_EXCEEDED",
		ext:  members{{"cost", cost}, {"maxCost", maxQueryCost}, {"documentation", usageDocs + "rate-limits"}},
	}
}
