package house_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layer is one package: its level and which of ours it may import. A package
// imports only from lower levels. A folder below a package belongs to it.
type layer struct {
	level   int
	imports []string
	// tests are what its test files may import beyond imports.
	tests []string
}

// layers is the allow-list; "." is the root. A new package gets its row here
// and in ARCHITECTURE.md.
func layers() map[string]layer {
	core := []string{"admit", "answer", "backup", "boltfile", "breaker", "bulk", "catalog", "certs", "config", "datadir", "folder", "limiter", "logbook", "queue", "service", "shopify", "state", "store", "syncer", "telemetry", "uptime"}
	all := append([]string{"fakeshopify", "notify", "status", "web", "webhook"}, core...)
	return map[string]layer{
		"admit":       {level: 1, imports: []string{"answer", "config", "logbook", "telemetry"}, tests: core},
		"answer":      {level: 0},
		"backup":      {level: 3, imports: []string{"admit", "boltfile", "config", "datadir", "folder", "queue", "state", "store"}, tests: []string{"catalog"}},
		"boltfile":    {level: 1, imports: []string{"folder"}},
		"breaker":     {level: 2, imports: []string{"boltfile", "uptime"}},
		"bulk":        {level: 1, imports: []string{"folder"}},
		"catalog":     {level: 0, tests: []string{"fakeshopify"}},
		"certs":       {level: 2, imports: []string{"datadir", "folder", "telemetry", "uptime"}},
		"config":      {level: 0},
		"datadir":     {level: 1, imports: []string{"config", "folder"}},
		"deploy":      {level: 0},
		"docs":        {level: 0},              // example programs, which use what any other program may
		"fakeshopify": {level: 0, tests: core}, // nothing of ours: a decoding mistake must not hide on both sides
		"folder":      {level: 0},
		"limiter":     {level: 2, imports: []string{"boltfile", "uptime"}},
		"logbook":     {level: 0},
		"notify":      {level: 6, imports: []string{"config", "status"}, tests: append([]string{"fakeshopify", "status"}, core...)},
		"queue":       {level: 2, imports: []string{"boltfile", "folder"}},
		"service":     {level: 1, imports: []string{"config", "deploy"}},
		"shopify":     {level: 3, imports: []string{"breaker", "catalog", "config", "limiter", "telemetry", "uptime"}, tests: []string{"boltfile", "fakeshopify"}},
		"state":       {level: 2, imports: []string{"boltfile", "catalog", "config", "folder"}},
		"store":       {level: 2, imports: []string{"catalog", "folder"}, tests: []string{"fakeshopify"}},
		"telemetry":   {level: 0},
		"syncer":      {level: 4, imports: []string{"bulk", "catalog", "folder", "limiter", "queue", "shopify", "state", "store", "telemetry", "uptime"}, tests: append([]string{"fakeshopify"}, core...)},
		"webhook":     {level: 4, imports: []string{"admit", "answer", "catalog", "queue", "store", "telemetry", "uptime"}, tests: append([]string{"fakeshopify"}, core...)}, // not shopify: receiving works while the client is broken
		"status":      {level: 5, imports: []string{"backup", "catalog", "certs", "config", "datadir", "queue", "shopify", "state", "store", "syncer", "webhook"}, tests: append([]string{"fakeshopify"}, core...)},
		"web":         {level: 7, imports: append([]string{"notify", "status", "webhook"}, core...), tests: all},
		"appliance":   {level: 8, imports: all, tests: all},
		"cli":         {level: 9, imports: append([]string{"appliance"}, all...), tests: append([]string{"appliance"}, all...)},
		"e2e":         {level: 10, tests: append([]string{"appliance", "cli"}, all...)}, // holds no code of the program
		"house":       {level: 10},
		".":           {level: 10, imports: []string{"cli"}},
		"uptime":      {level: 0},
	}
}

func TestPackagesImportOnlyFromLowerLevelsOnTheList(t *testing.T) {
	for dir, row := range layers() {
		for _, imported := range row.imports {
			if layers()[imported].level >= row.level {
				t.Errorf("the list lets %s import %s, which is not on a lower level", dir, imported)
			}
		}
	}
	for _, f := range sourceFiles(t) {
		for _, imported := range f.imports {
			for _, problem := range judge(f.pkg, imported, f.test) {
				t.Errorf("%s: %s", f.path, problem)
			}
		}
		if _, listed := layers()[f.pkg]; !listed {
			t.Errorf("%s: package %s has no row in layers_test.go", f.path, f.pkg)
		}
	}
}

