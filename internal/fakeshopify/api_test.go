package fakeshopify

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
		{"the first product of a search", `{products(first:1,query:"updated_at:>'2999-01-01'"){nodes{id updatedAt}}}`, 3},
		{"a page of events", `{events(first:250){nodes{id action createdAt ... on BasicEvent{subjectId}}}}`, 13},
		{"nodes, however many", `{nodes(ids:["gid://shopify/Product/1","gid://shopify/Product/2"]){id}}`, 1},
		{"one of nodes with its variants", `{nodes(ids:["gid://shopify/Product/1","gid://shopify/Product/2"]){... on Product{variants(first:250){nodes{id}}}}}`, 14},
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
	for d, want := range map[time.Duration]int{time.Second: 4, 9 * time.Second: 4, 10 * time.Second: 6, 20 * time.Second: 6, 21 * time.Second: 6, time.Hour: 12} {
		if got, req := s.MaxWindow(d); got != want || req != want {
			t.Errorf("in %v: %d actual, %d requested, want %d", d, got, req, want)
		}
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
