package store

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"stockroom/internal/catalog"
)

// The columns of a product and of a variant that hold what is kept of them
// (catalog/fields.go), in the order of the table.
var (
	productColumns = sync.OnceValue(func() string { return columnsOf(catalog.ProductFields) })
	variantColumns = sync.OnceValue(func() string { return columnsOf(catalog.VariantFields) })
)

// unhashed are the fields of a product that may change without a new version.
var unhashed = sync.OnceValue(func() []catalog.Kept[catalog.Product] {
	return slices.DeleteFunc(slices.Clone(catalog.ProductFields), func(k catalog.Kept[catalog.Product]) bool {
		return k.Hashed || k.Order
	})
})

func columnsOf[T any](fields []catalog.Kept[T]) string {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].ColumnName()
	}
	return strings.Join(names, ", ")
}

// readFields reads the columns of a row into the fields; NULL reads as null.
func readFields[T any](of *T, fields []catalog.Kept[T], row []driver.Value) error {
	for i := range fields {
		if err := setCell(fields[i].At(of), row[i]); err != nil {
			return fmt.Errorf("column %s: %w", fields[i].ColumnName(), err)
		}
	}
	return nil
}

func setCell(c catalog.Cell, v driver.Value) error {
	switch f := c.(type) {
	case *catalog.Field[string]:
		setTo(f, v)
	case *catalog.Field[int64]:
		setTo(f, v)
	case *catalog.Field[bool]:
		if n, ok := v.(int64); ok {
			v = n != 0
		}
		setTo(f, v)
	case jsonCell:
		text, ok := v.(string)
		if !ok {
			text = "null"
		}
		return f.UnmarshalJSON([]byte(text))
	}
	return nil
}

func setTo[T any](f *catalog.Field[T], v driver.Value) {
	*f = catalog.Null[T]()
	if x, ok := v.(T); ok {
		*f = catalog.Of(x)
	}
}

// jsonCell is a field that a column has as JSON: a list.
type jsonCell interface {
	catalog.Cell
	UnmarshalJSON(text []byte) error
}

// appendFields appends every field as the argument of a statement.
func appendFields[T any](args []any, of *T, fields []catalog.Kept[T]) []any {
	for i := range fields {
		args = append(args, arg(fields[i].At(of)))
	}
	return args
}

// arg is a field as the argument of a statement: NULL where it has no value, a
// truth as 0 or 1, a list as JSON.
func arg(c catalog.Cell) any {
	if !c.Present() || c.IsNull() {
		return nil
	}
	switch f := c.(type) {
	case *catalog.Field[string]:
		return f.Value()
	case *catalog.Field[int64]:
		return f.Value()
	case *catalog.Field[bool]:
		return bit(f.Value())
	}
	return string(appendList(make([]byte, 0, 256), c))
}

// appendList appends a list as JSON. It is written by hand: it is written with every
// change, and reflection costs more than the rest of the row.
func appendList(b []byte, c catalog.Cell) []byte {
	switch f := c.(type) {
	case *catalog.Field[[]string]:
		return appendEach(b, f.Value(), appendQuoted)
	case *catalog.Field[[]catalog.Option]:
		return appendEach(b, f.Value(), appendOption)
	case *catalog.Field[[]catalog.Image]:
		return appendEach(b, f.Value(), appendImage)
	}
	panic(fmt.Sprintf("store: no column can hold a %T", c))
}

func appendEach[T any](b []byte, list []T, one func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, v)
	}
	return append(b, ']')
}

func appendOption(b []byte, o catalog.Option) []byte {
	b = appendQuoted(append(appendID(b, o.ID), `"name":`...), o.Name)
	b = strconv.AppendInt(append(b, `,"position":`...), o.Position, 10)
	b = appendEach(append(b, `,"values":`...), o.Values, appendQuoted)
	return append(b, '}')
}

func appendImage(b []byte, m catalog.Image) []byte {
	b = strconv.AppendInt(append(appendID(b, m.ID), `"position":`...), m.Position, 10)
	b = appendQuoted(append(b, `,"src":`...), m.Src)
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
		b = appendEach(append(b, `,"variant_ids":`...), m.VariantIDs, appendInt)
	}
	return append(b, '}')
}

func appendID(b []byte, id int64) []byte {
	if b = append(b, '{'); id == 0 {
		return b
	}
	return append(strconv.AppendInt(append(b, `"id":`...), id, 10), ',')
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// appendQuoted appends a JSON string. Its error would be about invalid UTF-8,
// which the decoder has already refused; what is appended is sound either way.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// rowHash is a 64-bit FNV-1a hash over what a payload says of a variant. Equal
// hashes mean that the row was last written from the same values, so the
// variant needs no write. An absent field differs from a null one: it leaves
// the stored value, so the hash of the carried fields decides. A field that was
// added later counts only where it is carried, so that the rows of before stay.
func rowHash(v *catalog.Variant) int64 {
	h := uint64(14695981039346656037)
	for i := range catalog.VariantFields {
		k := &catalog.VariantFields[i]
		c := k.At(v)
		if k.Later {
			if !c.Present() {
				continue
			}
			h = hashByte(h, byte(i))
		}
		h = hashCell(h, c)
	}
	return int64(h)
}

func hashCell(h uint64, c catalog.Cell) uint64 {
	switch f := c.(type) {
	case *catalog.Field[string]:
		if s, ok := f.Get(); ok {
			h = hashByte(h, 2)
			for i := 0; i < len(s); i++ {
				h = hashByte(h, s[i])
			}
			return hashByte(h, 0xff)
		}
	case *catalog.Field[int64]:
		if n, ok := f.Get(); ok {
			h = hashByte(h, 2)
			for shift := 0; shift < 64; shift += 8 {
				h = hashByte(h, byte(n>>shift))
			}
			return h
		}
	case *catalog.Field[bool]: // null and absent are one here
		if b, ok := f.Get(); ok {
			return hashByte(h, byte(2-bit(b)))
		}
		return hashByte(h, 0)
	}
	if c.IsNull() {
		return hashByte(h, 1)
	}
	return hashByte(h, 0)
}

func hashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * 1099511628211 }
