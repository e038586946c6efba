package house_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every fuzz target begins with inputs that are worth keeping, which are in the
// tree, and no inputs are left of a target that is gone. `.ci/fuzz` finds targets
// by a line that begins with their name.
func TestEveryFuzzTargetHasInputsInTheTree(t *testing.T) {
	targets := map[string]bool{}
	for _, f := range sourceFiles(t) {
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && f.test && strings.HasPrefix(fn.Name.Name, "Fuzz") {
				targets[filepath.Join(filepath.Dir(f.path), "testdata", "fuzz", fn.Name.Name)] = true
			}
		}
	}
	if len(targets) < 14 {
		t.Errorf("only %d targets are found", len(targets))
	}
	for dir := range targets {
		if inputs, err := os.ReadDir(dir); err != nil || len(inputs) == 0 {
			t.Errorf("%s has no inputs: %v", dir, err)
		}
	}
	for _, pattern := range []string{"*/testdata/fuzz/*", "*/*/testdata/fuzz/*", "*/*/*/testdata/fuzz/*"} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			if !targets[dir] {
				t.Errorf("%s has inputs of no target", dir)
			}
		}
	}
}
