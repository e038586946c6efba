package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"stockroom/internal/folder"
)

// longestValue bounds what a value that a query makes takes in memory; it is more than
// a product takes.
const longestValue = 32 << 20

// errNotOneSelect is of a statement that is not run.
var errNotOneSelect = errors.New("this is not one SELECT statement; only that is run here, as it changes nothing")

// Rows are what a query finds, row by row, or why there are no more. A row's values
// are nil, int64, float64, string or []byte; the slice is used again for the next row.
type Rows = iter.Seq2[[]any, error]

// Query runs a person's SELECT statement on a database, whether it is in use or not,
// and hands over the rows as they are read. Nothing can be written: the connection,
// the statement and what it may do only read.
func Query(ctx context.Context, path, statement string, take func(columns []string, rows Rows) error) (err error) {
	f, err := folder.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	query := readerQuery()
	// What does not fit into the cache is sorted in a file, which has no name.
	query["_pragma"] = append(query["_pragma"], "temp_store(FILE)")
	db := sql.OpenDB(connector{newDatabase(f, filepath.Base(path)), query})
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return queryError(err)
	}
	defer conn.Close()
	if err := readsOnly(conn, statement); err != nil {
		return queryError(err)
	}
	rows, err := conn.QueryContext(ctx, statement)
	if err != nil {
		return queryError(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return queryError(err)
	}
	return take(columns, func(yield func([]any, error) bool) {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); !yield(row, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, queryError(err))
		}
	})
}

// readsOnly bounds what the connection may do, and refuses a text that is not one
// SELECT statement: such a one fits into the FROM of another.
func readsOnly(conn *sql.Conn, statement string) error {
	if _, err := sqlite.Limit(conn, sqlite3.SQLITE_LIMIT_LENGTH, longestValue); err != nil {
		return err
	}
	return conn.Raw(func(dc any) error {
		if err := dc.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(mayRead); err != nil {
			return err
		}
		compile := dc.(interface {
			ColumnInfo(string) ([]sqlite.ColumnInfo, error)
		}).ColumnInfo
		if _, err := compile(statement); err != nil {
			return err
		}
		if _, err := compile("SELECT * FROM (\n" + strings.TrimRight(statement, "; \t\r\n") + "\n)"); err != nil {
			return errNotOneSelect
		}
		return nil
	})
}

// mayRead lets a statement read tables, and learn which there are.
func mayRead(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRead, sqlite.AuthRecursive:
		return sqlite.AuthorizerOK
	case sqlite.AuthFunction:
		if arg2 != "load_extension" {
			return sqlite.AuthorizerOK
		}
	case sqlite.AuthPragma:
		if slices.Contains([]string{"table_info", "table_xinfo", "table_list"}, arg1) {
			return sqlite.AuthorizerOK
		}
	}
	return sqlite.AuthorizerDeny
}

// queryError says to the person who wrote the statement what is wrong with it.
func queryError(err error) error {
	se, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case ok && se.Code() == sqlite3.SQLITE_AUTH:
		err = errNotOneSelect
	case ok && se.Code() == sqlite3.SQLITE_ERROR:
		words := strings.TrimSuffix(strings.TrimPrefix(se.Error(), "SQL logic error: "), " (1)")
		if strings.HasPrefix(words, "no such ") {
			words += "; SELECT * FROM catalogue LIMIT 1 shows the columns there are"
		}
		err = errors.New(words)
	}
	return fmt.Errorf("run the query: %w", err)
}
