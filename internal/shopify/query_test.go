package shopify

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/limiter"
)

// realSchema reads one of Shopify's own schemas, nil when it is not there.
func realSchema(t *testing.T, version string) *ast.Schema {
	t.Helper()
	f, err := os.Open("../../../shared/schema/admin_" + version + ".graphql.gz")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("Shopify's schemas are not beside the project")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	s, err := gqlparser.LoadSchema(&ast.Source{Name: version, Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryQueryIsValidInTheOldestAndNewestVersion(t *testing.T) {
	queries, err := loadQueries()
	if err != nil {
		t.Fatal(err)
	}
	if len(queries) != 20 {
		t.Errorf("%d queries, not 20: name the new one in a test of what it does", len(queries))
	}
	for _, version := range []string{"2026-01", "2026-10"} {
		t.Run(version, func(t *testing.T) {
			schema := realSchema(t, version)
			for name, q := range queries {
				doc, list := gqlparser.LoadQueryWithRules(schema, q.text, rules.NewDefaultRules())
				if list != nil {
					t.Errorf("%s: %v", name, list)
					continue
				}
				for _, field := range deprecated(doc.Operations[0].SelectionSet) {
					if field == "ProductVariant.image" {
						continue // nothing else has the number that webhooks give an image
					}
					t.Errorf("%s asks for %s, which is deprecated", name, field)
				}
			}
		})
	}
}

func deprecated(set ast.SelectionSet) []string {
	var list []string
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if s.Definition != nil && s.Definition.Directives.ForName("deprecated") != nil {
				list = append(list, s.ObjectDefinition.Name+"."+s.Name)
			}
			list = append(list, deprecated(s.SelectionSet)...)
		case *ast.InlineFragment:
			list = append(list, deprecated(s.SelectionSet)...)
		case *ast.FragmentSpread:
			list = append(list, deprecated(s.Definition.SelectionSet)...)
		}
	}
	return list
}

func TestABoundCoversWhatWasMeasured(t *testing.T) {
	for _, tt := range []struct {
		text string
		cost int // requestedQueryCost on a live shop
	}{
		{`{ products(first: 250) { nodes { id variants(first: 250) { nodes { id } } options { name } } } }`, 167},
		{`{ orders(first: 250) { edges { node { id lineItems(first: 250) { edges { node { id product { id } } } } } } } }`, 431},
		{`mutation { bulkOperationRunQuery(query: "x") { bulkOperation { id } userErrors { message } } }`, 10},
	} {
		doc, err := parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := bound(doc, doc.Operations[0], nil); got < tt.cost {
			t.Errorf("%s: bound %d, Shopify asked for %d", tt.text, got, tt.cost)
		}
	}
}

// TestABoundIsNeverBelowWhatTheShopAsksFor runs every query with random page
// sizes against the simulated shop, whose arithmetic was written apart.
func TestABoundIsNeverBelowWhatTheShopAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Seed: 7, Products: 20, API: fakeshopify.APIOptions{Plan: fakeshopify.Plus}}})
		rnd := rand.New(rand.NewPCG(7, 7))
		id := catalog.GID("Product", r.shop.IDs()[0])
		seen := map[string]bool{}
		for range 300 {
			vars := map[string]map[string]any{
				"Shop": nil, "Access": nil, "ProductsCount": nil,
				"Product":         {"id": id, "variants": 1 + rnd.IntN(2000), "media": 1 + rnd.IntN(250)},
				"ProductVariants": {"id": id, "variants": 1 + rnd.IntN(2000)},
				"ProductMedia":    {"id": id, "media": 1 + rnd.IntN(250)},
				"ProductIDs":      {"query": "id:>0", "first": 1 + rnd.IntN(250)},
				"Look": {"changed": "updated_at:>='2026-01-01T00:00:00Z'", "canary": "updated_at:>='2126-01-01T00:00:00Z'",
					"deleted": "action:destroy", "products": 1 + rnd.IntN(250), "events": 1 + rnd.IntN(250), "withEvents": true},
				"Existing":      {"ids": []string{}},
				"Products":      {"ids": []string{}, "variants": 1 + rnd.IntN(250), "media": 1 + rnd.IntN(250)},
				"InventoryItem": {"id": "gid://shopify/InventoryItem/1"},
				"BulkList":      {"query": "", "first": 1 + rnd.IntN(250)},
				"Subscriptions": {"first": 1 + rnd.IntN(250)},
			}
			for name, v := range vars {
				if v["ids"] != nil {
					v["ids"] = slices.Repeat([]string{id}, 1+rnd.IntN(250))
				}
				op := r.queries[name].call(v)
				if seen[op.cost] {
					continue
				}
				seen[op.cost] = true
				var out map[string]any
				if err := r.call(t.Context(), testShop, limiter.Bulk, op, &out); err != nil {
					t.Fatalf("%s: %v", op.cost, err)
				}
				calls := r.shop.APICalls()
				if last := calls[len(calls)-1]; last.Requested > op.bound {
					t.Errorf("%s: bound %d, the shop asked for %d", op.cost, op.bound, last.Requested)
				}
			}
			if len(seen) > 60 {
				break
			}
		}
		if s := r.shop.APIStats(); s.Throttled > 0 {
			t.Errorf("%d calls were throttled by our own doing", s.Throttled)
		}
	})
}

func TestTheCostThatShopifyAsksForReplacesTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{static: "token", shop: fakeshopify.Options{Products: 1}})
		op := r.queries["Product"].call(map[string]any{"id": catalog.GID("Product", r.shop.IDs()[0]), "variants": 250, "media": 250})
		for range 9 { // a lower cost counts after eight in a row
			if _, err := r.Product(t.Context(), testShop, limiter.WebhookRefetch, r.shop.IDs()[0]); err != nil {
				t.Fatal(err)
			}
		}
		calls := r.shop.APICalls()
		want := calls[len(calls)-1].Requested
		if got := r.lim.Bound(op.cost, op.bound); got != want || want >= op.bound {
			t.Errorf("reserved %d for a query that costs %d; the computed bound is %d", got, want, op.bound)
		}
	})
}

func parse(text string) (*ast.QueryDocument, error) {
	return parser.ParseQuery(&ast.Source{Input: text})
}
