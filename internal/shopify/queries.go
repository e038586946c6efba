package shopify

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

//go:embed queries/*.graphql
var queryFiles embed.FS

//go:embed queries/bulk_products.graphql
var bulkProducts string

const (
	// largestPage is the most of a connection that one page may hold.
	largestPage = 250
	// largestVariantPage holds for a product's variants where that product is
	// the only thing asked for (changelog "Enhanced variant query limits for
	// single product queries", from 2025-01).
	largestVariantPage = 2000
)

// query is one of the files in queries, parsed, with the fragments that it spreads;
// those are files there too.
type query struct {
	name string // of the operation
	text string
	doc  *ast.QueryDocument
	op   *ast.OperationDefinition
}

// call is a query with its variables.
func (q *query) call(vars map[string]any) operation {
	return operation{query: q, vars: vars, cost: q.costName(vars), bound: bound(q.doc, q.op, vars)}
}

// costName is the name that the cost of a call is learnt under: the query and
// its page sizes, since its cost depends on both. How many ids it asks for does
// not count.
func (q *query) costName(vars map[string]any) string {
	var sizes []string
	for name, v := range vars {
		if n, ok := v.(int); ok {
			sizes = append(sizes, name+"="+strconv.Itoa(n))
		}
	}
	slices.Sort(sizes)
	return strings.Join(append([]string{q.name}, sizes...), " ")
}

// operation is a query ready to be sent.
type operation struct {
	*query
	vars  map[string]any
	cost  string // what its cost is learnt under
	bound int    // points
	bytes *int64 // counts those of the answers; nil: nobody does
}

// loadQueries parses the files; they are part of the program, so an error is a
// mistake made when it was built.
func loadQueries() (map[string]*query, error) {
	files, err := queryFiles.ReadDir("queries")
	if err != nil {
		return nil, err
	}
	list, fragments := make(map[string]*query, len(files)), map[string]string{}
	for _, f := range files {
		text, err := queryFiles.ReadFile("queries/" + f.Name())
		if err != nil {
			return nil, err
		}
		doc, err := parser.ParseQuery(&ast.Source{Name: f.Name(), Input: string(text)})
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", f.Name(), err)
		}
		if len(doc.Operations)+len(doc.Fragments) != 1 {
			return nil, fmt.Errorf("parse %s: it holds more than one operation or fragment, or none", f.Name())
		}
		for _, fragment := range doc.Fragments {
			fragments[fragment.Name] = string(text)
		}
		for _, op := range doc.Operations {
			list[op.Name] = &query{name: op.Name, text: string(text)}
		}
	}
	for _, q := range list {
		q.text = withFragments(q.text, fragments)
		if q.doc, err = parser.ParseQuery(&ast.Source{Name: q.name, Input: q.text}); err != nil {
			return nil, fmt.Errorf("parse %s: %w", q.name, err)
		}
		q.op = q.doc.Operations[0]
	}
	return list, nil
}

// withFragments adds to a text the fragments that it spreads, and those that they
// spread.
func withFragments(text string, fragments map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(fragments)) {
		if strings.Contains(text, "..."+name+"\n") && !strings.Contains(text, "fragment "+name+" ") {
			return withFragments(text+fragments[name], fragments)
		}
	}
	return text
}
