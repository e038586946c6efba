package store

import (
	"fmt"
	"strings"

	"stockroom/catalog"
)

const (
	variantArgs = 20
	changeArgs  = 6
	bufferRows  = 64 // rows of one statement
)

// rowBuffer holds back the rows of a bulk transaction that nothing reads before
// its end: variants of new products and the change feed. Many rows in one
// statement cost half of what they cost one by one.
type rowBuffer struct {
	variants []any
	products map[int64]bool // products.id whose variants are in the buffer
	changes  []any
}

func newRowBuffer() *rowBuffer {
	return &rowBuffer{
		products: make(map[int64]bool),
		variants: make([]any, 0, (4*bufferRows+100)*variantArgs), changes: make([]any, 0, (4*bufferRows+8)*changeArgs),
	}
}

func (b *rowBuffer) addVariant(productID int64, v *catalog.Variant) {
	b.variants = appendVariant(b.variants, productID, v)
	b.products[productID] = true
}

// flush writes what the buffer holds.
func (t *tx) flush() error {
	b := t.rows
	if b == nil {
		return nil
	}
	if err := t.insertMany(insertVariant, variantArgs, b.variants); err != nil {
		return fmt.Errorf("insert variants: %w", err)
	}
	if err := t.insertMany(insertChange, changeArgs, b.changes); err != nil {
		return fmt.Errorf("write change feed: %w", err)
	}
	clear(b.products)
	b.variants, b.changes = b.variants[:0], b.changes[:0]
	return nil
}

// written makes sure that the rows of a stored product are in the table before
// they are read: the same product can come twice in one transaction.
func (t *tx) written(productID int64) error {
	if t.rows == nil || !t.rows.products[productID] {
		return nil
	}
	return t.flush()
}

// full reports whether the buffer holds enough rows for whole statements.
func (b *rowBuffer) full() bool {
	return len(b.variants) >= 4*bufferRows*variantArgs || len(b.changes) >= 4*bufferRows*changeArgs
}

// insertMany writes rows of so many arguments each, many in one statement. Their
// numbers are powers of two, so that few statements have to be kept.
func (t *tx) insertMany(insert string, width int, args []any) error {
	for rows := bufferRows; len(args) > 0; {
		if rows*width > len(args) {
			rows /= 2
			continue
		}
		sql, ok := t.conn.many[manyKey{insert, rows}]
		if !ok {
			one := "(?" + strings.Repeat(", ?", width-1) + ")"
			sql = insert + one + strings.Repeat(", "+one, rows-1)
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
