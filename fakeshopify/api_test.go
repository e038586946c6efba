package fakeshopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

const testToken = "shpat_test"

// apiShop is a shop whose API takes testToken.
func apiShop(o Options) *Shop {
	o.API.Tokens = append(o.API.Tokens, testToken)
	return New(o)
}

// post sends a body to the API in process and returns status, header and text.
func post(t *testing.T, s *Shop, path, token, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "https://my-shop.myshopify.com"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Shopify-Access-Token", token)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := Transport(s.Handler()).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

type reply struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
	Extensions struct {
		Cost struct {
			RequestedQueryCost int
			ActualQueryCost    *int
			ThrottleStatus     *struct{ MaximumAvailable, CurrentlyAvailable, RestoreRate float64 }
		}
		Search []any
	}
}

func ask(t *testing.T, s *Shop, query string, vars map[string]any) reply {
	t.Helper()
	b, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		t.Fatal(err)
	}
	status, _, text := post(t, s, "/admin/api/2026-10/graphql.json", testToken, string(b))
	var r reply
	if err := json.Unmarshal([]byte(text), &r); err != nil || status != 200 {
		t.Fatalf("status %d, %v: %s", status, err, text)
	}
	return r
}

func into[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if len(r.Errors) > 0 {
		t.Fatalf("errors: %+v", r.Errors)
	}
	if err := json.Unmarshal(r.Data, &v); err != nil {
		t.Fatalf("%v in %s", err, r.Data)
	}
	return v
}

func TestCostsAgreeWithWhatWasMeasured(t *testing.T) {
	s := apiShop(Options{Products: 20, Now: fixed(epoch), API: APIOptions{Plan: Plus}})
	for _, c := range []struct {
		name, query string
		requested   int
	}{
		{"a scalar of the shop", `{shop{name}}`, 1},
		{"an object in an object", `{shop{plan{publicDisplayName}}}`, 2},
		{"the measured page of products", `{products(first:250){nodes{id variants(first:250){nodes{id}} options{name}}}}`, 167},
		{"the same by edges and a fragment", `{products(first:250){edges{node{...p}}}} fragment p on Product {id variants(first:250){edges{node{id}}} options{name}}`, 167},
		{"the page alone", `{products(first:250){nodes{id updatedAt} pageInfo{hasNextPage}}}`, 13},
		{"one product of a page", `{products(first:1){nodes{id}}}`, 3},
		{"nodes, each", `{nodes(ids:["gid://shopify/Product/1","gid://shopify/Product/2"]){id}}`, 2},
		{"the dearest of an interface", `{nodes(ids:["gid://shopify/Product/1"]){... on Product{variants(first:250){nodes{id}}} ... on Shop{plan{shopifyPlus}}}}`, 14},
		{"a mutation", `mutation{bulkOperationCancel(id:"gid://shopify/BulkOperation/1"){userErrors{message} bulkOperation{id}}}`, 10},
		{"skipped fields are free", `{shop{name} products(first:250) @skip(if:true){nodes{id}}}`, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(t, s, c.query, nil)
			if got := r.Extensions.Cost; got.RequestedQueryCost != c.requested || *got.ActualQueryCost > c.requested {
				t.Errorf("requested %d, actual %d, want %d", got.RequestedQueryCost, *got.ActualQueryCost, c.requested)
			}
		})
	}
	r := ask(t, s, `{products(first:250){nodes{id}}}`, nil)
	if a := *r.Extensions.Cost.ActualQueryCost; a != 2+6 {
		t.Errorf("20 of 250 products cost %d, want 8", a)
	}
}

