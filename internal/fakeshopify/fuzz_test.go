package fakeshopify

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func FuzzSearchNeverPanics(f *testing.F) {
	for _, s := range []string{"updated_at:>='2026-11-01T00:00:00Z'", "a:b OR (c:d AND -e:'f')", "updated_at:>=2026-11-01T00:00:00Z",
		"((((", "NOT", "OR", ":", "a:", "'", "\"x\\", "<>=", "-", "a:>=", "x*:y"} {
		f.Add(s)
	}
	p := &New(Options{Products: 1, Now: fixed(epoch)}).Snapshot()[0]
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		parseQuery(text, productFields...).match(productSearch(p))
	})
}

func FuzzGraphQLAnswersWithJSON(f *testing.F) {
	for _, s := range []string{`{shop{name}}`, `{products(first:3){nodes{id variants(first:2){edges{cursor node{id}}}} pageInfo{endCursor}}}`,
		`query($a:ID!){product(id:$a){id}}`, `mutation{webhookSubscriptionDelete(id:"x"){userErrors{message}}}`, `{nodes(ids:["gid://shopify/Product/1",""]){id}}`,
		`{a:shop{...f}} fragment f on Shop{id ...f}`, `{__schema{types{name}}}`, `{__typename}`, `subscription{x}`,
		`mutation{bulkOperationRunQuery(query:"{products{edges{node{id}}}}"){bulkOperation{id}}}`,
		`{products(first:2,after:"eyJsYXN0X2lkIjoxfQ=="){nodes{id}}}`, `{product(id:"gid://shopify/Product/9999999999999999999"){id}}`} {
		f.Add(s, `{"a":"gid://shopify/Product/1"}`)
	}
	f.Fuzz(func(t *testing.T, query, vars string) {
		s := apiShop(Options{Products: 3, MaxVariants: 3, Lean: true, Large: -1, Now: fixed(epoch)})
		body := map[string]any{"query": query}
		var v map[string]any
		if json.Unmarshal([]byte(vars), &v) == nil {
			body["variables"] = v
		}
		b, err := json.Marshal(body)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/admin/api/2026-10/graphql.json", strings.NewReader(string(b)))
		r.Header.Set("X-Shopify-Access-Token", testToken)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) || w.Code != 200 && w.Code != 400 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
