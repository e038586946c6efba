package bulk

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/url"
	"slices"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"stockroom/internal/folder"
)

// ErrSortFile says that the sort file is not the one that a mark speaks of, or is
// damaged. Start over without a mark.
var ErrSortFile = errors.New("bulk: the file that sorts the result can't be used")

// The sort file holds lines by their place in the result, so that they are
// appended, and beside them the order in which they are read back. A line and
// its place are written in one transaction.
const (
	schema = `
		BEGIN;
		CREATE TABLE lines (at INTEGER PRIMARY KEY, data BLOB NOT NULL);
		CREATE TABLE places (root INTEGER, at INTEGER, sum INTEGER NOT NULL, PRIMARY KEY (root, at)) WITHOUT ROWID;
		COMMIT`
	insertLine  = `INSERT OR IGNORE INTO lines VALUES (?, ?)`
	insertPlace = `INSERT OR IGNORE INTO places VALUES (?, ?, ?)`
	selectSum   = `SELECT count(*), sum(sum + root % 2147483647 * ((at + 1) % 2147483647) % 2147483647) FROM places`
	selectLines = `
		SELECT p.root, p.at, p.sum, l.data FROM places p LEFT JOIN lines l ON l.at = p.at
		WHERE p.root > ? ORDER BY p.root, p.at`
	// mostPlaces is how many places wait in memory for a commit.
	mostPlaces = 1 << 16
)

// sorter is the sort file. The zero value with a name has none yet.
type sorter struct {
	dir    *folder.Folder
	name   string
	id     fs.FileInfo
	conn   driver.Conn // nil: there is no file
	line   driver.Stmt // insertLine
	places []place     // not committed; none: there is no transaction
	rows   driver.Rows // of the walk
	head   place       // the row at which the walk is, root 0 at its end
	data   []byte      // of head
}

// place is where a line belongs.
type place struct {
	root, at int64
	sum      uint32 // of the line's bytes
}

// share is what it adds to the sum of a mark, as selectSum computes it: root,
// place and bytes all count, so that no line can move to another group.
func (p place) share() int64 {
	const prime = 1<<31 - 1
	return int64(p.sum) + p.root%prime*((p.at+1)%prime)%prime
}

// open opens the file of an earlier joiner.
func (s *sorter) open() error {
	id, err := s.dir.Info(s.name)
	if err == nil {
		s.id = id
		err = s.connect()
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, folder.ErrNotRegular) {
		return fmt.Errorf("%w: %w", ErrSortFile, err)
	}
	return wrap("open", err)
}