// judge says what is wrong with a file of pkg importing path.
func judge(pkg, path string, test bool) []string {
	of, ours := ownPackage(path)
	if !ours || of == pkg {
		return nil
	}
	row := layers()[pkg]
	if slices.Contains(row.imports, of) || test && slices.Contains(row.tests, of) {
		return nil
	}
	if test {
		return []string{fmt.Sprintf("tests of %s may not import %s", pkg, of)}
	}
	return []string{fmt.Sprintf("%s may not import %s", pkg, of)}
}

func TestAnUnlistedImportIsFound(t *testing.T) {
	for _, tt := range []struct {
		pkg, path string
		test, ok  bool
	}{
		{"store", "stockroom/internal/catalog", false, true},
		{"store", "stockroom/queue", false, false},
		{"store", "stockroom/internal/catalog/sub", false, true},
		{"webhook", "stockroom/internal/shopify", false, false},
		{"webhook", "stockroom/internal/fakeshopify", true, true},
		{"webhook", "stockroom/internal/fakeshopify", false, false},
		{"web", "stockroom/internal/appliance", false, false},
		{"fakeshopify", "stockroom/internal/catalog", false, false},
		{"catalog", "stockroom", false, false},
		{"store", "stockroom/store/sub", false, true},
		{"store", "stockroomy/queue", false, true},
		{"store", "database/sql", false, true},
	} {
		if problems := judge(tt.pkg, tt.path, tt.test); (len(problems) == 0) != tt.ok {
			t.Errorf("%s importing %s (test: %v): got %q", tt.pkg, tt.path, tt.test, problems)
		}
	}
}

// TestNoPackageHasInitOrMutableVariables holds rule 2 of the code style.
func TestNoPackageHasInitOrMutableVariables(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if f.test {
			continue
		}
		for _, decl := range f.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					t.Errorf("%s: has an init function", f.path)
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, spec := range d.Specs {
					if v := spec.(*ast.ValueSpec); !constantVariable(v, d) {
						t.Errorf("%s: package variable %s looks like state: make it a constant, a table or a field", f.path, v.Names[0])
					}
				}
			}
		}
	}
}

// constantVariable reports whether v is made to be read only: an assertion, an
// embedded file, main's version, a table, or an error, pattern or template. What
// has no value yet, or a value made to change (a pointer, a map made empty, a
// number), is state.
func constantVariable(v *ast.ValueSpec, d *ast.GenDecl) bool {
	if v.Names[0].Name == "_" || v.Names[0].Name == "version" {
		return true
	}
	for _, doc := range []*ast.CommentGroup{v.Doc, d.Doc} {
		if doc != nil && strings.Contains(doc.List[len(doc.List)-1].Text, "//go:embed") {
			return true
		}
	}
	for _, value := range v.Values {
		switch value := value.(type) {
		case *ast.CompositeLit:
			if len(value.Elts) == 0 {
				return false
			}
		case *ast.SelectorExpr: // another package's constant in all but name
		case *ast.CallExpr:
			if _, conversion := value.Fun.(*ast.ArrayType); conversion {
				continue // []byte("name")
			}
			fn, ok := value.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"New", "Errorf", "NewReplacer", "OnceValue", "OnceValues", "MakeTable", "Date"}, fn.Sel.Name) && !strings.HasPrefix(fn.Sel.Name, "Must") {
				return false
			}
		default:
			return false
		}
	}
	return len(v.Values) > 0
}

// source is one Go file of ours.
type source struct {
	path    string
	pkg     string // first folder of its path below internal/, "." for the root
	test    bool
	imports []string
	ast     *ast.File
}

// sourceFiles reads the tree itself: build constraints and the test cache hide
// nothing from it.
func sourceFiles(t *testing.T) []source {
	t.Helper()
	var files []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != "." && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		imports := map[string]bool{}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[imported] = true
		}
		files = append(files, source{path, packageOf(filepath.ToSlash(filepath.Dir(path))), strings.HasSuffix(path, "_test.go"), slices.Sorted(maps.Keys(imports)), parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("found only %d files", len(files))
	}
	return files
}

// packageOf is the name in the list of a folder of the tree: its first part, the
// one below internal/.
func packageOf(folder string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(folder, "internal/"), "/")
	return name
}

// ownPackage returns the package of ours that an import path belongs to.
func ownPackage(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	below, ours := strings.CutPrefix(path, module+"/")
	return packageOf(below), ours
}

const module = "stockroom"
