// Command vet makes the checks of go vet, with types read from source: nothing that a
// package is made of is compiled for it. For a system that is not this machine's that
// takes a seventh of the time.
//
//	go build -o bin/vet .ci/vet.go && GOOS=windows bin/vet ./...
package main

import (
	"golang.org/x/tools/go/analysis/multichecker"
	"golang.org/x/tools/go/analysis/suite/vet"
)

func main() { multichecker.Main(vet.Suite...) }
