package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
)

// conn is the writer's one connection, used straight through the driver: the
// pool and the argument conversion of database/sql cost more than the
// statements themselves. Statements are prepared once and kept, keyed by their
// text. Only the writer goroutine touches it.
type conn struct {
	dc    driver.Conn
	db    *database
	stmts map[string]*stmt
	// changes are the rows that were changed on it up to the last commit.
	changes int64
	// Texts of statements that are put together.
	many    map[manyKey]string
	updates map[updateKey]string
}

type stmt struct {
	ds   driver.Stmt
	args []driver.NamedValue
}

func (d *database) connect(ctx context.Context, query url.Values) (*conn, error) {
	dc, err := connector{d, query}.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{dc: dc, db: d, stmts: map[string]*stmt{}, many: map[manyKey]string{}, updates: map[updateKey]string{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.ds.Close())
	}
	c.stmts = nil
	errs = append(errs, c.db.close(c.dc))
	return errors.Join(errs...)
}

func (c *conn) prepare(sql string, args []any) (*stmt, error) {
	s, ok := c.stmts[sql]
	if !ok {
		ds, err := c.dc.Prepare(sql)
		if err != nil {
			return nil, err
		}
		s = &stmt{ds: ds}
		c.stmts[sql] = s
	}
	if len(s.args) != len(args) {
		s.args = make([]driver.NamedValue, len(args))
	}
	for i, a := range args {
		s.args[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return s, nil
}

// exec runs a statement. Arguments are int64, string, []byte or nil.
func (c *conn) exec(sql string, args ...any) (driver.Result, error) {
	s, err := c.prepare(sql, args)
	if err != nil {
		return nil, err
	}
	return s.ds.(driver.StmtExecContext).ExecContext(context.Background(), s.args)
}

// do runs a statement; what names it in an error.
func (c *conn) do(what, sql string, args ...any) error {
	if _, err := c.exec(sql, args...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// insert runs an INSERT and returns the new row's id.
func (c *conn) insert(sql string, args ...any) (int64, error) {
	res, err := c.exec(sql, args...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// each calls fn with every row of a query; the slice is reused between calls.
func (c *conn) each(sql string, columns int, fn func(row []driver.Value) error, args ...any) (err error) {
	s, err := c.prepare(sql, args)
	if err != nil {
		return err
	}
	rows, err := s.ds.(driver.StmtQueryContext).QueryContext(context.Background(), s.args)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	row := make([]driver.Value, columns)
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
}

// one reads the first row of a query into row and reports whether there is one.
func (c *conn) one(sql string, row []driver.Value, args ...any) (found bool, err error) {
	err = c.each(sql, len(row), func(first []driver.Value) error {
		copy(row, first)
		found = true
		return errFirst
	}, args...)
	if errors.Is(err, errFirst) {
		err = nil
	}
	return found, err
}

var errFirst = errors.New("the first row is enough")

func (c *conn) count(sql string, args ...any) (int64, error) {
	var row [1]driver.Value
	found, err := c.one(sql, row[:], args...)
	if err != nil || !found {
		return 0, err
	}
	n, ok := row[0].(int64)
	if !ok {
		return 0, fmt.Errorf("store: %T where a number was expected", row[0])
	}
	return n, nil
}

// exists reports whether a query finds a row; what names it in an error.
func (c *conn) exists(what, sql string, args ...any) (bool, error) {
	n, err := c.count(`SELECT EXISTS (`+sql+`)`, args...)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	return n != 0, nil
}

func asInt(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func asText(v driver.Value) string {
	s, _ := v.(string)
	return s
}
