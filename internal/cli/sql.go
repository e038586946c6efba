package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/store"
	"stockroom/web"
)

type sqlCommand struct {
	Query   string        `arg:"" help:"One SELECT statement, in quotes; - reads it from standard input."`
	CSV     bool          `name:"csv" help:"Write CSV."`
	Raw     bool          `help:"csv: leave text that a spreadsheet would take for a formula as it is."`
	Timeout time.Duration `default:"10s" help:"End the query after this long."`
}

// longestQuery is more than a person writes.
const longestQuery = 1 << 20

func (c sqlCommand) Run(e *env) error {
	if c.Query == "-" {
		text, err := io.ReadAll(io.LimitReader(e.Stdin, longestQuery))
		if err != nil {
			return fmt.Errorf("read the query: %w", err)
		}
		c.Query = string(text)
	}
	write := writeTable
	switch {
	case strings.TrimSpace(c.Query) == "":
		return withCode(config.ExitUsage,
			errors.New(`there is no query; write one in quotes, such as "SELECT title, price FROM catalogue"`))
	case c.Timeout <= 0:
		return withCode(config.ExitUsage, errors.New("--timeout is how long the query may take, such as 1m"))
	case c.CSV && e.json:
		return withCode(config.ExitUsage, errors.New("--csv and --json do not go together; choose one"))
	case c.CSV:
		write = func(w io.Writer, columns []string, rows store.Rows) error {
			return writeCSV(w, columns, rows, c.Raw)
		}
	case e.json:
		write = writeJSON
	}
	// Without a server the file is first brought up to date, as for every command.
	return e.with(false, func(cl *client) error {
		ctx, cancel := context.WithTimeout(e.ctx, c.Timeout)
		defer cancel()
		out := bufio.NewWriter(e.Stdout)
		take := func(columns []string, rows store.Rows) error { return write(out, columns, rows) }
		err := store.Query(ctx, filepath.Join(cl.dir, datadir.ProductsFile), c.Query, take)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
			err = fmt.Errorf(
				"the query was ended after %s; ask for less, or give it more time with --timeout", c.Timeout)
		}
		return errors.Join(err, out.Flush())
	})
}

// tableLines is after how many lines a table is written, with the widths that its
// columns have by then.
const tableLines = 1000

func writeTable(out io.Writer, columns []string, rows store.Rows) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := slices.Clone(columns)
	n := 0
	for row, err := range rows {
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
		if n%tableLines == 0 {
			fmt.Fprintln(w, strings.Join(columns, "\t"))
		}
		for i, v := range row {
			line[i] = printable(asText(v, "NULL"))
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
		if n++; n%tableLines == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	if n == 0 {
		fmt.Fprintln(w, "No row fits.")
	}
	return w.Flush()
}

func writeCSV(out io.Writer, columns []string, rows store.Rows, raw bool) error {
	line := slices.Clone(columns)
	err := web.CSVLine(out, line, raw)
	for row, failed := range rows {
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		for i, v := range row {
			line[i] = asText(v, "")
		}
		err = web.CSVLine(out, line, raw)
	}
	return err
}

// writeJSON writes an array of objects, with numbers as the API has them.
func writeJSON(out io.Writer, columns []string, rows store.Rows) error {
	for i, name := range columns {
		if slices.Contains(columns[:i], name) {
			return fmt.Errorf("write JSON: two columns are called %s; give one another name with AS", name)
		}
	}
	w := jsontext.NewEncoder(out, jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true))
	err := w.WriteToken(jsontext.BeginArray)
	for row, failed := range rows {
		err = errors.Join(err, failed, w.WriteToken(jsontext.BeginObject))
		for i := 0; i < len(columns) && err == nil; i++ {
			err = errors.Join(w.WriteToken(jsontext.String(columns[i])), json.MarshalEncode(w, row[i]))
		}
		if err = errors.Join(err, w.WriteToken(jsontext.EndObject)); err != nil {
			return err
		}
	}
	return errors.Join(err, w.WriteToken(jsontext.EndArray))
}

// asText is a value of a row as text; bytes are in hexadecimal.
func asText(v any, null string) string {
	switch v := v.(type) {
	case nil:
		return null
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []byte:
		return fmt.Sprintf("%x", v)
	}
	return fmt.Sprint(v)
}
