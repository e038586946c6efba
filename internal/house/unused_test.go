package house_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// A declaration that only tests use is code that is kept and read for nothing,
// and a test of it shows nothing of the program. What tests need of a package's
// inside is declared in a file of tests.
func TestNoDeclarationIsUsedByTestsOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("types are the same without the race detector, and much sooner read")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is needed to read the types")
	}
	files := token.NewFileSet()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo |
			packages.NeedImports | packages.NeedDeps | packages.NeedModule,
		Fset: files, Env: append(os.Environ(), "CGO_ENABLED=0"), ParseFile: parseOurs(t),
	}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]bool{} // by place of the declaration
	var declared []types.Object
	wanted := []*types.Interface{types.Universe.Lookup("error").Type().Underlying().(*types.Interface)}
	seen := map[*types.Package]bool{}
	for _, p := range loaded {
		for _, e := range p.Errors {
			t.Fatal(e)
		}
		wanted = interfaces(p.Types, seen, append(wanted, unnamed(p)...))
		maps.Copy(uses, commands(p, files))
		for id, o := range p.TypesInfo.Uses {
			if !within(p, id) {
				uses[files.Position(origin(o).Pos()).String()] = true
			}
		}
		for _, s := range p.TypesInfo.Selections {
			uses[files.Position(origin(s.Obj()).Pos()).String()] = true
		}
		if p.Name == "main" || judgedElsewhere(p.PkgPath) {
			continue
		}
		declared = append(declared, declarations(p)...)
	}
	var unused []string
	shown := map[string]string{} // by folder of a package
	for _, o := range declared {
		at := files.Position(o.Pos())
		if uses[at.String()] || calledByAnInterface(o, wanted) ||
			calledByATemplate(t, o, filepath.Dir(at.Filename), shown) {
			continue
		}
		unused = append(unused, fmt.Sprintf("%s:%d: %s", at.Filename, at.Line, o.Name()))
	}
	slices.Sort(unused)
	for _, u := range unused {
		t.Errorf("%s is used by tests only, or by nobody", u)
	}
}

// parseOurs parses files, and those of others without what their functions do, which
// is most of what there is to read.
func parseOurs(t *testing.T) func(*token.FileSet, string, []byte) (*ast.File, error) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return func(files *token.FileSet, name string, src []byte) (*ast.File, error) {
		f, err := parser.ParseFile(files, name, src, parser.AllErrors|parser.ParseComments)
		if f != nil && !strings.HasPrefix(name, here+string(filepath.Separator)) {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					fn.Body = nil
				}
			}
		}
		return f, err
	}
}

// judgedElsewhere: what only tests may use as a whole.
func judgedElsewhere(path string) bool {
	return strings.Contains(path, "/fakeshopify") || strings.HasSuffix(path, "test") || strings.HasPrefix(path, "stockroom/docs")
}

// declarations are the functions, methods, types, variables and constants of a
// package. Not those of a group that counts its constants (iota): each keeps
// the numbers of the others what they are, whether somebody names it or not.
func declarations(p *packages.Package) []types.Object {
	numbered := map[types.Object]bool{}
	for _, f := range p.Syntax {
		for _, d := range f.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			counted := false
			ast.Inspect(group, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				counted = counted || ok && p.TypesInfo.Uses[id] == types.Universe.Lookup("iota")
				return true
			})
			for _, spec := range group.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					numbered[p.TypesInfo.Defs[name]] = counted
				}
			}
		}
	}
	var all []types.Object
	for _, o := range p.TypesInfo.Defs {
		if o == nil || o.Name() == "_" || o.Name() == "init" || numbered[o] {
			continue
		}
		switch o := o.(type) {
		case *types.Func:
			all = append(all, o)
		case *types.TypeName, *types.Const:
			if o.Parent() == p.Types.Scope() {
				all = append(all, o)
			}
		case *types.Var:
			if o.Parent() == p.Types.Scope() {
				all = append(all, o)
			}
		}
	}
	return all
}

