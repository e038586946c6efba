package store

import (
	"fmt"
	"strings"
)

const (
	changeArgs = 6
	seenArgs   = 3
	bufferRows = 64 // most rows of one statement
)

// rowBuffer holds back the rows of a bulk transaction that nothing reads before
// its end: new products with their variants, and the change feed. Many rows in
// one statement cost half of what they cost one by one.
type rowBuffer struct {
	products []any
	variants []any
	changes  []any

	made map[int64]bool // products that the transaction has made
	next int64          // products.id of the next one, 0 when not known yet
	// No product and no tombstone had an id of these when the transaction began.
	newFrom, newTo int64
}

func newRowBuffer() *rowBuffer {
	return &rowBuffer{
		made:     make(map[int64]bool),
		products: make([]any, 0, (bufferRows+8)*productArgs()),
		variants: make([]any, 0, (4*bufferRows+100)*variantArgs()),
		changes:  make([]any, 0, (4*bufferRows+8)*changeArgs),
	}
}

// isNew reports whether a product is known to have neither row nor tombstone.
func (b *rowBuffer) isNew(id int64) bool {
	return b != nil && b.newFrom <= id && id <= b.newTo && !b.made[id]
}

// flush writes what the buffer holds.
func (t *tx) flush() error {
	b := t.rows
	if b == nil {
		return nil
	}
	if err := t.insertMany(insertProduct(), productArgs(), b.products); err != nil {
		return fmt.Errorf("insert products: %w", err)
	}
	if err := t.insertMany(insertVariant(), variantArgs(), b.variants); err != nil {
		return fmt.Errorf("insert variants: %w", err)
	}
	if err := t.insertMany(insertChange, changeArgs, b.changes); err != nil {
		return fmt.Errorf("write change feed: %w", err)
	}
	b.products, b.variants, b.changes = b.products[:0], b.variants[:0], b.changes[:0]
	return nil
}

// written makes sure that the rows of a product are in the table before they are
// read: the same product can come twice in one transaction.
func (t *tx) written(id int64) error {
	if t.rows == nil || !t.rows.made[id] {
		return nil
	}
	return t.flush()
}

// full reports whether the buffer holds enough rows for whole statements.
func (b *rowBuffer) full() bool {
	return len(b.variants) >= 4*bufferRows*variantArgs() || len(b.changes) >= 4*bufferRows*changeArgs || len(b.products) >= bufferRows*productArgs()
}

// nextProduct numbers a new product whose row is held back, as AUTOINCREMENT
// would.
func (t *tx) nextProduct() (int64, error) {
	b := t.rows
	if b.next == 0 {
		n, err := t.count(`SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'products'), 0), coalesce((SELECT max(id) FROM products), 0))`)
		if err != nil {
			return 0, fmt.Errorf("read the last product's number: %w", err)
		}
		b.next = n + 1
	}
	b.next++
	return b.next - 1, nil
}

// insertMany writes rows of so many arguments each, many in one statement. Their
// numbers are powers of two, so that few statements have to be kept. The caller
// gives the transaction up when it fails: a row that fails does not take the
// statement's rows before it back, which spares SQLite a copy of every page that
// it changes.
func (t *tx) insertMany(insert string, width int, args []any) error {
	for rows := bufferRows; len(args) > 0; {
		if rows*width > len(args) {
			rows /= 2
			continue
		}
		sql, ok := t.conn.many[manyKey{insert, rows}]
		if !ok {
			one := marks(width)
			sql = strings.Replace(insert, "INSERT", "INSERT OR FAIL", 1) + one + strings.Repeat(", "+one, rows-1)
			t.conn.many[manyKey{insert, rows}] = sql
		}
		if _, err := t.exec(sql, args[:rows*width]...); err != nil {
			return err
		}
		args = args[rows*width:]
	}
	return nil
}

// manyKey names a statement of many rows.
type manyKey struct {
	insert string
	rows   int
}
