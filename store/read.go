package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"stockroom/internal/catalog"
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

// ProductRow is one stored product.
type ProductRow struct {
	ID               int64   `json:"id"`
	Shop             string  `json:"shop"`
	MerchantID       *string `json:"merchant_id"`
	ExternalID       int64   `json:"external_id"`
	GID              string  `json:"gid"`
	Title            *string `json:"title"`
	BodyHTML         *string `json:"body_html"`
	Vendor           *string `json:"vendor"`
	ProductType      *string `json:"product_type"`
	Handle           *string `json:"handle"`
	Tags             RawJSON `json:"tags"`
	Status           string  `json:"status"`
	ShopifyStatus    *string `json:"shopify_status"`
	Options          RawJSON `json:"options"`
	Images           RawJSON `json:"images"`
	PublishedAt      *Millis `json:"published_at"`
	ShopifyCreatedAt *Millis `json:"shopify_created_at"`
	ShopifyUpdatedAt *Millis `json:"shopify_updated_at"`
	SyncedAt         Millis  `json:"synced_at"`
	Source           string  `json:"source"`
	SourceRef        *string `json:"source_ref"`
	DeliveryID       *int64  `json:"delivery_id"`
	ContentHash      string  `json:"content_hash"`
	Selected         bool    `json:"selected"`

	Variants []VariantRow `json:"variants,omitempty"`
}

// VariantRow is one stored variant.
type VariantRow struct {
	ID                int64   `json:"id"`
	ProductID         int64   `json:"product_id"`
	ExternalID        int64   `json:"external_id"`
	GID               string  `json:"gid"`
	Title             *string `json:"title"`
	SKU               *string `json:"sku"`
	Barcode           *string `json:"barcode"`
	Price             *string `json:"price"`
	CompareAtPrice    *string `json:"compare_at_price"`
	Position          *int64  `json:"position"`
	Option1           *string `json:"option1"`
	Option2           *string `json:"option2"`
	Option3           *string `json:"option3"`
	InventoryItemID   *int64  `json:"inventory_item_id"`
	InventoryItemGID  *string `json:"inventory_item_gid"`
	InventoryQuantity *int64  `json:"inventory_quantity"`
	InventoryPolicy   *string `json:"inventory_policy"`
	Taxable           *bool   `json:"taxable"`
	WeightGrams       *int64  `json:"weight_grams"`
	ImageID           *int64  `json:"image_id"`
	ShopifyCreatedAt  *Millis `json:"shopify_created_at"`
	ShopifyUpdatedAt  *Millis `json:"shopify_updated_at"`
}

// RawJSON is the text of a JSON column; NULL reads as "null".
type RawJSON string

// Scan implements sql.Scanner.
func (r *RawJSON) Scan(v any) error {
	var text sql.NullString
	if err := text.Scan(v); err != nil {
		return err
	}
	*r = "null"
	if text.Valid {
		*r = RawJSON(text.String)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (r RawJSON) MarshalJSON() ([]byte, error) {
	if r == "" {
		return []byte("null"), nil
	}
	return []byte(r), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *RawJSON) UnmarshalJSON(text []byte) error {
	*r = RawJSON(text)
	return nil
}

const productRowColumns = `id, shop, merchant_id, external_id, title, body_html, vendor, product_type, handle, tags, status,
	shopify_status, options, images, published_at, shopify_created_at, shopify_updated_at, synced_at, source, source_ref,
	delivery_id, content_hash, selected`

func scanProduct(scan func(...any) error) (ProductRow, error) {
	var p ProductRow
	err := scan(&p.ID, &p.Shop, &p.MerchantID, &p.ExternalID, &p.Title, &p.BodyHTML, &p.Vendor, &p.ProductType, &p.Handle, &p.Tags,
		&p.Status, &p.ShopifyStatus, &p.Options, &p.Images, &p.PublishedAt, &p.ShopifyCreatedAt, &p.ShopifyUpdatedAt, &p.SyncedAt,
		&p.Source, &p.SourceRef, &p.DeliveryID, &p.ContentHash, &p.Selected)
	p.GID = catalog.GID("Product", p.ExternalID)
	return p, err
}

func scanVariant(scan func(...any) error) (VariantRow, error) {
	var v VariantRow
	err := scan(&v.ID, &v.ProductID, &v.ExternalID, &v.Title, &v.SKU, &v.Barcode, &v.Price, &v.CompareAtPrice, &v.Position,
		&v.Option1, &v.Option2, &v.Option3, &v.InventoryItemID, &v.InventoryQuantity, &v.InventoryPolicy, &v.Taxable,
		&v.WeightGrams, &v.ImageID, &v.ShopifyCreatedAt, &v.ShopifyUpdatedAt)
	v.GID = catalog.GID("ProductVariant", v.ExternalID)
	if v.InventoryItemID != nil {
		item := catalog.GID("InventoryItem", *v.InventoryItemID)
		v.InventoryItemGID = &item
	}
	return v, err
}

const variantRowColumns = `v.id, v.product_id, v.external_id, v.title, v.sku, v.barcode, v.price, v.compare_at_price, v.position,
	v.option1, v.option2, v.option3, v.inventory_item_id, v.inventory_quantity, v.inventory_policy, v.taxable,
	v.weight_grams, v.image_id, v.shopify_created_at, v.shopify_updated_at`

// Product returns one product with its variants by position, as one statement
// saw them, or ErrNotFound.
func (s *Store) Product(ctx context.Context, shop string, externalID int64) (ProductRow, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return ProductRow{}, err
	}
	defer tx.Rollback()
	p, err := queryOne(ctx, tx, scanProduct, `SELECT `+productRowColumns+` FROM products WHERE shop = ? AND external_id = ?`, shop, externalID)
	if err == nil {
		p.Variants, err = variants(ctx, tx, p.ID)
	}
	return p, err
}

func variants(ctx context.Context, from source, productID int64) ([]VariantRow, error) {
	return query(ctx, from, scanVariant, `SELECT `+variantRowColumns+` FROM variants v WHERE v.product_id = ? ORDER BY v.position, v.external_id`, productID)
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