func TestTheBucketLeaksAndRefundsAndRefuses(t *testing.T) {
	at := epoch
	s := apiShop(Options{Products: 5, Now: func() time.Time { return at }})
	const dear = `{products(first:250){nodes{id variants(first:250){nodes{id inventoryItem{measurement{weight{value}}}}} options{name}}}}`
	r := ask(t, s, dear, nil)
	cost := r.Extensions.Cost
	if cost.ThrottleStatus.MaximumAvailable != 2000 || cost.ThrottleStatus.RestoreRate != 100 ||
		int(cost.ThrottleStatus.CurrentlyAvailable) != 2000-*cost.ActualQueryCost {
		t.Errorf("%+v after a cost of %d", cost.ThrottleStatus, *cost.ActualQueryCost)
	}
	s.Spend(s.Available() - 100)
	if r = ask(t, s, dear, nil); len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "THROTTLED" || r.Extensions.Cost.ActualQueryCost != nil {
		t.Fatalf("%+v", r)
	}
	need := r.Extensions.Cost.RequestedQueryCost - 100
	at = at.Add(time.Duration(need) * 10 * time.Millisecond)
	if r = ask(t, s, dear, nil); len(r.Errors) != 0 {
		t.Errorf("refused after the documented wait: %+v", r.Errors)
	}
	at = at.Add(time.Hour)
	if got := s.Available(); got != 2000 {
		t.Errorf("full bucket holds %v", got)
	}
	if st := s.APIStats(); st.Throttled != 1 || st.OK != 2 {
		t.Errorf("%+v", st)
	}
	s.SetPlan(Advanced)
	at = at.Add(time.Hour)
	if r = ask(t, s, `{shop{id}}`, nil); r.Extensions.Cost.ThrottleStatus.MaximumAvailable != 4000 {
		t.Errorf("%+v", r.Extensions.Cost)
	}
}

func TestTheRequestedCostIsHeldWhileAQueryRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apiShop(Options{Products: 5, API: APIOptions{Latency: time.Second}})
		done := make(chan reply)
		go func() {
			done <- ask(t, s, `{products(first:250){nodes{id variants(first:250){nodes{id}} options{name}}}}`, nil)
		}()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if got := s.Available(); got != 2000-167+50 {
			t.Errorf("%v available in the middle", got)
		}
		r := <-done
		if got := s.Available(); got != 2000 {
			t.Errorf("%v available at the end, after %d", got, *r.Extensions.Cost.ActualQueryCost)
		}
		if c := s.APICalls()[0]; c.Done.Sub(c.At) != time.Second {
			t.Errorf("%+v", c)
		}
	})
}

func TestMaxWindowCountsTheFullestStretch(t *testing.T) {
	at := epoch
	s := apiShop(Options{Products: 5, Now: func() time.Time { return at }})
	for _, step := range []time.Duration{0, 10 * time.Second, 10 * time.Second, 50 * time.Second, 9 * time.Second, 0} {
		at = at.Add(step)
		ask(t, s, `{shop{plan{publicDisplayName}}}`, nil) // 2 points
	}
	for d, want := range map[time.Duration]int{time.Second: 4, 10 * time.Second: 6, 20 * time.Second: 6, 21 * time.Second: 6, time.Hour: 12} {
		if got, req := s.MaxWindow(d); got != want || req != want {
			t.Errorf("in %v: %d actual, %d requested, want %d", d, got, req, want)
		}
	}
}

// sameShape compares JSON by members and types of values.
func sameShape(t *testing.T, got, want string) {
	t.Helper()
	var shape func(v any) any
	shape = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			m := make(map[string]any)
			for k, x := range v {
				m[k] = shape(x)
			}
			return m
		case []any:
			if len(v) == 0 {
				return []any{}
			}
			return []any{shape(v[0])}
		}
		return fmt.Sprintf("%T", v)
	}
	var g, w any
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatal(err)
	}
	gs, _ := json.Marshal(shape(g))
	ws, _ := json.Marshal(shape(w))
	if string(gs) != string(ws) {
		t.Errorf("shape %s\nwant  %s", gs, ws)
	}
}

