package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"stockroom/internal/catalog"
)

// ProductRow is one stored product: what is kept of it and what the store notes
// besides. Its own Status and Variants stand before those of the embedded product,
// whose status is Shopify's.
type ProductRow struct {
	ID         int64 // products.id; Shopify's is ExternalID
	Shop       string
	MerchantID *string
	ExternalID int64
	catalog.Product
	Status      string
	SyncedAt    Millis
	Source      string
	SourceRef   *string
	DeliveryID  *int64
	ContentHash string
	Selected    bool

	Variants     []VariantRow // nil in lists
	VariantCount *int64       // in lists only
}

// VariantRow is one stored variant.
type VariantRow struct {
	ID         int64 // variants.id; Shopify's is ExternalID
	ProductID  int64
	ExternalID int64
	catalog.Variant
}

// column is one part of a row, by its name in the table and in the API.
type column[R any] struct {
	name string
	at   func(*R) any // a pointer to where it is kept
	made bool         // the API's alone: at returns what is made of the others
}

// productRow and variantRow are the rows' parts in the order of the API.
var (
	productRow = sync.OnceValue(func() []column[ProductRow] {
		list := []column[ProductRow]{
			{name: "id", at: func(p *ProductRow) any { return &p.ID }},
			{name: "shop", at: func(p *ProductRow) any { return &p.Shop }},
			{name: "merchant_id", at: func(p *ProductRow) any { return &p.MerchantID }},
			{name: "external_id", at: func(p *ProductRow) any { return &p.ExternalID }},
			{name: "gid", made: true, at: func(p *ProductRow) any { return catalog.GID("Product", p.ExternalID) }},
		}
		for _, k := range catalog.ProductFields {
			if k.Name == "status" {
				list = append(list, column[ProductRow]{name: "status", at: func(p *ProductRow) any { return &p.Status }})
			}
			at := func(p *ProductRow) any { return &kept{k.At(&p.Product), k.Form} }
			list = append(list, column[ProductRow]{name: k.ColumnName(), at: at})
		}
		return append(list, []column[ProductRow]{
			{name: "synced_at", at: func(p *ProductRow) any { return &p.SyncedAt }},
			{name: "source", at: func(p *ProductRow) any { return &p.Source }},
			{name: "source_ref", at: func(p *ProductRow) any { return &p.SourceRef }},
			{name: "delivery_id", at: func(p *ProductRow) any { return &p.DeliveryID }},
			{name: "content_hash", at: func(p *ProductRow) any { return &p.ContentHash }},
			{name: "selected", at: func(p *ProductRow) any { return &p.Selected }},
		}...)
	})
	variantRow = sync.OnceValue(func() []column[VariantRow] {
		list := []column[VariantRow]{
			{name: "id", at: func(v *VariantRow) any { return &v.ID }},
			{name: "product_id", at: func(v *VariantRow) any { return &v.ProductID }},
			{name: "external_id", at: func(v *VariantRow) any { return &v.ExternalID }},
			{name: "gid", made: true, at: func(v *VariantRow) any { return catalog.GID("ProductVariant", v.ExternalID) }},
		}
		for _, k := range catalog.VariantFields {
			at := func(v *VariantRow) any { return &kept{k.At(&v.Variant), k.Form} }
			list = append(list, column[VariantRow]{name: k.ColumnName(), at: at})
			if k.Name == "inventory_item_id" {
				list = append(list, column[VariantRow]{name: "inventory_item_gid", made: true, at: itemGID})
			}
		}
		return list
	})
	productRowColumns = sync.OnceValue(func() string { return namesOf(productRow()) })
	variantRowColumns = sync.OnceValue(func() string { return namesOf(variantRow()) })
)

func itemGID(v *VariantRow) any {
	if item, ok := v.InventoryItemID.Get(); ok {
		return catalog.GID("InventoryItem", item)
	}
	return nil
}

