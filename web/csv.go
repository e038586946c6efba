package web

import (
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

// csvColumns are the columns of Shopify's product CSV that we know something
// about, in Shopify's order (help.shopify.com, "Using CSV files to import and
// export products").
var csvColumns = []string{
	"Handle", "Title", "Body (HTML)", "Vendor", "Type", "Tags", "Published",
	"Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Option3 Name", "Option3 Value",
	"Variant SKU", "Variant Grams", "Variant Inventory Qty", "Variant Inventory Policy",
	"Variant Price", "Variant Compare At Price", "Variant Taxable", "Variant Barcode",
	"Image Src", "Image Position", "Image Alt Text", "Variant Image", "Status",
}

// csvProducts writes products the way Shopify does: the first line of a product
// has its fields, each further line one more variant, image or both under the
// same handle. Unless raw, a cell that a spreadsheet would take for a formula
// gets an apostrophe in front.
func csvProducts(out io.Writer, raw bool) (put func(*store.ProductRow) error, end func() error) {
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		return csvRecord(out, csvColumns)
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
			record := make([]string, len(csvColumns))
			for i, column := range csvColumns {
				record[i] = line[column]
				if !raw {
					record[i] = guardedCell(record[i])
				}
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

func csvLines(p *store.ProductRow) ([]map[string]string, error) {
	if column := p.Unreadable(); column != "" {
		return nil, fmt.Errorf("column %s can't be read", column)
	}
	images := p.Images.Value()
	handle := p.Handle.Value()
	if handle == "" {
		handle = strconv.FormatInt(p.ExternalID, 10)
	}
	lines := make([]map[string]string, max(1, len(p.Variants), len(images)))
	for i := range lines {
		lines[i] = map[string]string{"Handle": handle}
	}
	first := lines[0]
	first["Title"], first["Body (HTML)"], first["Vendor"], first["Type"] = p.Title.Value(), p.BodyHTML.Value(), p.Vendor.Value(), p.ProductType.Value()
	first["Tags"], first["Status"] = strings.Join(p.Tags.Value(), ", "), p.Product.Status.Value()
	first["Published"] = strconv.FormatBool(!p.PublishedAt.IsNull())
	for i, o := range p.Options.Value() {
		if i < 3 {
			first[fmt.Sprintf("Option%d Name", i+1)] = o.Name
		}
	}
	for i, m := range images {
		lines[i]["Image Src"], lines[i]["Image Position"] = m.Src, strconv.FormatInt(m.Position, 10)
		if m.Alt != nil {
			lines[i]["Image Alt Text"] = *m.Alt
		}
	}
	for i := range p.Variants {
		csvVariant(lines[i], &p.Variants[i], images)
	}
	return lines, nil
}

func csvVariant(line map[string]string, v *store.VariantRow, images []catalog.Image) {
	line["Option1 Value"], line["Option2 Value"], line["Option3 Value"] = v.Option1.Value(), v.Option2.Value(), v.Option3.Value()
	line["Variant SKU"], line["Variant Barcode"] = v.SKU.Value(), v.Barcode.Value()
	line["Variant Price"], line["Variant Compare At Price"] = v.Price.Value(), v.CompareAtPrice.Value()
	line["Variant Grams"], line["Variant Inventory Qty"] = whole(v.WeightGrams), whole(v.InventoryQuantity)
	line["Variant Inventory Policy"] = strings.ToLower(v.InventoryPolicy.Value())
	if taxable, ok := v.Taxable.Get(); ok {
		line["Variant Taxable"] = strconv.FormatBool(taxable)
	}
	for _, m := range images {
		if slices.Contains(m.VariantIDs, v.ExternalID) || v.ImageID == catalog.Of(m.ID) {
			line["Variant Image"] = m.Src
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func whole(f catalog.Field[int64]) string {
	if n, ok := f.Get(); ok {
		return strconv.FormatInt(n, 10)
	}
	return ""
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
