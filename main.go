// Stockroom keeps an exact local copy of a Shopify shop's products in SQLite.
// See README.md.
package main

import (
	"context"
	"os"

	"stockroom/internal/cli"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(cli.Run(context.Background(), cli.Process{
		Program: os.Args[0], Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: version,
	}))
}
