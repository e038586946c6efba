package fakeshopify

import (
	"slices"
	"strconv"
	"strings"
)

func imageType(field string) string {
	if field == "images" || field == "featuredImage" || field == "image" {
		return "Image"
	}
	return "MediaImage"
}

func (e *exec) variantField(r variantRef, f *fieldGroup) (any, *gqlError) {
	v := r.variant()
	switch f.Name {
	case "id":
		return gid("ProductVariant", v.ID), nil
	case "legacyResourceId":
		return strconv.FormatInt(v.ID, 10), nil
	case "title":
		return v.Title, nil
	case "displayName":
		return r.p.Title + " - " + v.Title, nil
	case "sku":
		return orNull(v.SKU), nil
	case "barcode":
		return orNull(v.Barcode), nil
	case "price":
		return money(v.Price), nil
	case "compareAtPrice":
		if v.CompareAtPrice == nil {
			return nil, nil
		}
		return money(*v.CompareAtPrice), nil
	case "position":
		return r.i + 1, nil
	case "selectedOptions":
		list := []any{}
		for i, o := range v.Options {
			list = append(list, object{"SelectedOption", members{{"name", r.p.Options[i].Name}, {"value", o}}})
		}
		return list, nil
	case "inventoryItem":
		return object{"InventoryItem", itemRef(r)}, nil
	case "inventoryPolicy":
		return strings.ToUpper(v.InventoryPolicy), nil
	case "inventoryQuantity", "sellableOnlineQuantity":
		return v.Quantity(), nil
	case "taxable":
		return v.Taxable, nil
	case "availableForSale":
		return v.Quantity() > 0 || v.InventoryPolicy == "continue", nil
	case "createdAt":
		return utc(v.CreatedAt), nil
	case "updatedAt":
		return utc(v.UpdatedAt), nil
	case "requiresComponents":
		return false, nil
	case "product":
		return object{"Product", r.p}, nil
	case "defaultCursor":
		return (&connection{keys: []orderKey{{id: v.ID}}}).cursor(0), nil
	case "media", "image":
		at := -1
		if v.ImageID != nil {
			at = slices.IndexFunc(r.p.Images, func(im Image) bool { return im.ID == *v.ImageID })
		}
		if f.Name == "image" {
			if at < 0 {
				return nil, nil
			}
			return object{"Image", imageRef{r.p, at}}, nil
		}
		var list []int
		if at >= 0 {
			list = []int{at}
		}
		return e.page(f, e.imagesOf(r.p, list, f), maxPage)
	}
	return nil, nil
}

func (e *exec) itemField(r itemRef, f *fieldGroup) (any, *gqlError) {
	v := variantRef(r).variant()
	switch f.Name {
	case "id":
		return gid("InventoryItem", v.InventoryItemID), nil
	case "legacyResourceId":
		return strconv.FormatInt(v.InventoryItemID, 10), nil
	case "sku":
		return orNull(v.SKU), nil
	case "tracked":
		return v.Tracked, nil
	case "requiresShipping":
		return v.RequiresShipping, nil
	case "duplicateSkuCount":
		return 0, nil
	case "measurement":
		return object{"InventoryItemMeasurement", members{{"id", gid("InventoryItemMeasurement", v.InventoryItemID)},
			{"weight", object{"Weight", members{{"unit", v.WeightUnit}, {"value", v.Weight}}}}}}, nil
	case "createdAt":
		return utc(v.CreatedAt), nil
	case "updatedAt":
		return utc(v.UpdatedAt), nil
	case "variant":
		return object{"ProductVariant", variantRef(r)}, nil
	case "variants":
		return e.page(f, listing{typ: "ProductVariant", n: 1,
			item: func(int) object { return object{"ProductVariant", variantRef(r)} },
			key:  func(int) orderKey { return orderKey{id: v.ID} }}, maxPage)
	case "inventoryLevels":
		if !e.allowed("read_inventory") {
			return nil, accessDenied(f.Field, "read_inventory")
		}
		return e.page(f, listing{typ: "InventoryLevel", n: locations,
			item: func(i int) object { return object{"InventoryLevel", levelRef{variantRef(r), location(i)}} },
			key:  func(i int) orderKey { return orderKey{num: int64(i), id: locationIDs[i]} }}, maxPage)
	}
	return nil, nil
}

func (e *exec) levelField(r levelRef, f *fieldGroup) (any, *gqlError) {
	v := r.variant()
	switch f.Name {
	case "id":
		return gid("InventoryLevel", locationIDs[r.at]) + "?inventory_item_id=" + strconv.FormatInt(v.InventoryItemID, 10), nil
	case "item":
		return object{"InventoryItem", itemRef(r.variantRef)}, nil
	case "location":
		if !e.allowed("read_locations") {
			return nil, accessDenied(f.Field, "read_locations")
		}
		return object{"Location", r.at}, nil
	case "isActive":
		return true, nil
	case "createdAt":
		return utc(v.CreatedAt), nil
	case "updatedAt":
		return utc(v.UpdatedAt), nil
	case "quantities":
		list := []any{}
		names, _ := f.args["names"].([]any)
		for _, n := range names {
			q := 0
			if n == "available" || n == "on_hand" {
				q = v.Available[r.at]
			}
			list = append(list, object{"InventoryQuantity", members{{"id", gid("InventoryQuantity", v.InventoryItemID) + "?name=" + n.(string)},
				{"name", n}, {"quantity", q}, {"updatedAt", utc(v.UpdatedAt)}}})
		}
		return list, nil
	}
	return nil, nil
}

func (e *exec) imageField(typ string, r imageRef, f *fieldGroup) (any, *gqlError) {
	im := &r.p.Images[r.i]
	switch f.Name {
	case "id":
		if typ == "Image" {
			return gid("ProductImage", im.ID), nil
		}
		return gid("MediaImage", im.MediaID), nil
	case "alt", "altText":
		return orNull(im.Alt), nil
	case "mediaContentType":
		return "IMAGE", nil
	case "status":
		return "READY", nil
	case "mimeType":
		return "image/jpeg", nil
	case "createdAt":
		return utc(im.CreatedAt), nil
	case "updatedAt":
		return utc(im.UpdatedAt), nil
	case "image":
		return object{"Image", r}, nil
	case "preview":
		return object{"MediaPreviewImage", members{{"status", "READY"}, {"image", object{"Image", r}}}}, nil
	case "url", "src", "originalSrc":
		return im.Src, nil
	case "width":
		return im.Width, nil
	case "height":
		return im.Height, nil
	}
	return nil, nil
}

func locationField(l location, f *fieldGroup) any {
	switch f.Name {
	case "id":
		return gid("Location", locationIDs[l])
	case "legacyResourceId":
		return strconv.FormatInt(locationIDs[l], 10)
	case "name":
		return [locations]string{"Main warehouse", "Shop floor"}[l]
	case "isActive":
		return true
	}
	return "2024-01-01T00:00:00Z"
}

// money is a price as the API writes it: always with at least two decimals.
func money(s string) string {
	whole, frac, _ := strings.Cut(s, ".")
	for len(frac) < 2 {
		frac += "0"
	}
	return whole + "." + frac
}

func orNull(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
