package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// source is what can be read: the store, or one moment of it.
type source interface {
	rows(ctx context.Context, sqlText string, args ...any) (*sql.Rows, error)
}

func (s *Store) rows(ctx context.Context, sqlText string, args ...any) (*sql.Rows, error) {
	if db := s.readers.Load(); db != nil {
		return db.QueryContext(ctx, sqlText, args...)
	}
	return nil, notOpenError()
}

func notOpenError() error {
	return &UnavailableError{Cause: CauseClosed, Err: errors.New("the file is not open")}
}

// moment is a read transaction: what it reads belongs together.
type moment struct{ *sql.Tx }

func (i moment) rows(ctx context.Context, sqlText string, args ...any) (*sql.Rows, error) {
	return i.QueryContext(ctx, sqlText, args...)
}

// begin begins a read transaction; end it with Rollback.
func (s *Store) begin(ctx context.Context) (moment, error) {
	db := s.readers.Load()
	if db == nil {
		return moment{}, notOpenError()
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return moment{}, classify(fmt.Errorf("begin read: %w", err))
	}
	return moment{tx}, nil
}

// query runs a read and collects its rows.
func query[T any](ctx context.Context, from source, read func(scan func(...any) error) (T, error), sqlText string, args ...any) (list []T, err error) {
	rows, err := from.rows(ctx, sqlText, args...)
	if err != nil {
		return nil, classify(fmt.Errorf("read catalogue: %w", err))
	}
	defer func() {
		if e := rows.Close(); err == nil && e != nil {
			err = classify(e)
		}
	}()
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, classify(fmt.Errorf("read row: %w", err))
		}
		list = append(list, v)
	}
	return list, classify(rows.Err())
}

func queryOne[T any](ctx context.Context, from source, read func(scan func(...any) error) (T, error), sqlText string, args ...any) (T, error) {
	list, err := query(ctx, from, read, sqlText, args...)
	var zero T
	switch {
	case err != nil:
		return zero, err
	case len(list) == 0:
		return zero, ErrNotFound
	}
	return list[0], nil
}

// Product returns one product with its variants by position, as one statement
// saw them, or ErrNotFound.
func (s *Store) Product(ctx context.Context, shop string, externalID int64) (ProductRow, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return ProductRow{}, err
	}
	defer tx.Rollback()
	p, err := queryOne(ctx, tx, scanProduct, `SELECT `+productRowColumns()+` FROM products WHERE shop = ? AND external_id = ?`, shop, externalID)
	if err == nil {
		p.Variants, err = variants(ctx, tx, p.ID)
	}
	return p, err
}

func variants(ctx context.Context, from source, productID int64) ([]VariantRow, error) {
	return query(ctx, from, scanVariant, `SELECT `+variantRowColumns()+` FROM variants WHERE product_id = ? ORDER BY position, external_id`, productID)
}

// scanOne reads a row of one column.
func scanOne[T any](scan func(...any) error) (v T, err error) {
	err = scan(&v)
	return v, err
}

// Counts are numbers for one shop.
type Counts struct {
	Shop     string
	Products int64
	Active   int64
	Wanted   int64
	LastSync int64 // newest synced_at, 0 for none
}

// CountShop returns a shop's numbers. LastSync comes from memory, which is filled
// in the first moments after Open.
func (s *Store) CountShop(ctx context.Context, shop string) (Counts, error) {
	c, err := queryOne(ctx, s, func(scan func(...any) error) (Counts, error) {
		c := Counts{Shop: shop}
		err := scan(&c.Products, &c.Active, &c.Wanted)
		return c, err
	}, `SELECT coalesce(sum(products), 0), coalesce(sum(active), 0), (SELECT count(*) FROM wanted WHERE shop = ?1)
	    FROM product_counts WHERE shop = ?1`, shop)
	if c.Products > 0 {
		c.LastSync = s.activity.lastSync(shop)
	}
	return c, err
}
