package web

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// csvColumn is a column of Shopify's product CSV: its name of 2026, the one of before,
// and what stands in a line.
type csvColumn struct {
	name, old string
	of        func(l csvLine) string
	upper     bool // under its name of 2026 Shopify writes the value in capitals
}

// csvLine is one line of a product: the first has the product's own fields, each may
// have a variant and an image. What a line does not have is empty, never nil.
type csvLine struct {
	handle string
	p      *store.ProductRow
	v      *store.VariantRow
	image  catalog.Image
	shown  string // address of the variant's image
}

// csvColumns are the columns that we know something about, in Shopify's order
// (help.shopify.com, "Using CSV files to import and export products").
var csvColumns = []csvColumn{
	{name: "Title", old: "Title", of: func(l csvLine) string { return l.p.Title.Value() }},
	{name: "URL handle", old: "Handle", of: func(l csvLine) string { return l.handle }},
	{name: "Description", old: "Body (HTML)", of: func(l csvLine) string { return l.p.BodyHTML.Value() }},
	{name: "Vendor", old: "Vendor", of: func(l csvLine) string { return l.p.Vendor.Value() }},
	{name: "Product category", old: "Product Category",
		of: func(l csvLine) string { return l.p.Category.Value() }},
	{name: "Type", old: "Type", of: func(l csvLine) string { return l.p.ProductType.Value() }},
	{name: "Tags", old: "Tags", of: func(l csvLine) string { return strings.Join(l.p.Tags.Value(), ", ") }},
	{name: "Published on online store", old: "Published", upper: true, of: published},
	{name: "Status", old: "Status", of: func(l csvLine) string { return l.p.Product.Status.Value() }},
	{name: "SKU", old: "Variant SKU", of: func(l csvLine) string { return l.v.SKU.Value() }},
	{name: "Barcode", old: "Variant Barcode", of: func(l csvLine) string { return l.v.Barcode.Value() }},
	{name: "Option1 name", old: "Option1 Name", of: func(l csvLine) string { return optionName(l.p, 0) }},
	{name: "Option1 value", old: "Option1 Value", of: func(l csvLine) string { return l.v.Option1.Value() }},
	{name: "Option2 name", old: "Option2 Name", of: func(l csvLine) string { return optionName(l.p, 1) }},
	{name: "Option2 value", old: "Option2 Value", of: func(l csvLine) string { return l.v.Option2.Value() }},
	{name: "Option3 name", old: "Option3 Name", of: func(l csvLine) string { return optionName(l.p, 2) }},
	{name: "Option3 value", old: "Option3 Value", of: func(l csvLine) string { return l.v.Option3.Value() }},
	{name: "Price", old: "Variant Price", of: func(l csvLine) string { return l.v.Price.Value() }},
	{name: "Compare-at price", old: "Variant Compare At Price",
		of: func(l csvLine) string { return l.v.CompareAtPrice.Value() }},
	{name: "Charge tax", old: "Variant Taxable", upper: true, of: func(l csvLine) string { return known(l.v.Taxable) }},
	{name: "Inventory tracker", old: "Variant Inventory Tracker", of: tracker},
	{name: "Inventory quantity", old: "Variant Inventory Qty",
		of: func(l csvLine) string { return known(l.v.InventoryQuantity) }},
	{name: "Continue selling when out of stock", old: "Variant Inventory Policy", upper: true, of: soldOut},
	{name: "Weight value (grams)", old: "Variant Grams", of: func(l csvLine) string { return known(l.v.WeightGrams) }},
	{name: "Requires shipping", old: "Variant Requires Shipping", upper: true,
		of: func(l csvLine) string { return known(l.v.RequiresShipping) }},
	{name: "Product image URL", old: "Image Src", of: func(l csvLine) string { return l.image.Src }},
	{name: "Image position", old: "Image Position", of: imagePosition},
	{name: "Image alt text", old: "Image Alt Text", of: func(l csvLine) string { return text(l.image.Alt) }},
	{name: "Variant image URL", old: "Variant Image", of: func(l csvLine) string { return l.shown }},
	{name: "SEO title", old: "SEO Title", of: func(l csvLine) string { return l.p.SEOTitle.Value() }},
	{name: "SEO description", old: "SEO Description", of: func(l csvLine) string { return l.p.SEODescription.Value() }},
}

// known is a value in words, "" where there is none.
func known[T any](f catalog.Field[T]) string {
	if v, ok := f.Get(); ok {
		return fmt.Sprint(v)
	}
	return ""
}

func published(l csvLine) string {
	if !l.p.PublishedAt.Present() {
		return "" // not the first line
	}
	return strconv.FormatBool(!l.p.PublishedAt.IsNull())
}

