package fakeshopify

import (
	"slices"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// object is a value of a GraphQL object type, before its fields are chosen.
type object struct {
	typ string
	v   any
}

// exec runs one operation. It is used under the shop's lock.
type exec struct {
	s       *Shop
	schema  *ast.Schema
	vars    map[string]any
	version string
	base    string // of the API, as the caller reached it
	now     time.Time
	// alone: the operation's only field is product, so that its variants may
	// be asked for 2,000 at a time.
	alone  bool
	scopes []string
	// bulk: connections are whole and their nodes go to nested.
	bulk   bool
	nested []nested
	errs   []*gqlError
	// deprecated: a field was asked for that the schema marks so.
	deprecated bool
	search     []any
	path       []any
	fields     map[fieldsKey][]*fieldGroup
}

type fieldsKey struct {
	first *ast.Selection // of the selection set; nil for an empty one
	n     int
	typ   string
}

// fieldGroup is the fields of one answer key: the first gives name and
// arguments, all give what is selected below.
type fieldGroup struct {
	*ast.Field
	set  ast.SelectionSet
	args map[string]any
}

// collect lists what is selected of a concrete type, in order, fragments
// included. Results are kept, because a page asks the same of each node.
func (e *exec) collect(set ast.SelectionSet, typ string) []*fieldGroup {
	if len(set) == 0 {
		return nil
	}
	key := fieldsKey{&set[0], len(set), typ}
	if got, ok := e.fields[key]; ok {
		return got
	}
	var out []*fieldGroup
	e.gather(set, typ, &out)
	if e.fields == nil {
		e.fields = make(map[fieldsKey][]*fieldGroup)
	}
	e.fields[key] = out
	return out
}

func (e *exec) gather(set ast.SelectionSet, typ string, out *[]*fieldGroup) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if !e.included(s.Directives) {
				continue
			}
			if s.Definition != nil && s.Definition.Directives.ForName("deprecated") != nil {
				e.deprecated = true
			}
			i := slices.IndexFunc(*out, func(g *fieldGroup) bool { return g.Alias == s.Alias })
			if i < 0 {
				*out = append(*out, &fieldGroup{Field: s, set: s.SelectionSet, args: s.ArgumentMap(e.vars)})
				continue
			}
			g := (*out)[i]
			g.set = append(slices.Clone(g.set), s.SelectionSet...)
		case *ast.InlineFragment:
			if e.included(s.Directives) && e.applies(s.TypeCondition, typ) {
				e.gather(s.SelectionSet, typ, out)
			}
		case *ast.FragmentSpread:
			if e.included(s.Directives) && e.applies(s.Definition.TypeCondition, typ) {
				e.gather(s.Definition.SelectionSet, typ, out)
			}
		}
	}
}

func (e *exec) included(list ast.DirectiveList) bool {
	if d := list.ForName("skip"); d != nil && d.ArgumentMap(e.vars)["if"] == true {
		return false
	}
	if d := list.ForName("include"); d != nil && d.ArgumentMap(e.vars)["if"] == false {
		return false
	}
	return true
}

func (e *exec) applies(cond, typ string) bool {
	return cond == "" || cond == typ || slices.ContainsFunc(e.schema.PossibleTypes[cond], func(d *ast.Definition) bool { return d.Name == typ })
}

// run executes the operation and returns its data and actual cost.
func (e *exec) run(op *ast.OperationDefinition) (data any, cost float64) {
	root := object{typ: "QueryRoot"}
	if op.Operation == ast.Mutation {
		root.typ = "Mutation"
	}
	fields := e.collect(op.SelectionSet, root.typ)
	e.alone = len(fields) == 1 && fields[0].Name == "product"
	data, cost, ok := e.object(root, op.SelectionSet)
	if !ok {
		data = nil
	}
	if root.typ == "Mutation" {
		return data, 10 * float64(len(fields))
	}
	return data, cost - 1 // the root itself is free
}

