// Package house holds the source to the rules of the house: who may import whom,
// no variables that change, nothing that only tests use, versions of libraries
// that fit each other, inputs for each fuzz target, and documents that name what
// is there. It holds no code of the program.
package house_test

import (
	"os"
	"testing"
)

// TestMain goes to the top of the tree, to which all paths are relative.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
