package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"stockroom/internal/catalog"
)

// The columns that hold a product's content, in the order productFromRow takes
// them.
const (
	productColumns = `external_id, title, body_html, vendor, product_type, handle, tags, shopify_status,
		options, images, published_at, shopify_created_at, shopify_updated_at`
	productColumnCount = 13

	variantColumns = `external_id, title, sku, barcode, price, compare_at_price, position,
		option1, option2, option3, inventory_item_id, inventory_quantity, inventory_policy, taxable,
		weight_grams, image_id, shopify_created_at, shopify_updated_at`
	variantColumnCount = 18
)

func productFromRow(row []driver.Value) (*catalog.Product, error) {
	p := &catalog.Product{
		ID:          asInt(row[0]),
		Title:       field[string](row[1]),
		BodyHTML:    field[string](row[2]),
		Vendor:      field[string](row[3]),
		ProductType: field[string](row[4]),
		Handle:      field[string](row[5]),
		Status:      field[string](row[7]),
		PublishedAt: field[int64](row[10]),
		CreatedAt:   field[int64](row[11]),
		UpdatedAt:   field[int64](row[12]),
		Coverage:    catalog.Complete,
	}
	p.VariantsComplete = true
	var err error
	if p.Tags, err = jsonField[[]string](row[6]); err != nil {
		return nil, fmt.Errorf("column tags: %w", err)
	}
	if p.Options, err = jsonField[[]catalog.Option](row[8]); err != nil {
		return nil, fmt.Errorf("column options: %w", err)
	}
	if p.Images, err = jsonField[[]catalog.Image](row[9]); err != nil {
		return nil, fmt.Errorf("column images: %w", err)
	}
	return p, nil
}

func variantFromRow(row []driver.Value) catalog.Variant {
	v := catalog.Variant{
		ID:                asInt(row[0]),
		Title:             field[string](row[1]),
		SKU:               field[string](row[2]),
		Barcode:           field[string](row[3]),
		Price:             field[string](row[4]),
		CompareAtPrice:    field[string](row[5]),
		Position:          field[int64](row[6]),
		Option1:           field[string](row[7]),
		Option2:           field[string](row[8]),
		Option3:           field[string](row[9]),
		InventoryItemID:   field[int64](row[10]),
		InventoryQuantity: field[int64](row[11]),
		InventoryPolicy:   field[string](row[12]),
		WeightGrams:       field[int64](row[14]),
		ImageID:           field[int64](row[15]),
		CreatedAt:         field[int64](row[16]),
		UpdatedAt:         field[int64](row[17]),
	}
	v.Taxable = catalog.Null[bool]()
	if n, ok := row[13].(int64); ok {
		v.Taxable = catalog.Of(n != 0)
	}
	return v
}

// field is a column's value; NULL reads as a null field.
func field[T any](v driver.Value) catalog.Field[T] {
	if x, ok := v.(T); ok {
		return catalog.Of(x)
	}
	return catalog.Null[T]()
}

func jsonField[T any](v driver.Value) (catalog.Field[T], error) {
	s, ok := v.(string)
	if !ok {
		return catalog.Null[T](), nil
	}
	var out T
	if err := json.Unmarshal([]byte(s), &out); err != nil {
		return catalog.Field[T]{}, err
	}
	return catalog.Of(out), nil
}

// arg is a field as the argument of a statement.
func arg[T any](f catalog.Field[T]) any {
	if v, ok := f.Get(); ok {
		return v
	}
	return nil
}

// flag is arg for a truth.
func flag(f catalog.Field[bool]) any {
	if b, ok := f.Get(); ok {
		return bit(b)
	}
	return nil
}

// The JSON columns are written by hand: they are written with every change,
// and reflection costs more than the rest of the row.

func tagsArg(f catalog.Field[[]string]) any {
	tags, ok := f.Get()
	if !ok {
		return nil
	}
	return string(appendStrings(make([]byte, 0, 64), tags))
}