func TestErrorsHaveTheRecordedShapes(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "fixtures", "errors")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("skipped: the fixtures folder is not beside this project")
	}
	fixture := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	send := func(s *Shop, query string) string {
		b, _ := json.Marshal(map[string]string{"query": query})
		_, _, text := post(t, s, "/admin/api/2026-10/graphql.json", testToken, string(b))
		return text
	}
	t.Run("throttled", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch)})
		s.Spend(2000)
		text := send(s, `{shop{name}}`)
		sameShape(t, text, fixture("measured_2026-08_throttled_http200.json"))
		if !strings.Contains(text, `"maximumAvailable":2000.0`) || !strings.Contains(text, `"restoreRate":100.0`) {
			t.Error("the bucket's figures are not floats")
		}
	})
	t.Run("too dear", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch)})
		sameShape(t, send(s, `{a:products(first:250){nodes{variants(first:250){nodes{media(first:250){nodes{id}}}}}}}`),
			fixture("measured_2026-08_max_cost_exceeded_http200.json"))
	})
	t.Run("internal", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch)})
		s.Fail(Fault{Kind: FaultInternal})
		sameShape(t, send(s, `{shop{name}}`), fixture("recorded_internal_server_error.json"))
	})
	t.Run("denied", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch), API: APIOptions{Scopes: []string{"read_products"}}})
		var got, want struct{ Errors []map[string]any }
		text := send(s, `{shop{name} locations(first:1){nodes{id}} }`)
		if err := errors.Join(json.Unmarshal([]byte(text), &got), json.Unmarshal([]byte(fixture("recorded_access_denied_http200.json")), &want)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(got.Errors[0])), slices.Sorted(maps.Keys(want.Errors[0]))) ||
			!strings.Contains(text, `"data":null`) {
			t.Errorf("%s", text)
		}
	})
	t.Run("too many requests", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch)})
		s.Fail(Fault{Status: 429, RetryAfter: "4.0"})
		status, h, text := post(t, s, "/admin/api/2026-10/graphql.json", testToken, `{"query":"{shop{name}}"}`)
		var want struct{ Body json.RawMessage }
		if err := json.Unmarshal([]byte(fixture("measured_2026-08_rest_429.json")), &want); err != nil {
			t.Fatal(err)
		}
		if sameShape(t, text, string(want.Body)); status != 429 || h.Get("Retry-After") != "4.0" {
			t.Errorf("%d %v", status, h)
		}
	})
}

func TestADeniedFieldThatMayBeNullLeavesTheRest(t *testing.T) {
	s := apiShop(Options{Products: 1, Now: fixed(epoch), API: APIOptions{Scopes: []string{"read_inventory"}}})
	r := ask(t, s, `{shop{name} product(id:"gid://shopify/Product/1"){id}}`, nil)
	if string(r.Data) != `{"shop":{"name":"my-shop"},"product":null}` || r.Errors[0].Extensions["code"] != "ACCESS_DENIED" || r.Errors[0].Path[0] != "product" {
		t.Errorf("%s %+v", r.Data, r.Errors)
	}
}

