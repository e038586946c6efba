package shopify

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"

	"stockroom/limiter"
)

// The bound of a query's cost, taken from its text and variables alone. Shopify
// publishes its principles (shopify.dev/docs/api/usage/limits): leaves 0,
// objects 1, a mutation 10, connections by their size; the measured cost of a
// connection of n grows with the logarithm of n, about 11 nodes' worth for 250.
// Ours has to be at least that, so every step is rounded up:
//
//	field without selection      0
//	field with selection         1 + what is selected of it, every fragment counted
//	connection of n (first, last) 3 + f(n) x (1 + what is selected of a node)
//	nodes(ids: [...])            as a field: 1 + what is selected, however many ids
//	mutation                     10 + what is selected of its result
//
// with f(n) = ceil(3 ln n) + 1, at most n: f(250) = 18. That the number of
// ids does not count was measured on live shops (the recorded calls of
// github.com/airhorns/shopify-draft-proxy at 1fba7c185). The first answer
// corrects it: limiter.Answer carries requestedQueryCost for each query and
// page size, and limiter.Bound prefers it from then on.
const (
	connectionCost = 3
	mutationCost   = 10
)

func pageFactor(n int) float64 {
	if n <= 1 {
		return float64(max(n, 0))
	}
	return math.Min(float64(n), math.Ceil(3*math.Log(float64(n)))+1)
}

// bound is the most that the operation can cost with these variables, in points.
func bound(doc *ast.QueryDocument, op *ast.OperationDefinition, vars map[string]any) int {
	c := costing{doc, vars}
	sum := 0.0
	if op.Operation == ast.Mutation {
		for _, s := range op.SelectionSet {
			if f, ok := s.(*ast.Field); ok {
				sum += mutationCost + c.set(f.SelectionSet)
			}
		}
	} else {
		sum = c.set(op.SelectionSet)
	}
	return max(1, int(math.Ceil(sum)))
}

type costing struct {
	doc  *ast.QueryDocument
	vars map[string]any
}

func (c costing) set(set ast.SelectionSet) float64 {
	sum := 0.0
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			sum += c.field(s)
		case *ast.InlineFragment:
			sum += c.set(s.SelectionSet)
		case *ast.FragmentSpread:
			if d := c.doc.Fragments.ForName(s.Name); d != nil {
				sum += c.set(d.SelectionSet)
			}
		}
	}
	return sum
}

func (c costing) field(f *ast.Field) float64 {
	if len(f.SelectionSet) == 0 {
		return 0
	}
	if f.Arguments.ForName("first") != nil || f.Arguments.ForName("last") != nil {
		n := max(c.number(f, "first"), c.number(f, "last"))
		return connectionCost + pageFactor(n)*c.nodes(f.SelectionSet)
	}
	return 1 + c.set(f.SelectionSet)
}

// nodes is the cost of one node of a connection, nodes and edges both counted.
func (c costing) nodes(set ast.SelectionSet) float64 {
	sum := 0.0
	for _, s := range set {
		f, ok := s.(*ast.Field)
		if !ok || f.Name == "pageInfo" {
			continue
		}
		if f.Name == "edges" {
			sum += c.nodes(f.SelectionSet)
			continue
		}
		if len(f.SelectionSet) > 0 {
			sum += 1 + c.set(f.SelectionSet)
		}
	}
	return math.Max(sum, 1)
}

// value is an argument's value, a variable's where it is one.
func (c costing) value(f *ast.Field, name string) any {
	a := f.Arguments.ForName(name)
	if a == nil || a.Value == nil {
		return nil
	}
	v, err := a.Value.Value(c.vars)
	if err != nil {
		return nil
	}
	return v
}

func (c costing) number(f *ast.Field, name string) int {
	switch v := c.value(f, name).(type) {
	case int: // of a variable
		return v
	case int64: // of the text
		return int(v)
	case nil:
		return 0
	}
	return largestPage
}

// Meter counts what the calls of one piece of work cost. It is safe for
// concurrent use.
type Meter struct{ calls, points atomic.Int64 }

// Calls is how many requests were sent to the API, tries and probes included,
// tokens and downloads not.
func (m *Meter) Calls() int64 { return m.calls.Load() }

// Points is what they cost: what Shopify said, or where it said nothing what
// the call can have cost at most.
func (m *Meter) Points() int64 { return m.points.Load() }

type meterKey struct{}

// WithMeter returns a context whose calls are counted by m as well.
func WithMeter(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// meterCall counts a call that was charged points, or limiter.Unknown.
func meterCall(ctx context.Context, charged, atMost int) {
	m, ok := ctx.Value(meterKey{}).(*Meter)
	if !ok {
		return
	}
	if charged == limiter.Unknown {
		charged = atMost
	}
	m.calls.Add(1)
	m.points.Add(int64(charged))
}