func optionName(p *store.ProductRow, n int) string {
	if options := p.Options.Value(); n < len(options) {
		return options[n].Name
	}
	return ""
}

// tracker is who counts the stock, "" where nobody does.
func tracker(l csvLine) string {
	if l.v.Tracked.Value() {
		return "shopify"
	}
	return ""
}

// soldOut is "deny" or "continue".
func soldOut(l csvLine) string { return strings.ToLower(l.v.InventoryPolicy.Value()) }

func imagePosition(l csvLine) string {
	if l.image.Src == "" {
		return ""
	}
	return strconv.FormatInt(l.image.Position, 10)
}

// csvForm is how a CSV is written: with the column names of before 2026, and raw,
// without an apostrophe in front of cells that a spreadsheet would take for a formula.
type csvForm struct{ old, raw bool }

func (f csvForm) name(c *csvColumn) string {
	if f.old {
		return c.old
	}
	return c.name
}

func (f csvForm) cell(c *csvColumn, l csvLine) string {
	cell := c.of(l)
	if c.upper && !f.old {
		cell = strings.ToUpper(cell)
	}
	if f.raw {
		return cell
	}
	return guardedCell(cell)
}

// csvProducts writes products the way Shopify does: the first line of a product
// has its fields, each further line one more variant, image or both under the
// same handle.
func csvProducts(out io.Writer, f csvForm) (put func(*store.ProductRow) error, end func() error) {
	record := make([]string, len(csvColumns))
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		for i := range csvColumns {
			record[i] = f.name(&csvColumns[i])
		}
		return csvRecord(out, record)
	}
	put = func(p *store.ProductRow) error {
		if err := begin(); err != nil {
			return err
		}
		lines, err := csvLines(p)
		if err != nil {
			return fmt.Errorf("product %d: %w", p.ExternalID, err)
		}
		for _, line := range lines {
			for i := range csvColumns {
				record[i] = f.cell(&csvColumns[i], line)
			}
			if err := csvRecord(out, record); err != nil {
				return err
			}
		}
		return nil
	}
	return put, begin
}

// csvRecord writes one line of CSV. It also puts quotes around a cell with a
// semicolon, a tab or a vertical bar, which encoding/csv does not: spreadsheets
// take these for separators too, and what stands behind one for a cell.
func csvRecord(out io.Writer, cells []string) error {
	var line []byte
	for i, cell := range cells {
		if i > 0 {
			line = append(line, ',')
		}
		if strings.ContainsAny(cell, "\",;|\t\r\n") || cell != strings.TrimSpace(cell) {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		line = append(line, cell...)
	}
	_, err := out.Write(append(line, '\n'))
	return err
}

func csvLines(p *store.ProductRow) ([]csvLine, error) {
	if column := p.Unreadable(); column != "" {
		return nil, fmt.Errorf("column %s can't be read", column)
	}
	images := p.Images.Value()
	handle := cmp.Or(p.Handle.Value(), strconv.FormatInt(p.ExternalID, 10))
	lines := make([]csvLine, max(1, len(p.Variants), len(images)))
	none := csvLine{handle: handle, p: &store.ProductRow{}, v: &store.VariantRow{}}
	for i := range lines {
		lines[i] = none
	}
	lines[0].p = p
	for i, m := range images {
		lines[i].image = m
	}
	for i := range p.Variants {
		v := &p.Variants[i]
		lines[i].v = v
		for _, m := range images {
			if slices.Contains(m.VariantIDs, v.ExternalID) || v.ImageID == catalog.Of(m.ID) {
				lines[i].shown = m.Src
			}
		}
	}
	return lines, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// guardedCell puts an apostrophe before a cell that a spreadsheet would evaluate:
// one that starts with a tab or line end, or with = + - @ or their wide forms
// behind nothing but blanks and what can't be seen. Plain numbers stay as they
// are.
func guardedCell(cell string) string {
	if cell == "" || plainNumber(cell) {
		return cell
	}
	if strings.ContainsRune("\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	seen := strings.TrimLeftFunc(cell, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zs) || r == utf8.RuneError
	})
	first, _ := utf8.DecodeRuneInString(seen)
	if seen != "" && strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20\u2212\ufe62\ufe63\ufe66\ufe6b", first) {
		return "'" + cell
	}
	return cell
}

func plainNumber(s string) bool {
	whole, fraction, dotted := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return digits(whole) && (!dotted || digits(fraction))
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// CSVLine writes one line of CSV that a spreadsheet evaluates nothing of, unless raw.
func CSVLine(out io.Writer, cells []string, raw bool) error {
	if raw {
		return csvRecord(out, cells)
	}
	guarded := make([]string, len(cells))
	for i, cell := range cells {
		guarded[i] = guardedCell(cell)
	}
	return csvRecord(out, guarded)
}
