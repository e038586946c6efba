package fakeshopify

import (
	"math"

	"github.com/vektah/gqlparser/v2/ast"
)

// The cost arithmetic. Shopify publishes its principles and not its formula;
// this one agrees with them and with what was measured on live shops:
//
//	scalar, enum            0
//	object, list of objects 1 + what is selected of it
//	nodes(ids)              1 + what is selected, however many ids
//	interface               the dearest of its types
//	connection of size n    2 + f(n) × (1 + what is selected of a node)
//	mutation                10, whatever it returns
//
// with f(n) = round(2 ln n), at least 1 and at most n: f(250) = 11. So
// products(250){variants(250) options} is 2 + 11×(1 + (2+11×1) + 1) = 167, the
// measured figure. The actual cost is the same sum over what was returned.
const (
	connectionBase = 2.0
	mutationCost   = 10.0
	maxQueryCost   = 1000
)

func sizeFactor(n int) float64 {
	if n <= 1 {
		return float64(n)
	}
	return math.Max(1, math.Min(float64(n), math.Round(2*math.Log(float64(n)))))
}

// requested is the cost of an operation before it runs.
func (e *exec) requested(op *ast.OperationDefinition) int {
	if op.Operation == ast.Mutation {
		return int(mutationCost) * len(e.collect(op.SelectionSet, "Mutation"))
	}
	return int(math.Ceil(e.selectionCost(op.SelectionSet, e.schema.Types["QueryRoot"])))
}

func (e *exec) selectionCost(set ast.SelectionSet, d *ast.Definition) float64 {
	if d.IsAbstractType() {
		most := 0.0
		for _, p := range e.schema.PossibleTypes[d.Name] {
			most = math.Max(most, e.selectionCost(set, p))
		}
		return most
	}
	sum := 0.0
	for _, f := range e.collect(set, d.Name) {
		sum += e.fieldCost(f)
	}
	return sum
}

func (e *exec) fieldCost(f *fieldGroup) float64 {
	if f.Definition == nil || f.Name == "__typename" {
		return 0
	}
	name := f.Definition.Type.Name()
	d := e.schema.Types[name]
	if d == nil || d.IsLeafType() {
		return 0
	}
	if edges := d.Fields.ForName("edges"); edges != nil {
		n := max(intArg(f.args, "first"), intArg(f.args, "last"))
		return connectionBase + sizeFactor(n)*e.nodeCost(f.set, d)
	}
	return 1 + e.selectionCost(f.set, d)
}

// nodeCost is the cost of one node of a connection. A node asked for under
// both edges and nodes is paid twice.
func (e *exec) nodeCost(set ast.SelectionSet, conn *ast.Definition) float64 {
	sum := 0.0
	for _, f := range e.collect(set, conn.Name) {
		switch f.Name {
		case "nodes":
			sum += 1 + e.selectionCost(f.set, e.schema.Types[f.Definition.Type.Name()])
		case "edges":
			edge := f.Definition.Type.Name()
			for _, g := range e.collect(f.set, edge) {
				if g.Name == "node" {
					sum += 1 + e.selectionCost(g.set, e.schema.Types[g.Definition.Type.Name()])
				}
			}
		}
	}
	return sum
}

func intArg(args map[string]any, key string) int {
	switch v := args[key].(type) {
	case int64:
		return int(min(max(v, 0), math.MaxInt32))
	case int:
		return max(v, 0)
	case float64:
		return int(math.Max(v, 0))
	case interface{ Int64() (int64, error) }:
		n, _ := v.Int64()
		return int(min(max(n, 0), math.MaxInt32))
	}
	return 0
}