// origin is the declaration behind an instance of a generic one.
func origin(o types.Object) types.Object {
	switch o := o.(type) {
	case *types.Func:
		return o.Origin()
	case *types.Var:
		return o.Origin()
	}
	return o
}

// within reports whether id stands in the declaration of what it names: a
// function that calls itself, or a receiver.
func within(p *packages.Package, id *ast.Ident) bool {
	o := p.TypesInfo.Uses[id]
	for _, f := range p.Syntax {
		if id.Pos() < f.FileStart || id.Pos() >= f.FileEnd {
			continue
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || id.Pos() < d.Pos() || id.Pos() >= d.End() {
				continue
			}
			if fn.Recv != nil && id.Pos() >= fn.Recv.Pos() && id.Pos() < fn.Recv.End() {
				return true
			}
			return p.TypesInfo.Defs[fn.Name] == o
		}
	}
	return false
}

// interfaces adds the interface types of a package and of what it imports.
func interfaces(p *types.Package, seen map[*types.Package]bool, all []*types.Interface) []*types.Interface {
	if seen[p] {
		return all
	}
	seen[p] = true
	for _, name := range p.Scope().Names() {
		if o, ok := p.Scope().Lookup(name).(*types.TypeName); ok && !o.IsAlias() {
			if i, ok := o.Type().Underlying().(*types.Interface); ok && i.NumMethods() > 0 {
				all = append(all, i)
			}
		}
	}
	for _, other := range p.Imports() {
		all = interfaces(other, seen, all)
	}
	return all
}

// unnamed are the interfaces that a package asks for without a name.
func unnamed(p *packages.Package) []*types.Interface {
	var all []*types.Interface
	for e, tv := range p.TypesInfo.Types {
		if _, ok := e.(*ast.InterfaceType); ok {
			if i, ok := tv.Type.(*types.Interface); ok && i.NumMethods() > 0 {
				all = append(all, i)
			}
		}
	}
	return all
}

// commands are the places of the methods that kong calls by their name: Run of
// what stands in a field tagged cmd.
func commands(p *packages.Package, files *token.FileSet) map[string]bool {
	all := map[string]bool{}
	for _, name := range p.Types.Scope().Names() {
		fields, ok := p.Types.Scope().Lookup(name).Type().Underlying().(*types.Struct)
		if !ok {
			continue
		}
		for i := range fields.NumFields() {
			if _, tagged := reflect.StructTag(fields.Tag(i)).Lookup("cmd"); !tagged {
				continue
			}
			if run, _, _ := types.LookupFieldOrMethod(fields.Field(i).Type(), true, p.Types, "Run"); run != nil {
				all[files.Position(run.Pos()).String()] = true
			}
		}
	}
	return all
}

// calledByATemplate reports whether o is a method that a template of its
// package names.
func calledByATemplate(t *testing.T, o types.Object, dir string, shown map[string]string) bool {
	f, ok := o.(*types.Func)
	if !ok || f.Signature().Recv() == nil {
		return false
	}
	if _, read := shown[dir]; !read {
		pages, err := filepath.Glob(filepath.Join(dir, "templates", "*.html"))
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			shown[dir] += string(text)
		}
	}
	return regexp.MustCompile(`\.` + o.Name() + `\b`).MatchString(shown[dir])
}

// calledByAnInterface reports whether o is a method of a type that stands for an
// interface with that method, or a method of such an interface.
func calledByAnInterface(o types.Object, all []*types.Interface) bool {
	f, ok := o.(*types.Func)
	if !ok {
		return false
	}
	recv := f.Signature().Recv()
	if recv == nil {
		return false
	}
	if types.IsInterface(recv.Type()) {
		return true
	}
	for _, i := range all {
		for m := range i.Methods() {
			if m.Name() != f.Name() {
				continue
			}
			if types.Implements(recv.Type(), i) || types.Implements(types.NewPointer(recv.Type()), i) {
				return true
			}
		}
	}
	return f.Name() == "Is" || f.Name() == "As" || f.Name() == "Unwrap" // package errors asks by name
}