func TestDocumentsAreChecked(t *testing.T) {
	s := apiShop(Options{Products: 1, Now: fixed(epoch)})
	for _, c := range []struct{ name, query, code string }{
		{"no such field", `{shop{nonsense}}`, "undefinedField"},
		{"no such argument", `{products(first:1,nonsense:2){nodes{id}}}`, "argumentNotAccepted"},
		{"argument missing", `{product{id}}`, "missingRequiredArguments"},
		{"argument of a wrong type", `{products(first:"x"){nodes{id}}}`, "argumentLiteralsIncompatible"},
		{"object without selection", `{shop}`, "selectionMismatch"},
		{"syntax", `{shop{name}`, "PARSE_ERROR"},
		{"variable missing", `query($id:ID!){product(id:$id){id}}`, "INVALID_VARIABLE"},
		{"variable not defined", `{product(id:$id){id}}`, "variableNotDefined"},
		{"malformed id", `{product(id:"7"){id}}`, "RESOURCE_NOT_FOUND"},
		{"id of another type", `{product(id:"gid://shopify/Shop/7"){id}}`, "RESOURCE_NOT_FOUND"},
		{"neither first nor last", `{products{nodes{id}}}`, "BAD_REQUEST"},
		{"first over 250", `{products(first:251){nodes{id}}}`, "BAD_REQUEST"},
		{"nested first over 250", `{products(first:1){nodes{variants(first:251){nodes{id}}}}}`, "BAD_REQUEST"},
		{"invalid cursor", `{products(first:1,after:"x"){nodes{id}}}`, "BAD_REQUEST"},
		{"2001 variants", `{product(id:"gid://shopify/Product/1"){id}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(t, s, c.query, nil)
			got := ""
			if len(r.Errors) > 0 {
				got, _ = r.Errors[0].Extensions["code"].(string)
			}
			if got != c.code {
				t.Errorf("code %q, want %q: %+v", got, c.code, r.Errors)
			}
		})
	}
	ids := make([]string, 251)
	for i := range ids {
		ids[i] = "gid://shopify/Product/1"
	}
	if r := ask(t, s, `query($ids:[ID!]!){nodes(ids:$ids){id}}`, map[string]any{"ids": ids}); r.Errors[0].Extensions["code"] != "MAX_INPUT_SIZE_EXCEEDED" {
		t.Errorf("%+v", r.Errors)
	}
}

// all writes a selection of every field of a type, connections with first: 3,
// down to the depth.
func all(d *ast.Definition, depth int) string {
	schema := schemaNew()
	var b strings.Builder
	b.WriteString("{__typename ")
	if d.IsAbstractType() {
		for _, p := range schema.PossibleTypes[d.Name] {
			fmt.Fprintf(&b, "... on %s %s ", p.Name, all(p, depth))
		}
	}
	for _, f := range d.Fields {
		t := schema.Types[f.Type.Name()]
		if strings.HasPrefix(f.Name, "__") || !t.IsLeafType() && depth == 0 || f.Arguments.ForName("id") != nil || f.Arguments.ForName("ids") != nil {
			continue
		}
		if d.IsAbstractType() && !t.IsLeafType() {
			continue
		}
		b.WriteString(f.Name)
		if f.Arguments.ForName("first") != nil {
			b.WriteString("(first:3)")
		} else if f.Arguments.ForName("names") != nil {
			b.WriteString(`(names:["available"])`)
		}
		if !t.IsLeafType() {
			b.WriteString(all(t, depth-1))
		}
		b.WriteByte(' ')
	}
	return b.String() + "}"
}

func TestEveryFieldOfTheSchemaHasAValue(t *testing.T) {
	s := apiShop(Options{Seed: 2, Products: 60, Now: fixed(epoch), Target: "https://r.example", API: APIOptions{Plan: Plus}})
	s.DeleteProduct(s.IDs()[0])
	schema := schemaNew()
	e := &exec{s: s, schema: schema, now: epoch, version: "2026-10"}
	ask(t, s, `mutation{bulkOperationRunQuery(query:"{products{edges{node{id}}}}"){userErrors{message}}}`, nil)
	query := all(schema.Query, 5)
	m := s.queryUnlimited(t, e, query)
	if errs := m.get("errors"); errs != nil {
		w := &jsonText{}
		w.tree(errs)
		t.Errorf("%.2000s", w.b)
	}
	for _, f := range []string{"Product", "ProductVariant", "InventoryItem"} {
		ids := map[string]int64{"Product": s.IDs()[3]}
		p, _ := s.Product(s.IDs()[3])
		ids["ProductVariant"], ids["InventoryItem"] = p.Variants[0].ID, p.Variants[0].InventoryItemID
		root := strings.ToLower(f[:1]) + f[1:]
		m := s.queryUnlimited(t, e, fmt.Sprintf(`{%s(id:%q)%s}`, root, gid(f, ids[f]), all(schema.Types[f], 4)))
		if m.get("errors") != nil || m.get("data").(members)[0].val == nil {
			w := &jsonText{}
			w.tree(m)
			t.Errorf("%s: %.2000s", f, w.b)
		}
	}
}

// queryUnlimited runs a document whatever it costs.
func (s *Shop) queryUnlimited(t *testing.T, e *exec, text string) members {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	doc, errs := parseDocument(e.schema, text)
	if errs != nil {
		t.Fatal(errs)
	}
	fresh := &exec{s: s, schema: e.schema, now: e.now, version: e.version, scopes: s.api.scopes}
	data, _ := fresh.run(doc.Operations[0])
	m := members{{"data", data}}
	if len(fresh.errs) > 0 {
		m = append(m, member{"errors", errorTrees(fresh.errs)})
	}
	return m
}

func TestTheTokenEndpointGrantsAndTokensExpire(t *testing.T) {
	at := epoch
	s := New(Options{Secret: "hush", ClientID: "key", Now: func() time.Time { return at }, API: APIOptions{TokenLife: time.Hour}})
	grant := func(secret string) (int, map[string]any) {
		status, _, text := post(t, s, "/admin/oauth/access_token", "", fmt.Sprintf(`{"client_id":"key","client_secret":%q,"grant_type":"client_credentials"}`, secret))
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		return status, m
	}
	status, m := grant("hush")
	if status != 200 || m["expires_in"] != 3599.0 || m["scope"] != "read_products,read_inventory,read_locations" {
		t.Fatalf("%d %v", status, m)
	}
	token, _ := m["access_token"].(string)
	use := func(token string) int {
		status, _, text := post(t, s, "/admin/api/2026-10/graphql.json", token, `{"query":"{shop{name}}"}`)
		if status == 401 && text != `{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}` {
			t.Errorf("%s", text)
		}
		return status
	}
	if use(token) != 200 || use("") != 401 || use("wrong") != 401 {
		t.Error("the wrong tokens are taken")
	}
	at = at.Add(time.Hour)
	if use(token) != 401 {
		t.Error("a token outlived its life")
	}
	s.RotateSecret("new")
	if a, _ := grant("hush"); a != 200 {
		t.Error("the old secret is refused at once")
	}
	at = at.Add(time.Hour)
	if a, m := grant("hush"); a != 400 || m["error"] != "invalid_client" {
		t.Errorf("the old secret after its hour: %d %v", a, m)
	}
	if a, m := grant("new"); a != 200 || use(m["access_token"].(string)) != 200 {
		t.Error("the new secret is refused")
	}
	s.opt.API.NotPermitted = true
	if a, m := grant("new"); a != 400 || m["error"] != "shop_not_permitted" {
		t.Errorf("%d %v", a, m)
	}
}

func TestVersionsFallForward(t *testing.T) {
	for _, c := range []struct {
		at           string
		asked, serve string
	}{
		{"2026-11-23T00:00:00Z", "2026-10", "2026-10"},
		{"2026-11-23T00:00:00Z", "2026-01", "2026-01"},
		{"2026-11-23T00:00:00Z", "2025-10", "2026-01"},
		{"2026-11-23T00:00:00Z", "2027-01", "2027-01"},
		{"2026-11-23T00:00:00Z", "unstable", "unstable"},
		{"2027-01-16T14:59:59Z", "2026-01", "2026-01"},
		{"2027-01-16T15:00:00Z", "2026-01", "2026-04"},
		{"2027-10-16T15:00:00Z", "2026-10", "2027-01"},
		{"2026-11-23T00:00:00Z", "nonsense", ""},
		{"2000-01-01T00:00:00Z", "2026-10", "2026-10"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		s := apiShop(Options{Now: fixed(at)})
		status, h, _ := post(t, s, "/admin/api/"+c.asked+"/graphql.json", testToken, `{"query":"{shop{name}}"}`)
		if got := h.Get("X-Shopify-API-Version"); got != c.serve || (c.serve == "") != (status == 404) {
			t.Errorf("at %s, %s is served by %q (%d), want %q", c.at, c.asked, got, status, c.serve)
		}
	}
	s := apiShop(Options{Now: fixed(epoch)})
	_, _, text := post(t, s, "/admin/api/2026-01/graphql.json", testToken, `{"query":"{webhookSubscriptions(first:1){nodes{name}}}"}`)
	if !strings.Contains(text, "undefinedField") {
		t.Errorf("2026-01 knows a later field: %s", text)
	}
}

func TestFaultsOnDemand(t *testing.T) {
	s := apiShop(Options{Products: 3, Now: fixed(epoch)})
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	get := func(rt http.RoundTripper, base string, wait time.Duration) (int, string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", base+"/admin/api/2026-10/graphql.json", strings.NewReader(`{"query":"{shop{name}}"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Shopify-Access-Token", testToken)
		res, err := rt.RoundTrip(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res.StatusCode, string(b), err
	}
	for _, c := range []struct {
		name   string
		fault  Fault
		status int
		text   string
		fails  bool
	}{
		{"402", Fault{Status: 402}, 402, `{"errors":"Unavailable Shop"}`, false},
		{"423", Fault{Status: 423}, 423, `{"errors":"Shop is locked"}`, false},
		{"430", Fault{Status: 430}, 430, `Security`, false},
		{"503", Fault{Status: 503}, 503, `errors`, false},
		{"html", Fault{Kind: FaultHTML, Status: 502}, 502, `<html>`, false},
		{"throttled", Fault{Kind: FaultThrottled}, 200, `THROTTLED`, false},
		{"inactive", Fault{Kind: FaultInactive}, 200, `SHOP_INACTIVE`, false},
		{"wrong types", Fault{Kind: FaultWrongTypes}, 200, `[1,2,3]`, false},
		{"oversize", Fault{Kind: FaultOversize, Bytes: 100_000}, 200, `xxxx`, false},
		{"redirect", Fault{Kind: FaultRedirect}, 302, ``, false},
		{"reset", Fault{Kind: FaultReset}, 0, ``, true},
		{"truncated", Fault{Kind: FaultTruncate, Bytes: 10}, 200, `{"data":{"`, true},
		{"slow", Fault{Kind: FaultSlow, Delay: time.Microsecond}, 200, `my-shop`, false},
		{"silent", Fault{Kind: FaultSilence}, 0, ``, true},
		{"none", Fault{Kind: FaultDenied}, 200, `my-shop`, false},
	} {
		wait := 10 * time.Second
		if c.fault.Kind == FaultSilence {
			wait = 20 * time.Millisecond
		}
		for name, f := range map[string]func() (int, string, error){
			"in process":  func() (int, string, error) { return get(Transport(s.Handler()), "https://s.example", wait) },
			"on a socket": func() (int, string, error) { return get(http.DefaultTransport, srv.URL, wait) },
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				s.Fail(c.fault)
				status, text, err := f()
				if status != c.status || !strings.Contains(text, c.text) || (err != nil) != c.fails {
					t.Errorf("%d %.200q %v", status, text, err)
				}
				if status, text, err := f(); status != 200 || !strings.Contains(text, "my-shop") || err != nil {
					t.Errorf("the call after it: %d %s %v", status, text, err)
				}
			})
		}
	}
	s.Fail(Fault{Status: 503, Times: -1})
	for range 5 {
		if status, _, _ := get(Transport(s.Handler()), "https://s.example", time.Second); status != 503 {
			t.Error("a lasting fault went away")
		}
	}
	s.Heal()
	if status, _, _ := get(Transport(s.Handler()), "https://s.example", time.Second); status != 200 {
		t.Error("healing does not help")
	}
}

func TestSubscriptionsByAPI(t *testing.T) {
	rec := &receiver{}
	s := apiShop(Options{Products: 2, Now: fixed(epoch), Client: &http.Client{Transport: rec}})
	type result struct {
		R struct {
			WebhookSubscription *struct{ ID, Topic, URI string }
			UserErrors          []struct {
				Field   []string
				Message string
			}
		}
	}
	create := func(topic, uri string) result {
		return into[result](t, ask(t, s, `mutation($t:WebhookSubscriptionTopic!,$u:String!){r:webhookSubscriptionCreate(topic:$t,webhookSubscription:{uri:$u}){webhookSubscription{id topic uri} userErrors{field message}}}`,
			map[string]any{"t": topic, "u": uri}))
	}
	for uri, want := range map[string]string{
		"http://r.example/x":            "Address protocol http:// is not supported",
		"":                              "Address can't be blank",
		"https://other.myshopify.com/x": "Address cannot be a Shopify or an internal domain",
		"https://localhost/x":           "Address cannot be a Shopify or an internal domain",
		"no address":                    "Address is invalid",
		"https://r.example/" + strings.Repeat("x", 65536): "Address is too long (maximum is 65536 characters)",
	} {
		if r := create("PRODUCTS_UPDATE", uri); len(r.R.UserErrors) != 1 || r.R.UserErrors[0].Message != want ||
			!slices.Equal(r.R.UserErrors[0].Field, []string{"webhookSubscription", "callbackUrl"}) {
			t.Errorf("%.40q: %+v", uri, r)
		}
	}
	r := create("PRODUCTS_UPDATE", " https://r.example/x ")
	if r.R.WebhookSubscription == nil || r.R.WebhookSubscription.URI != "https://r.example/x" {
		t.Fatalf("%+v", r)
	}
	if again := create("PRODUCTS_UPDATE", "https://r.example/x"); again.R.UserErrors[0].Message != "Address for this topic has already been taken" {
		t.Errorf("%+v", again)
	}
	create("INVENTORY_LEVELS_UPDATE", "https://r.example/x")
	s.UpdateProduct(s.IDs()[0], func(p *Product) { p.Title = "x" })
	s.Drain(t.Context())
	if len(rec.got) != 1 || rec.got[0].url != "https://r.example/x" {
		t.Fatalf("%d deliveries", len(rec.got))
	}
	id := r.R.WebhookSubscription.ID
	into[result](t, ask(t, s, `mutation($id:ID!){r:webhookSubscriptionUpdate(id:$id,webhookSubscription:{uri:"https://new.example",includeFields:["id","updated_at"]}){userErrors{message}}}`, map[string]any{"id": id}))
	s.UpdateProduct(s.IDs()[0], func(p *Product) { p.Title = "y" })
	s.Drain(t.Context())
	if g := rec.got[1]; !strings.HasPrefix(g.url, "https://new.example") || !strings.HasPrefix(g.body, `{"id":`) || len(keysOf(t, []byte(g.body))) != 2 {
		t.Errorf("%+v", g)
	}
	type list struct {
		WebhookSubscriptions struct {
			Nodes []struct {
				Topic, URI string
				APIVersion struct{ Handle string }
			}
		}
	}
	l := into[list](t, ask(t, s, `{webhookSubscriptions(first:10,topics:[INVENTORY_LEVELS_UPDATE]){nodes{topic uri apiVersion{handle}}}}`, nil))
	if len(l.WebhookSubscriptions.Nodes) != 1 || l.WebhookSubscriptions.Nodes[0].APIVersion.Handle != "2026-10" {
		t.Errorf("%+v", l)
	}
	into[result](t, ask(t, s, `mutation($id:ID!){r:webhookSubscriptionDelete(id:$id){userErrors{message} deletedWebhookSubscriptionId}}`, map[string]any{"id": id}))
	if len(s.Subscriptions()) != 1 {
		t.Errorf("%+v", s.Subscriptions())
	}
	if again := into[result](t, ask(t, s, `mutation($id:ID!){r:webhookSubscriptionDelete(id:$id){userErrors{field message}}}`, map[string]any{"id": id})); len(again.R.UserErrors) != 1 {
		t.Errorf("%+v", again)
	}
}

func TestTopicsTranslate(t *testing.T) {
	for _, v := range schemaNew().Types["WebhookSubscriptionTopic"].EnumValues {
		topic := topicOf(v.Name)
		if strings.Count(topic, "/") != 1 || enumOf(topic) != v.Name {
			t.Errorf("%s becomes %s and %s", v.Name, topic, enumOf(topic))
		}
	}
	for enum, want := range map[string]string{"PRODUCTS_UPDATE": "products/update", "INVENTORY_LEVELS_UPDATE": "inventory_levels/update",
		"APP_SCOPES_UPDATE": "app/scopes_update", "BULK_OPERATIONS_FINISH": "bulk_operations/finish"} {
		if got := topicOf(enum); got != want {
			t.Errorf("%s becomes %s", enum, got)
		}
	}
}
