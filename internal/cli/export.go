package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"stockroom/internal/config"
	"stockroom/internal/status"
	"stockroom/web"
)

type productsExportCommand struct {
	File    string `arg:"" optional:"" help:"File to write; without it standard output."`
	Format  string `enum:"ndjson,csv,json,sqlite" default:"ndjson" help:"ndjson, csv (Shopify's product CSV), json or sqlite."`
	Shop    string `type:"shop" placeholder:"SHOP" help:"Only products of this shop; not with sqlite."`
	Columns string `enum:"new,old" default:"new" help:"csv: new (Shopify's column names of 2026) or old (those of before, as Handle and Variant SKU)."`
	Raw     bool   `help:"csv: leave text that a spreadsheet would take for a formula as it is."`
	Force   bool   `help:"Replace FILE when it is there, once the export is whole."`
}

func (c productsExportCommand) Run(e *env) error {
	if c.Format == "sqlite" {
		switch {
		case c.Shop != "":
			return withCode(config.ExitUsage, errors.New("--shop does not go with --format sqlite, which copies the whole catalogue"))
		case c.File == "" && isTerminal(e.Stdout):
			return withCode(config.ExitUsage, errors.New("--format sqlite needs a FILE to write"))
		}
	}
	params := map[string]string{"format": c.Format, "shop": c.Shop}
	if c.Format == "csv" {
		params["columns"] = c.Columns
	}
	if c.Raw {
		params["raw"] = "true"
	}
	// export writes the export and returns how many products are in it.
	export := func(out io.Writer) (n int64, err error) {
		return n, e.with(false, func(cl *client) error {
			res, err := cl.do(e.ctx, http.MethodGet, address("/api/v1/products-export", params), nil)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if _, err := io.Copy(out, res.Body); err != nil {
				return fmt.Errorf("export: %w", err)
			}
			n, err = strconv.ParseInt(cmp.Or(res.Header.Get(web.ExportedHeader), res.Trailer.Get(web.ExportedHeader)), 10, 64)
			return err
		})
	}
	if c.File == "" {
		_, err := export(e.Stdout)
		return err
	}
	file, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	n, err := writeFile(file, c.Force, export)
	if err != nil {
		return err
	}
	if e.json {
		return e.print(map[string]any{"file": file, "products": n})
	}
	fmt.Fprintf(e.Stderr, "Exported %s to %s.\n", status.Count(n, "product"), file)
	return nil
}

// writeFile writes a file that shows under its name only once it is whole, and
// that replaces what has this name already only by force.
func writeFile(file string, force bool, write func(io.Writer) (int64, error)) (n int64, err error) {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	mode := fs.FileMode(0o600)
	switch old, err := os.Stat(file); {
	case err == nil && !old.Mode().IsRegular():
		return 0, withCode(config.ExitUsage, fmt.Errorf("%s is no file; name a file to write", file))
	case err == nil && !force:
		return 0, withCode(config.ExitUsage, fmt.Errorf("%s exists already; --force replaces it, or choose another name", file))
	case err == nil:
		mode = old.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".stockroom-*.part")
	if err != nil {
		return 0, fmt.Errorf("write %s: %w; choose a folder that is there and that you may write to", file, errors.Unwrap(err))
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // an unfinished export must not pass for one
		}
	}()
	n, err = write(f)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return n, os.Rename(f.Name(), file)
}
