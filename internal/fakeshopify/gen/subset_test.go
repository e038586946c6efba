package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

func whole(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "shared", "schema", "admin_"+version+".graphql.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skip("skipped: Shopify's schema files are not beside this project")
	}
	text, err := readGzip(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func committed(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "schema.graphql"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheCommittedSchemaIsWhatTheGeneratorMakes(t *testing.T) {
	made, err := subset(whole(t, "2026-10"), wanted)
	if err != nil {
		t.Fatal(err)
	}
	if made != committed(t) {
		t.Error("schema.graphql differs from what gen makes: run go generate ./fakeshopify")
	}
}

func TestTheCommittedSchemaIsATrueSubset(t *testing.T) {
	for version, missing := range map[string][]string{
		"2026-10": nil,
		// Added since; fakeshopify hides them under this version.
		"2026-01": {"EventBridgeWebhookSubscriptionInput.name", "InventoryItem.inventoryLevels(includeInactive)", "InventoryLevel.isActive",
			"PubSubWebhookSubscriptionInput.name", "WebhookSubscription.name", "WebhookSubscriptionInput.name"},
	} {
		t.Run(version, func(t *testing.T) {
			got := notIn(t, committed(t), whole(t, version))
			// Enum values that came later do no harm to a reader.
			got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "WebhookSubscriptionTopic ") })
			slices.Sort(got)
			if !slices.Equal(got, missing) {
				t.Errorf("not in the schema of %s: %q, want %q", version, got, missing)
			}
		})
	}
}

func TestNotInFindsADifference(t *testing.T) {
	const whole = `type A { a(x: Int = 1): String b: Int! } enum E { V }`
	for sub, want := range map[string]string{
		`type A { a(x: Int = 1): String }`: "",
		`type A { a(x: Int = 2): String }`: "A.a(x)",
		`type A { a(y: Int): String }`:     "A.a(y)",
		`type A { b: Int }`:                "A.b",
		`type A { c: Int }`:                "A.c",
		`type B { c: Int }`:                "B",
		`enum E { V W }`:                   "E W",
	} {
		if got := strings.Join(notIn(t, sub, whole), " "); got != want {
			t.Errorf("%s: %q, want %q", sub, got, want)
		}
	}
}

// notIn lists what the part has that the whole has not, or has otherwise.
func notIn(t *testing.T, part, whole string) (diff []string) {
	t.Helper()
	parse := func(text string) *ast.SchemaDocument {
		doc, err := parser.ParseSchema(&ast.Source{Input: text})
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	all := parse(whole).Definitions
	for _, d := range parse(part).Definitions {
		w := all.ForName(d.Name)
		if w == nil || w.Kind != d.Kind {
			diff = append(diff, d.Name)
			continue
		}
		for _, i := range d.Interfaces {
			if !slices.Contains(w.Interfaces, i) {
				diff = append(diff, d.Name+" implements "+i)
			}
		}
		for _, v := range d.EnumValues {
			if w.EnumValues.ForName(v.Name) == nil {
				diff = append(diff, d.Name+" "+v.Name)
			}
		}
		for _, f := range d.Fields {
			g := w.Fields.ForName(f.Name)
			if g == nil || g.Type.String() != f.Type.String() {
				diff = append(diff, d.Name+"."+f.Name)
				continue
			}
			for _, a := range f.Arguments {
				b := g.Arguments.ForName(a.Name)
				if b == nil || b.Type.String() != a.Type.String() || defaultOf(b.DefaultValue) != defaultOf(a.DefaultValue) {
					diff = append(diff, d.Name+"."+f.Name+"("+a.Name+")")
				}
			}
			for _, a := range g.Arguments {
				if a.Type.NonNull && a.DefaultValue == nil && f.Arguments.ForName(a.Name) == nil {
					diff = append(diff, d.Name+"."+f.Name+" needs "+a.Name)
				}
			}
		}
	}
	return diff
}
