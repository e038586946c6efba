package admit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// TestSecretsAreComparedInConstantTime reads the source: a comparison that stops
// at the first difference passes every other test.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	want := map[string]string{
		"bearer": "gate.go", "glance": "guesses.go",
		"deviceOf": "cookie.go",
		"verify":   "hash.go",
	}
	for name, file := range want {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, decl := range parsed.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Name.Name != name {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "ConstantTimeCompare" {
					found = true
				}
				if c, ok := n.(*ast.SelectorExpr); ok && c.Sel.Name == "Equal" {
					if x, ok := c.X.(*ast.Ident); ok && (x.Name == "bytes" || x.Name == "slices") {
						t.Errorf("%s in %s uses %s.Equal", name, file, x.Name)
					}
				}
				return true
			})
		}
		if !found {
			t.Errorf("%s in %s does not compare in constant time", name, file)
		}
	}
}
