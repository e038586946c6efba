package store

import (
	"encoding/json"
	"fmt"

	"stockroom/catalog"
)

// content returns the stored product as the catalog has it, every field
// present.
func (r ProductRow) content() (*catalog.Product, error) {
	p := &catalog.Product{
		ID: r.ExternalID, Title: orNullField(r.Title), BodyHTML: orNullField(r.BodyHTML), Vendor: orNullField(r.Vendor),
		ProductType: orNullField(r.ProductType), Handle: orNullField(r.Handle), Status: orNullField(r.ShopifyStatus),
		PublishedAt: orNullTime(r.PublishedAt), CreatedAt: orNullTime(r.ShopifyCreatedAt), UpdatedAt: orNullTime(r.ShopifyUpdatedAt),
		Coverage: catalog.Complete, VariantsComplete: true,
	}
	var err error
	if p.Tags, err = parseField[[]string](r.Tags); err != nil {
		return nil, fmt.Errorf("column tags: %w", err)
	}
	if p.Options, err = parseField[[]catalog.Option](r.Options); err != nil {
		return nil, fmt.Errorf("column options: %w", err)
	}
	if p.Images, err = parseField[[]catalog.Image](r.Images); err != nil {
		return nil, fmt.Errorf("column images: %w", err)
	}
	variants := make([]catalog.Variant, len(r.Variants))
	for i, v := range r.Variants {
		variants[i] = catalog.Variant{
			ID: v.ExternalID, Title: orNullField(v.Title), SKU: orNullField(v.SKU), Barcode: orNullField(v.Barcode),
			Price: orNullField(v.Price), CompareAtPrice: orNullField(v.CompareAtPrice), Position: orNullField(v.Position),
			Option1: orNullField(v.Option1), Option2: orNullField(v.Option2), Option3: orNullField(v.Option3),
			InventoryItemID: orNullField(v.InventoryItemID), InventoryQuantity: orNullField(v.InventoryQuantity),
			InventoryPolicy: orNullField(v.InventoryPolicy), Taxable: orNullField(v.Taxable), WeightGrams: orNullField(v.WeightGrams),
			ImageID: orNullField(v.ImageID), CreatedAt: orNullTime(v.ShopifyCreatedAt), UpdatedAt: orNullTime(v.ShopifyUpdatedAt),
		}
	}
	p.Variants = catalog.Of(variants)
	return p, nil
}

func orNullField[T any](v *T) catalog.Field[T] {
	if v == nil {
		return catalog.Null[T]()
	}
	return catalog.Of(*v)
}

// orNullTime is orNullField for a time; the catalog has plain milliseconds.
func orNullTime(v *Millis) catalog.Field[int64] { return orNullField((*int64)(v)) }

func parseField[T any](text RawJSON) (catalog.Field[T], error) {
	if text == "" || text == "null" {
		return catalog.Null[T](), nil
	}
	var out T
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return catalog.Field[T]{}, err
	}
	return catalog.Of(out), nil
}