// namesOf lists the columns of a row's table.
func namesOf[R any](columns []column[R]) string {
	var names []string
	for _, c := range columns {
		if !c.made {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, ", ")
}

// scanRow reads a row of the columns that namesOf lists.
func scanRow[R any](scan func(...any) error, row *R, columns []column[R]) error {
	to := make([]any, 0, len(columns))
	for i := range columns {
		if !columns[i].made {
			to = append(to, columns[i].at(row))
		}
	}
	return scan(to...)
}

func scanProduct(scan func(...any) error) (p ProductRow, err error) {
	err = scanRow(scan, &p, productRow())
	p.Product.ID = p.ExternalID
	return p, err
}

func scanVariant(scan func(...any) error) (v VariantRow, err error) {
	err = scanRow(scan, &v, variantRow())
	v.Variant.ID = v.ExternalID
	return v, err
}

// kept is a kept field as database/sql and the API take it.
type kept struct {
	catalog.Cell
	form catalog.Form
}

// Scan implements sql.Scanner. A list that can't be read stays absent: the rest of
// its product can be shown, and a comparison with the shop mends it.
func (k *kept) Scan(v any) error {
	_ = setCell(k.Cell, v)
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (k *kept) UnmarshalJSON(text []byte) error {
	f, instant := k.Cell.(*catalog.Field[int64])
	if !instant || k.form != catalog.Instant {
		return json.Unmarshal(text, k.Cell)
	}
	var at *Millis
	err := json.Unmarshal(text, &at)
	if *f = catalog.Null[int64](); at != nil {
		*f = catalog.Of(int64(*at))
	}
	return err
}

// appendJSON appends the field as the API shows it.
func (k *kept) appendJSON(b []byte) ([]byte, error) {
	switch f := k.Cell.(type) {
	case *catalog.Field[string]:
		if s, ok := f.Get(); ok {
			return appendQuoted(b, s), nil
		}
	case *catalog.Field[int64]:
		switch n, ok := f.Get(); {
		case ok && k.form == catalog.Instant:
			return Millis(n).appendJSON(b), nil
		case ok:
			return appendInt(b, n), nil
		}
	case *catalog.Field[bool]:
		if v, ok := f.Get(); ok {
			return strconv.AppendBool(b, v), nil
		}
	default:
		if f.Present() && !f.IsNull() {
			return appendList(b, f), nil
		}
	}
	if !k.Present() {
		return b, errors.New("what is stored can't be read")
	}
	return append(b, "null"...), nil
}

// appendRow appends a row as a JSON object without its end.
func appendRow[R any](b []byte, row *R, columns []column[R]) ([]byte, error) {
	for i := range columns {
		b = append(appendQuoted(append(b, "{,"[min(i, 1)]), columns[i].name), ':')
		var err error
		switch v := columns[i].at(row).(type) {
		case *kept:
			b, err = v.appendJSON(b)
		default:
			var text []byte
			text, err = json.Marshal(v)
			b = append(b, text...)
		}
		if err != nil {
			return b, fmt.Errorf("column %s: %w", columns[i].name, err)
		}
	}
	return b, nil
}

// readRow reads what appendRow has written.
func readRow[R any](text []byte, row *R, columns []column[R]) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	for i := range columns {
		c := &columns[i]
		if part, there := parts[c.name]; there && !c.made {
			if err := json.Unmarshal(part, c.at(row)); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (p ProductRow) MarshalJSON() ([]byte, error) {
	b, err := appendRow(make([]byte, 0, 4096), &p, productRow())
	for i := range p.Variants {
		if err != nil {
			break
		}
		b = append(b, [2]string{`,"variants":[`, `,`}[min(i, 1)]...)
		b, err = appendRow(b, &p.Variants[i], variantRow())
		b = append(b, '}')
	}
	if err != nil {
		return nil, fmt.Errorf("product %d: %w", p.ExternalID, err)
	}
	if len(p.Variants) > 0 {
		b = append(b, ']')
	}
	if p.VariantCount != nil {
		b = appendInt(append(b, `,"variant_count":`...), *p.VariantCount)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *ProductRow) UnmarshalJSON(text []byte) error {
	var lists struct {
		Variants     []VariantRow `json:"variants"`
		VariantCount *int64       `json:"variant_count"`
	}
	err := errors.Join(readRow(text, p, productRow()), json.Unmarshal(text, &lists))
	p.Product.ID, p.Variants, p.VariantCount = p.ExternalID, lists.Variants, lists.VariantCount
	return err
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *VariantRow) UnmarshalJSON(text []byte) error {
	err := readRow(text, v, variantRow())
	v.Variant.ID = v.ExternalID
	return err
}

// Unreadable returns the column that is damaged, "" for none.
func (p *ProductRow) Unreadable() string {
	for _, k := range catalog.ProductFields {
		if !k.At(&p.Product).Present() {
			return k.ColumnName()
		}
	}
	return ""
}
