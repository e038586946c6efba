package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// cutter collects definitions by name.
type cutter struct {
	defs   map[string]*ast.Definition
	fields map[string][]string // wanted type to fields; empty: all
	order  []string            // wanted types as listed
	extra  []string            // input types, enums, scalars found on the way
	seen   map[string]bool
}

// subset returns SDL with the wanted part of the whole schema.
func subset(whole, wanted string) (string, error) {
	doc, err := parser.ParseSchema(&ast.Source{Name: "schema", Input: whole})
	if err != nil {
		return "", fmt.Errorf("parse schema: %w", err)
	}
	c := &cutter{defs: make(map[string]*ast.Definition), fields: make(map[string][]string), seen: make(map[string]bool)}
	for _, d := range doc.Definitions {
		c.defs[d.Name] = d
	}
	for line := range strings.Lines(wanted) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, list, ok := strings.Cut(line, ":")
		if !ok || c.defs[name] == nil {
			return "", fmt.Errorf("wanted %q: no such type", name)
		}
		c.fields[name] = strings.Fields(list)
		c.order = append(c.order, name)
	}
	var b strings.Builder
	b.WriteString("# Made by gen from Shopify's Admin API schema. Do not edit: change gen/wanted.txt.\n\n")
	b.WriteString("schema {\n  query: QueryRoot\n  mutation: Mutation\n}\n")
	for i := 0; i < len(c.order); i++ { // grows by connections
		if err := c.object(&b, c.order[i]); err != nil {
			return "", err
		}
	}
	for i := 0; i < len(c.extra); i++ {
		if d := c.defs[c.extra[i]]; d.Kind == ast.InputObject {
			for _, f := range d.Fields {
				if err := c.use(f.Type); err != nil {
					return "", err
				}
			}
		}
	}
	slices.Sort(c.extra)
	for _, name := range c.extra {
		c.leaf(&b, c.defs[name])
	}
	return b.String(), nil
}

// use notes the type that a field or argument needs.
func (c *cutter) use(t *ast.Type) error {
	name := t.Name()
	switch name {
	case "Int", "Float", "String", "Boolean", "ID":
		return nil
	}
	d := c.defs[name]
	if d == nil {
		return fmt.Errorf("no type %s in the schema", name)
	}
	if _, ok := c.fields[name]; ok || c.seen[name] {
		return nil
	}
	c.seen[name] = true
	switch {
	case d.IsLeafType() || d.Kind == ast.InputObject:
		c.extra = append(c.extra, name)
	case strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Edge"):
		c.fields[name] = nil
		c.order = append(c.order, name)
	default:
		return fmt.Errorf("type %s is needed but not wanted", name)
	}
	return nil
}

func (c *cutter) object(b *strings.Builder, name string) error {
	d := c.defs[name]
	if d.Kind == ast.Union {
		for _, one := range d.Types {
			if err := c.use(ast.NamedType(one, nil)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		fmt.Fprintf(b, "\nunion %s = %s\n", name, strings.Join(d.Types, " | "))
		return nil
	}
	word := map[ast.DefinitionKind]string{ast.Object: "type", ast.Interface: "interface"}[d.Kind]
	if word == "" {
		return fmt.Errorf("wanted %s is no type, interface or union", name)
	}
	fmt.Fprintf(b, "\n%s %s", word, name)
	sep := " implements "
	for _, i := range d.Interfaces {
		if _, ok := c.fields[i]; ok {
			b.WriteString(sep + i)
			sep = " & "
		}
	}
	b.WriteString(" {\n")
	want := c.fields[name]
	for _, f := range d.Fields {
		if len(want) > 0 && !slices.Contains(want, f.Name) {
			continue
		}
		if err := c.use(f.Type); err != nil {
			return fmt.Errorf("%s.%s: %w", name, f.Name, err)
		}
		b.WriteString("  " + f.Name)
		for i, a := range f.Arguments {
			if err := c.use(a.Type); err != nil {
				return fmt.Errorf("%s.%s(%s): %w", name, f.Name, a.Name, err)
			}
			b.WriteString(map[bool]string{true: "(", false: ", "}[i == 0])
			b.WriteString(a.Name + ": " + a.Type.String() + defaultOf(a.DefaultValue) + old(a.Directives))
		}
		if len(f.Arguments) > 0 {
			b.WriteByte(')')
		}
		b.WriteString(": " + f.Type.String() + old(f.Directives) + "\n")
	}
	for _, f := range want {
		if d.Fields.ForName(f) == nil {
			return fmt.Errorf("wanted %s.%s: no such field", name, f)
		}
	}
	b.WriteString("}\n")
	return nil
}

func (c *cutter) leaf(b *strings.Builder, d *ast.Definition) {
	switch d.Kind {
	case ast.Scalar:
		fmt.Fprintf(b, "\nscalar %s\n", d.Name)
	case ast.Enum:
		fmt.Fprintf(b, "\nenum %s {\n", d.Name)
		for _, v := range d.EnumValues {
			fmt.Fprintf(b, "  %s%s\n", v.Name, old(v.Directives))
		}
		b.WriteString("}\n")
	case ast.InputObject:
		fmt.Fprintf(b, "\ninput %s {\n", d.Name)
		for _, f := range d.Fields {
			fmt.Fprintf(b, "  %s: %s%s%s\n", f.Name, f.Type, defaultOf(f.DefaultValue), old(f.Directives))
		}
		b.WriteString("}\n")
	}
}

func defaultOf(v *ast.Value) string {
	if v == nil {
		return ""
	}
	return " = " + v.String()
}

// old keeps the mark of a deprecation without its prose.
func old(list ast.DirectiveList) string {
	if list.ForName("deprecated") == nil {
		return ""
	}
	return " @deprecated"
}