// object resolves the selected fields of o. It reports false when a field that
// cannot be null is, so that the object is null too.
func (e *exec) object(o object, set ast.SelectionSet) (any, float64, bool) {
	fields := e.collect(set, o.typ)
	out := make(members, 0, len(fields))
	cost := 1.0
	for _, f := range fields {
		if f.Name == "__typename" {
			out = append(out, member{f.Alias, o.typ})
			continue
		}
		e.path = append(e.path, f.Alias)
		raw, err := e.resolve(o, f)
		if err == nil && raw == nil && f.Definition.Type.NonNull {
			err = errorAt(f.Position, "INTERNAL_SERVER_ERROR", "fakeshopify has no value for "+o.typ+"."+f.Name)
		}
		if err != nil {
			err.path = slices.Clone(e.path)
			e.errs = append(e.errs, err)
			raw = nil
		}
		v, c, ok := e.complete(f.Definition.Type, raw, f.set)
		e.path = e.path[:len(e.path)-1]
		if !ok {
			return nil, cost, false
		}
		cost += c
		if _, ok := v.(omitted); ok {
			continue
		}
		out = append(out, member{f.Alias, v})
	}
	return out, cost, true
}

// complete turns a resolver's value into the answer's tree.
func (e *exec) complete(t *ast.Type, raw any, set ast.SelectionSet) (any, float64, bool) {
	switch v := raw.(type) {
	case nil:
		return nil, 0, !t.NonNull
	case object:
		got, c, ok := e.object(v, set)
		if !ok {
			return nil, c, !t.NonNull
		}
		return got, c, true
	case *connection:
		if e.bulk {
			e.nested = append(e.nested, nested{v, nodeSelection(e, set, v.typ+"Connection")})
			return omitted{}, 0, true
		}
		got, c, ok := e.connection(v, set)
		if !ok {
			return nil, c, !t.NonNull
		}
		return got, c, true
	case []any:
		list := make([]any, len(v))
		cost := 0.0
		for i, x := range v {
			e.path = append(e.path, i)
			got, c, ok := e.complete(t.Elem, x, set)
			e.path = e.path[:len(e.path)-1]
			if !ok {
				return nil, cost, !t.NonNull
			}
			cost = max(cost, c) // a list costs as one
			list[i] = got
		}
		return list, cost, true
	}
	return raw, 0, true
}

// connection writes a page. Its cost grows with the nodes it holds, as
// sizeFactor says.
func (e *exec) connection(c *connection, set ast.SelectionSet) (any, float64, bool) {
	var out members
	cost, children := 0.0, 0.0
	node := func(i int, set ast.SelectionSet) (any, bool) {
		got, x, ok := e.object(c.items[i], set)
		children += x
		return got, ok
	}
	for _, f := range e.collect(set, c.typ+"Connection") {
		var v any
		e.path = append(e.path, f.Alias)
		ok := true
		switch f.Name {
		case "__typename":
			v = c.typ + "Connection"
		case "pageInfo":
			v = c.pageInfo(e.collect(f.set, "PageInfo"))
		case "nodes":
			list := make([]any, len(c.items))
			for i := range c.items {
				e.path = append(e.path, i)
				var good bool
				list[i], good = node(i, f.set)
				ok = ok && good
				e.path = e.path[:len(e.path)-1]
			}
			v = list
		case "edges":
			list := make([]any, len(c.items))
			for i := range c.items {
				var edge members
				for _, g := range e.collect(f.set, c.typ+"Edge") {
					var x any
					switch g.Name {
					case "__typename":
						x = c.typ + "Edge"
					case "cursor":
						x = c.cursor(i)
					case "node":
						e.path = append(e.path, i, g.Alias)
						var good bool
						x, good = node(i, g.set)
						ok = ok && good
						e.path = e.path[:len(e.path)-2]
					}
					edge = append(edge, member{g.Alias, x})
				}
				list[i] = edge
			}
			v = list
		}
		e.path = e.path[:len(e.path)-1]
		if !ok {
			return nil, cost, false
		}
		out = append(out, member{f.Alias, v})
	}
	cost = connectionBase
	if n := len(c.items); n > 0 {
		cost += sizeFactor(n) * children / float64(n)
	}
	return out, cost, true
}
