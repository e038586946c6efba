// Command gen cuts the schema that fakeshopify serves out of Shopify's whole
// Admin API schema: the types and fields named in wanted.txt with what they
// need, without descriptions.
//
// Usage: gen SCHEMA.graphql.gz, from the folder fakeshopify. It writes
// schema.graphql there.
package main

import (
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"os"
)

//go:embed wanted.txt
var wanted string

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want the path of the whole schema")
	}
	whole, err := readGzip(args[0])
	if err != nil {
		return err
	}
	text, err := subset(whole, wanted)
	if err != nil {
		return err
	}
	return os.WriteFile("schema.graphql", []byte(text), 0o644)
}

func readGzip(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(b), nil
}