func optionsArg(f catalog.Field[[]catalog.Option]) any {
	options, ok := f.Get()
	if !ok {
		return nil
	}
	b := append(make([]byte, 0, 256), '[')
	for i, o := range options {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendID(b, o.ID)
		b = append(b, `"name":`...)
		b = appendQuoted(b, o.Name)
		b = append(b, `,"position":`...)
		b = strconv.AppendInt(b, o.Position, 10)
		b = append(b, `,"values":`...)
		b = appendStrings(b, o.Values)
		b = append(b, '}')
	}
	return string(append(b, ']'))
}

func imagesArg(f catalog.Field[[]catalog.Image]) any {
	images, ok := f.Get()
	if !ok {
		return nil
	}
	b := append(make([]byte, 0, 512), '[')
	for i, m := range images {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendID(b, m.ID)
		b = append(b, `"position":`...)
		b = strconv.AppendInt(b, m.Position, 10)
		b = append(b, `,"src":`...)
		b = appendQuoted(b, m.Src)
		b = append(b, `,"alt":`...)
		if m.Alt == nil {
			b = append(b, "null"...)
		} else {
			b = appendQuoted(b, *m.Alt)
		}
		if m.Width != 0 {
			b = strconv.AppendInt(append(b, `,"width":`...), m.Width, 10)
		}
		if m.Height != 0 {
			b = strconv.AppendInt(append(b, `,"height":`...), m.Height, 10)
		}
		if len(m.VariantIDs) > 0 {
			b = append(b, `,"variant_ids":[`...)
			for j, id := range m.VariantIDs {
				if j > 0 {
					b = append(b, ',')
				}
				b = strconv.AppendInt(b, id, 10)
			}
			b = append(b, ']')
		}
		b = append(b, '}')
	}
	return string(append(b, ']'))
}

func appendID(b []byte, id int64) []byte {
	if id == 0 {
		return b
	}
	b = strconv.AppendInt(append(b, `"id":`...), id, 10)
	return append(b, ',')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, s)
	}
	return append(b, ']')
}

// appendQuoted appends a JSON string. Its error would be about invalid UTF-8,
// which the decoder has already refused; what is appended is sound either way.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// rowHash is a 64-bit FNV-1a hash over what a payload says of a variant. Equal
// hashes mean that the row was last written from the same values, so the
// variant needs no write. An absent field differs from a null one: it leaves
// the stored value, so the hash of the carried fields decides.
func rowHash(v *catalog.Variant) int64 {
	h := uint64(14695981039346656037)
	h = hashText(h, v.Title)
	h = hashText(h, v.SKU)
	h = hashText(h, v.Barcode)
	h = hashText(h, v.Price)
	h = hashText(h, v.CompareAtPrice)
	h = hashInt(h, v.Position)
	h = hashText(h, v.Option1)
	h = hashText(h, v.Option2)
	h = hashText(h, v.Option3)
	h = hashInt(h, v.InventoryItemID)
	h = hashInt(h, v.InventoryQuantity)
	h = hashText(h, v.InventoryPolicy)
	switch b, ok := v.Taxable.Get(); {
	case !ok:
		h = hashByte(h, 0)
	case b:
		h = hashByte(h, 1)
	default:
		h = hashByte(h, 2)
	}
	h = hashInt(h, v.WeightGrams)
	h = hashInt(h, v.ImageID)
	h = hashInt(h, v.CreatedAt)
	h = hashInt(h, v.UpdatedAt)
	return int64(h)
}

func hashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * 1099511628211 }

func hashText(h uint64, f catalog.Field[string]) uint64 {
	s, ok := f.Get()
	if !ok {
		return hashAbsence(h, f.IsNull())
	}
	h = hashByte(h, 2)
	for i := 0; i < len(s); i++ {
		h = hashByte(h, s[i])
	}
	return hashByte(h, 0xff)
}

func hashInt(h uint64, f catalog.Field[int64]) uint64 {
	n, ok := f.Get()
	if !ok {
		return hashAbsence(h, f.IsNull())
	}
	h = hashByte(h, 2)
	for shift := 0; shift < 64; shift += 8 {
		h = hashByte(h, byte(n>>shift))
	}
	return h
}

func hashAbsence(h uint64, null bool) uint64 {
	if null {
		return hashByte(h, 1)
	}
	return hashByte(h, 0)
}
