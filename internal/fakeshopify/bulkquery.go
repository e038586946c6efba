package fakeshopify

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// bulkCheck reads a bulk query into op. It returns what Shopify would object
// to, in the words recorded or, where none are, in its manner.
func (e *exec) bulkCheck(op *bulkOp, text string) string {
	if len(text) > maxBulkQuery {
		return "Query is too long (maximum is 65535 bytes)"
	}
	doc, errs := parseDocument(e.schema, text)
	if errs != nil {
		return "Invalid bulk query: " + errs[0].Message
	}
	if len(doc.Operations) != 1 || doc.Operations[0].Operation != ast.Query {
		return "Only query operations are supported in bulk queries."
	}
	inner := &exec{s: e.s, schema: e.schema, version: e.version, now: e.now, scopes: e.s.api.scopes, bulk: true, vars: map[string]any{}}
	c := &bulkChecker{e: inner}
	root := inner.collect(doc.Operations[0].SelectionSet, "QueryRoot")
	for _, f := range root {
		if f.Name == "node" || f.Name == "nodes" {
			return "Bulk queries cannot contain a top level `" + f.Name + "` field."
		}
	}
	c.walk(root, 0, false)
	switch {
	case c.problem != "":
		return c.problem
	case c.connections == 0:
		return "Bulk queries must contain at least one connection."
	case c.connections > 5:
		return "Bulk queries cannot contain more than 5 connections."
	case len(root) != 1 || !strings.HasSuffix(root[0].Definition.Type.Name(), "Connection"):
		return "Bulk queries of this simulated shop start with one connection."
	}
	switch root[0].Name {
	case "products", "productVariants", "locations":
	default:
		return "Bulk queries of this simulated shop cannot start with `" + root[0].Name + "`."
	}
	op.exec, op.root = inner, root[0]
	op.nodeSet = nodeSelection(inner, root[0].set, root[0].Definition.Type.Name())
	q, _ := root[0].args["query"].(string)
	op.filter = e.s.parseQuery(q, productFields...)
	return ""
}

type bulkChecker struct {
	e           *exec
	connections int
	problem     string
}

func (c *bulkChecker) fail(text string) {
	if c.problem == "" {
		c.problem = text
	}
}

func (c *bulkChecker) walk(fields []*fieldGroup, depth int, inList bool) {
	for _, f := range fields {
		if f.Definition == nil || len(f.set) == 0 {
			continue
		}
		name := f.Definition.Type.Name()
		if !strings.HasSuffix(name, "Connection") {
			c.walk(c.below(f.set, name), depth, inList || f.Definition.Type.Elem != nil)
			continue
		}
		c.connections++
		if depth+1 > 2 {
			c.fail("Bulk queries cannot contain connections with a nesting depth greater than 2.")
		}
		if inList {
			c.fail("Queries that contain a connection field within a list field are not currently supported.")
		}
		edges := false
		for _, g := range c.e.collect(f.set, name) {
			edges = edges || g.Name == "edges"
			if g.Name == "nodes" {
				c.fail("Bulk queries cannot use the `nodes` field of a connection: use `edges { node }`.")
			}
		}
		if !edges {
			c.fail("Connection fields without `edges` are not supported: " + f.Name + ".")
		}
		node := strings.TrimSuffix(name, "Connection")
		below := c.below(nodeSelection(c.e, f.set, name), node)
		before := c.connections
		c.walk(below, depth+1, inList)
		if c.connections > before {
			id := false
			for _, g := range below {
				id = id || g.Name == "id" && g.Alias == "id"
			}
			if !id {
				c.fail("The parent 'node' field for a nested connection must select the 'id' field without an alias and must be of 'ID' return type. Connection fields without 'id': " + f.Name + ".")
			}
		}
		if d := c.e.schema.Types[node]; d != nil && d.Kind == ast.Object && !contains(d.Interfaces, "Node") {
			c.fail("Bulk queries cannot contain connections of types that do not implement `Node`: " + node + ".")
		}
	}
}

// below lists the fields selected of a type; of an interface, those of all its
// types.
func (c *bulkChecker) below(set ast.SelectionSet, typ string) []*fieldGroup {
	d := c.e.schema.Types[typ]
	if d == nil || !d.IsAbstractType() {
		return c.e.collect(set, typ)
	}
	var list []*fieldGroup
	for _, p := range c.e.schema.PossibleTypes[typ] {
		list = append(list, c.e.collect(set, p.Name)...)
	}
	return list
}

// nodeSelection is what edges { node { ... } } of a connection selects.
func nodeSelection(e *exec, set ast.SelectionSet, conn string) (out ast.SelectionSet) {
	for _, f := range e.collect(set, conn) {
		if f.Name != "edges" {
			continue
		}
		for _, g := range e.collect(f.set, strings.TrimSuffix(conn, "Connection")+"Edge") {
			if g.Name == "node" {
				out = append(out, g.set...)
			}
		}
	}
	return out
}

// omitted stands for a connection, whose nodes are lines of their own.
type omitted struct{}

// nested is a connection met while a bulk line was written.
type nested struct {
	conn  *connection
	nodes ast.SelectionSet
}

type bulkText struct {
	text         []byte
	parent, kind string
}

// lines renders a root and everything below it, parents first.
func (e *exec) lines(o object, set ast.SelectionSet) []bulkText {
	return e.appendLines(nil, o, set, "")
}

func (e *exec) appendLines(out []bulkText, o object, set ast.SelectionSet, parent string) []bulkText {
	e.nested = nil
	v, _, ok := e.object(o, set)
	below := e.nested
	m, _ := v.(members)
	if !ok {
		return out
	}
	if parent != "" {
		m = append(m, member{"__parentId", parent})
	}
	w := &jsonText{slash: true, b: make([]byte, 0, 256)}
	w.tree(m)
	out = append(out, bulkText{append(w.b, '\n'), parent, o.typ})
	id, _ := m.get("id").(string)
	for _, n := range below {
		nodes, items := n.nodes, n.conn.items
		for _, item := range items {
			out = e.appendLines(out, item, nodes, id)
		}
	}
	return out
}