// make makes the file, empty, in place of one that no mark speaks of.
func (s *sorter) make() error {
	if err := s.dir.Check(); err != nil {
		return err
	}
	if err := s.dir.RemoveDatabase(s.name); err != nil {
		return err
	}
	f, err := s.dir.Create(s.name)
	if err != nil {
		return err
	}
	s.id, err = f.Stat()
	if err := errors.Join(err, f.Close(), s.dir.Sync()); err != nil {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	return s.exec(schema)
}

// connect has SQLite open the file, by path: so the names are looked at before
// and after. It keeps the journal open from the first transaction on.
func (s *sorter) connect() error {
	if err := s.look(); err != nil {
		return err
	}
	name := url.URL{Scheme: "file", Path: s.dir.File(s.name), RawQuery: url.Values{"mode": {"rw"}, "_pragma": {
		"locking_mode(EXCLUSIVE)", "journal_mode(PERSIST)", "synchronous(FULL)", "cache_size(-4000)", "temp_store(MEMORY)",
	}}.Encode()}
	base, err := sqlite.NewConnector(name.String())
	if err != nil {
		return err
	}
	if s.conn, err = base.Connect(context.Background()); err != nil {
		return err
	}
	return s.look()
}

// look fails when the folder or the file is another one than was opened.
func (s *sorter) look() error { return cmp.Or(s.dir.Check(), s.dir.Same(s.name, s.id)) }

func (s *sorter) exec(text string) error {
	_, err := s.conn.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

// put adds a line, on the disk after the next commit. share is what it adds to
// the sum of a mark.
func (s *sorter) put(root int64, l line) (share int64, err error) {
	p := place{root, l.at, crc32.Checksum(l.data, castagnoli)}
	if len(s.places) == 0 {
		err = s.begin()
	}
	if err == nil {
		err = perform(s.line, l.at, l.data)
	}
	if s.places = append(s.places, p); err == nil && len(s.places) == mostPlaces {
		err = s.commit()
	}
	return p.share(), wrap("write", err)
}

func (s *sorter) begin() (err error) {
	if s.conn == nil {
		if err := s.make(); err != nil {
			return err
		}
	}
	if s.line == nil {
		if s.line, err = s.conn.Prepare(insertLine); err != nil {
			return err
		}
	}
	return s.exec("BEGIN IMMEDIATE")
}

// commit puts all lines on the disk. The places are written in their order: then
// each page of them is written once.
func (s *sorter) commit() error {
	if len(s.places) == 0 {
		return nil
	}
	slices.SortFunc(s.places, func(a, b place) int { return cmp.Or(cmp.Compare(a.root, b.root), cmp.Compare(a.at, b.at)) })
	stmt, err := s.conn.Prepare(insertPlace)
	if err != nil {
		return wrap("write", err)
	}
	for _, p := range s.places {
		if err == nil {
			err = perform(stmt, p.root, p.at, int64(p.sum))
		}
	}
	if err = errors.Join(err, stmt.Close(), s.look()); err == nil {
		err = s.exec("COMMIT")
	}
	if s.places = s.places[:0]; err == nil {
		err = s.look()
	}
	return wrap("write", err)
}

// perform runs a prepared statement.
func perform(stmt driver.Stmt, args ...driver.Value) error {
	_, err := stmt.(driver.StmtExecContext).ExecContext(context.Background(), named(args))
	return err
}

func named(args []driver.Value) []driver.NamedValue {
	list := make([]driver.NamedValue, len(args))
	for i, a := range args {
		list[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return list
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// walk begins to read the lines of the roots behind m.Walked, when the file holds
// what the mark says.
func (s *sorter) walk(m Mark) error {
	if err := s.commit(); err != nil {
		return err
	}
	var row [2]driver.Value
	rows, err := s.query(selectSum)
	if err == nil {
		err = errors.Join(rows.Next(row[:]), rows.Close())
	}
	if err == nil && (row[0] != driver.Value(m.Sorted) || row[1] != driver.Value(m.Sum)) {
		return fmt.Errorf("%w: it holds %v lines of %d", ErrSortFile, row[0], m.Sorted)
	}
	if err == nil {
		rows, err = s.query(selectLines, m.Walked)
	}
	if err != nil {
		return wrap("read", err)
	}
	s.rows = rows
	return s.advance()
}

func (s *sorter) query(text string, args ...driver.Value) (driver.Rows, error) {
	return s.conn.(driver.QueryerContext).QueryContext(context.Background(), text, named(args))
}

// advance reads the next row of the walk.
func (s *sorter) advance() error {
	var row [4]driver.Value
	if err := s.rows.Next(row[:]); errors.Is(err, io.EOF) {
		s.head = place{}
		return nil
	} else if err != nil {
		return wrap("read", err)
	}
	root, _ := row[0].(int64)
	at, _ := row[1].(int64)
	s.data, _ = row[3].([]byte)
	s.head = place{root, at, crc32.Checksum(s.data, castagnoli)}
	if row[2] != driver.Value(int64(s.head.sum)) || len(s.data) == 0 {
		return fmt.Errorf("%w: a line in it is damaged", ErrSortFile)
	}
	return nil
}

// next returns the n lines of the next root, those beyond maxGroup left out. n is
// 0 at the end.
func (s *sorter) next() (root int64, lines []line, n int64, err error) {
	all := run{id: s.head.root}
	for ; all.id != 0 && s.head.root == all.id; n++ {
		l, _, _ := parse(s.data)
		l.at = s.head.at
		all.add(all.id, l)
		if err := s.advance(); err != nil {
			return 0, nil, 0, err
		}
	}
	return all.id, all.lines, n, nil
}

// wrap says what failed. ErrSortFile is all that the file itself is to blame for.
func wrap(doing string, err error) error {
	if err == nil || errors.Is(err, ErrSortFile) {
		return err
	}
	if failed, ok := errors.AsType[*sqlite.Error](err); ok {
		switch failed.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY,
			sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		default:
			return fmt.Errorf("%w: %s it: %w", ErrSortFile, doing, err)
		}
	}
	return fmt.Errorf("bulk: %s the sort file: %w", doing, err)
}

func (s *sorter) close() error {
	if s.conn == nil {
		return nil
	}
	var errs []error
	if s.rows != nil {
		errs = append(errs, s.rows.Close())
	}
	if s.line != nil {
		errs = append(errs, s.line.Close())
	}
	errs = append(errs, s.conn.Close())
	*s = sorter{dir: s.dir, name: s.name}
	return errors.Join(errs...)
}
