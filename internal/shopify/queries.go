package shopify

import (
	"embed"
	"fmt"
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

// query is one of the files in queries, parsed.
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
// its page sizes, since its cost depends on both.
func (q *query) costName(vars map[string]any) string {
	var sizes []string
	for name, v := range vars {
		switch v := v.(type) {
		case int:
			sizes = append(sizes, name+"="+strconv.Itoa(v))
		case []string:
			sizes = append(sizes, name+"="+strconv.Itoa(len(v)))
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
	list := make(map[string]*query, len(files))
	for _, f := range files {
		text, err := queryFiles.ReadFile("queries/" + f.Name())
		if err != nil {
			return nil, err
		}
		doc, err := parser.ParseQuery(&ast.Source{Name: f.Name(), Input: string(text)})
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", f.Name(), err)
		}
		if len(doc.Operations) != 1 {
			return nil, fmt.Errorf("parse %s: it holds %d operations, not one", f.Name(), len(doc.Operations))
		}
		op := doc.Operations[0]
		list[op.Name] = &query{name: op.Name, text: string(text), doc: doc, op: op}
	}
	return list, nil
}
