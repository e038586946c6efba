package fakeshopify

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

//go:generate go run ./gen ../../../shared/schema/admin_2026-10.graphql.gz

//go:embed schema.graphql
var schemaText string

// newerFields are the fields and arguments of schema.graphql that 2026-01, the
// oldest accessible version, lacks.
var newerFields = []struct{ typ, field, arg string }{
	{"InventoryItem", "inventoryLevels", "includeInactive"},
	{"InventoryLevel", "isActive", ""},
	{"EventBridgeWebhookSubscriptionInput", "name", ""},
	{"PubSubWebhookSubscriptionInput", "name", ""},
	{"WebhookSubscription", "name", ""},
	{"WebhookSubscriptionInput", "name", ""},
}

// Both schemas are read once; they are never changed afterwards.
var (
	schemaNew = sync.OnceValue(func() *ast.Schema {
		return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphql", Input: schemaText})
	})
	schemaOld = sync.OnceValue(func() *ast.Schema {
		doc, err := parser.ParseSchemas(validator.Prelude, &ast.Source{Name: "schema.graphql", Input: schemaText})
		if err != nil {
			panic(err)
		}
		for _, n := range newerFields {
			d := doc.Definitions.ForName(n.typ)
			if n.arg != "" {
				f := d.Fields.ForName(n.field)
				f.Arguments = slices.DeleteFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Name == n.arg })
				continue
			}
			d.Fields = slices.DeleteFunc(d.Fields, func(f *ast.FieldDefinition) bool { return f.Name == n.field })
		}
		s, err := validator.ValidateSchemaDocument(doc)
		if err != nil {
			panic(err)
		}
		return s
	})
)

// schemaFor is the schema of an accessible version.
func schemaFor(version string) *ast.Schema {
	if version != "unstable" && strings.Compare(version, "2026-04") < 0 {
		return schemaOld()
	}
	return schemaNew()
}
