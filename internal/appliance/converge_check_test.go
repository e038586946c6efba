package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/store"
)

// differences compares the copy with the shop, field by field. What is not
// selected is not there, or is INACTIVE.
func (w *world) differences() ([]string, error) {
	ctx := context.Background()
	sel, err := w.store.Selection(ctx, convergeShop)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if want, _ := w.state.Selection(convergeShop); !store.SameSelection(want, sel) {
		return []string{fmt.Sprintf("the selection is %s, not %s", sel, want)}, nil
	}
	rows := map[int64]store.ProductRow{}
	list, err := w.store.Listing(ctx, convergeShop, 0, 100_000)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if rows[l.ID], err = w.store.Product(ctx, convergeShop, l.ID); err != nil {
			return nil, err
		}
	}
	var found []string
	for _, p := range w.shop.Snapshot() {
		row, there := rows[p.ID]
		delete(rows, p.ID)
		looked := catalog.Product{ID: p.ID, Tags: catalog.Of(p.Tags), Vendor: catalog.Of(p.Vendor), ProductType: catalog.Of(p.ProductType)}
		switch selected := sel.Selects(&looked); {
		case !selected && there && row.Status != "INACTIVE":
			found = append(found, fmt.Sprintf("product %d is not selected and is %s", p.ID, row.Status))
		case !selected:
		case !there:
			found = append(found, fmt.Sprintf("product %d is missing", p.ID))
		default:
			d, err := unlike(row, p)
			if err != nil {
				return nil, err
			}
			for _, field := range d {
				found = append(found, fmt.Sprintf("product %d (%s): %s", p.ID, row.Source, field))
			}
		}
	}
	for id, row := range rows {
		found = append(found, fmt.Sprintf("product %d (%s) is not in the shop", id, row.Source))
	}
	slices.Sort(found)
	return found, nil
}

// unlike lists the fields in which a row is not what the shop has.
func unlike(row store.ProductRow, p fakeshopify.Product) (found []string, err error) {
	differ := func(field string, have, want any) {
		h, e1 := json.Marshal(have)
		w, e2 := json.Marshal(want)
		if err = errors.Join(err, e1, e2); string(h) != string(w) {
			found = append(found, fmt.Sprintf("%s is %s, in the shop %s", field, h, w))
		}
	}
	status := "INACTIVE"
	if p.Status == fakeshopify.StatusActive {
		status = "ACTIVE"
	}
	differ("status", row.Status, status)
	differ("shopify_status", valueOf(row.Product.Status), p.Status)
	differ("title", valueOf(row.Title), p.Title)
	differ("body_html", row.BodyHTML.Value(), orEmpty(p.BodyHTML)) // the API shows null as an empty text
	differ("vendor", valueOf(row.Vendor), p.Vendor)
	differ("product_type", valueOf(row.ProductType), p.ProductType)
	differ("handle", valueOf(row.Handle), p.Handle)
	differ("shopify_updated_at", instant(row.UpdatedAt), store.MillisOf(p.UpdatedAt))
	differ("shopify_created_at", instant(row.CreatedAt), store.MillisOf(p.CreatedAt))
	var published *store.Millis
	if p.PublishedAt != nil {
		at := store.MillisOf(*p.PublishedAt)
		published = &at
	}
	differ("published_at", instant(row.PublishedAt), published)

	differ("tags", sorted(row.Tags.Value()), sorted(p.Tags))
	type axis struct {
		ID     int64
		Name   string
		Values []string
	}
	var haveAxes, wantAxes []axis
	for _, o := range row.Options.Value() {
		haveAxes = append(haveAxes, axis{o.ID, o.Name, o.Values})
	}
	for _, o := range p.Options {
		wantAxes = append(wantAxes, axis{o.ID, o.Name, o.Values})
	}
	differ("options", haveAxes, wantAxes)
	type image struct {
		Src           string
		Alt           *string
		Width, Height int64
	}
	var haveImages, wantImages []image
	for _, m := range row.Images.Value() {
		haveImages = append(haveImages, image{m.Src, m.Alt, m.Width, m.Height})
	}
	for _, m := range p.Images {
		wantImages = append(wantImages, image{m.Src, m.Alt, int64(m.Width), int64(m.Height)})
	}
	differ("images", haveImages, wantImages)
	if len(row.Variants) != len(p.Variants) {
		return append(found, fmt.Sprintf("%d variants, in the shop %d", len(row.Variants), len(p.Variants))), err
	}
	variants := slices.Clone(row.Variants)
	slices.SortFunc(variants, func(a, b store.VariantRow) int { return int(a.Position.Value() - b.Position.Value()) })
	for i, v := range p.Variants {
		have, options := variants[i], [3]*string{}
		for n := range v.Options {
			options[n] = &v.Options[n]
		}
		differ(fmt.Sprintf("variants[%d]", i),
			[]any{have.ExternalID, valueOf(have.Title), valueOf(have.SKU), valueOf(have.Barcode), decimal(valueOf(have.Price)), decimal(valueOf(have.CompareAtPrice)),
				valueOf(have.Position), valueOf(have.Option1), valueOf(have.Option2), valueOf(have.Option3), valueOf(have.InventoryItemID), valueOf(have.InventoryQuantity),
				valueOf(have.InventoryPolicy), valueOf(have.Taxable), instant(have.CreatedAt), instant(have.UpdatedAt)},
			[]any{v.ID, v.Title, v.SKU, v.Barcode, decimal(&v.Price), decimal(v.CompareAtPrice), i + 1, options[0], options[1], options[2],
				v.InventoryItemID, v.Quantity(), v.InventoryPolicy, v.Taxable, store.MillisOf(v.CreatedAt), store.MillisOf(v.UpdatedAt)})
	}
	return found, err
}

// valueOf is a field's value, nil for none.
func valueOf[T any](f catalog.Field[T]) *T {
	if v, ok := f.Get(); ok {
		return &v
	}
	return nil
}

func instant(f catalog.Field[int64]) *store.Millis { return (*store.Millis)(valueOf(f)) }

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// decimal writes equal amounts equally: the forms of a product differ in it.
func decimal(s *string) *string {
	if s == nil || !strings.Contains(*s, ".") {
		return s
	}
	short := strings.TrimRight(strings.TrimRight(*s, "0"), ".")
	return &short
}

func sorted(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}
