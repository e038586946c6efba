package fakeshopify

import (
	"slices"
	"strconv"
	"strings"
)

type (
	variantRef struct {
		p *Product
		i int
	}
	itemRef  variantRef // the inventory item of a variant
	levelRef struct {
		variantRef
		at location
	}
	imageRef struct {
		p *Product
		i int
	}
	location int
)

func (r variantRef) variant() *Variant { return &r.p.Variants[r.i] }

// Fields that searches of products and variants know.
var (
	productFields = []string{"id", "title", "status", "vendor", "product_type", "tag", "handle", "sku", "barcode",
		"created_at", "updated_at", "published_at", "inventory_total", "tags"}
	variantFields = []string{"id", "product_id", "sku", "barcode", "updated_at", "title", "inventory_quantity", "vendor",
		"product_type", "tag", "product_status"}
)

func productSearch(p *Product) fieldsOf {
	return func(field string) ([]any, bool) {
		switch field {
		case "id":
			return []any{p.ID}, true
		case "title":
			return []any{p.Title}, true
		case "status":
			return []any{p.Status}, true
		case "vendor":
			return []any{p.Vendor}, true
		case "product_type":
			return []any{p.ProductType}, true
		case "handle":
			return []any{p.Handle}, true
		case "created_at":
			return []any{p.CreatedAt}, true
		case "updated_at":
			return []any{p.UpdatedAt}, true
		case "published_at":
			if p.PublishedAt == nil {
				return nil, true
			}
			return []any{*p.PublishedAt}, true
		case "tag", "tags":
			return anys(p.Tags), true
		case "inventory_total":
			return []any{int64(p.total())}, true
		case "sku", "barcode":
			var list []any
			for i := range p.Variants {
				if s := map[bool]*string{true: p.Variants[i].SKU, false: p.Variants[i].Barcode}[field == "sku"]; s != nil {
					list = append(list, *s)
				}
			}
			return list, true
		case "":
			return append(anys(p.Tags), p.Title, p.Vendor, p.ProductType), true
		}
		return nil, false
	}
}

func variantSearch(p *Product, v *Variant) fieldsOf {
	return func(field string) ([]any, bool) {
		switch field {
		case "id":
			return []any{v.ID}, true
		case "product_id":
			return []any{p.ID}, true
		case "sku", "barcode":
			s := v.SKU
			if field == "barcode" {
				s = v.Barcode
			}
			if s == nil {
				return nil, true
			}
			return []any{*s}, true
		case "updated_at":
			return []any{v.UpdatedAt}, true
		case "title", "":
			return []any{v.Title}, true
		case "inventory_quantity":
			return []any{int64(v.Quantity())}, true
		case "product_status":
			return []any{p.Status}, true
		}
		return productSearch(p)(field)
	}
}

func (e *exec) productField(p *Product, f *fieldGroup) (any, *gqlError) {
	switch f.Name {
	case "id":
		return gid("Product", p.ID), nil
	case "legacyResourceId":
		return strconv.FormatInt(p.ID, 10), nil
	case "title":
		return p.Title, nil
	case "handle":
		return p.Handle, nil
	case "descriptionHtml":
		if p.BodyHTML == nil {
			return "", nil
		}
		return *p.BodyHTML, nil
	case "bodyHtml":
		return orNull(p.BodyHTML), nil
	case "vendor":
		return p.Vendor, nil
	case "productType":
		return p.ProductType, nil
	case "tags":
		tags := slices.Clone(p.Tags)
		slices.SortFunc(tags, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
		return anys(tags), nil
	case "status":
		return strings.ToUpper(p.Status), nil
	case "templateSuffix":
		return orNull(p.TemplateSuffix), nil
	case "category":
		if p.Category == nil {
			return nil, nil
		}
		return object{"TaxonomyCategory", members{{"id", p.Category.GID}, {"name", p.Category.Name}, {"fullName", p.Category.FullName}}}, nil
	case "seo":
		return object{"SEO", members{{"title", orNull(p.SEO.Title)}, {"description", orNull(p.SEO.Description)}}}, nil
	case "createdAt":
		return utc(p.CreatedAt), nil
	case "updatedAt":
		return utc(p.UpdatedAt), nil
	case "publishedAt":
		if p.PublishedAt == nil {
			return nil, nil
		}
		return utc(*p.PublishedAt), nil
	case "options":
		return p.optionList(f), nil
	case "variants":
		most := maxPage
		if e.alone {
			most = maxPageAlone
		}
		return e.page(f, e.variantsOf(p, f), most)
	case "variantsCount":
		return object{"Count", members{{"count", len(p.Variants)}, {"precision", "EXACT"}}}, nil
	case "totalVariants":
		return len(p.Variants), nil
	case "totalInventory":
		if e.bulk { // its lines are written twice and must not change between
			return p.total(), nil
		}
		return e.s.api.index.total(p), nil
	case "tracksInventory":
		return slices.ContainsFunc(p.Variants, func(v Variant) bool { return v.Tracked }), nil
	case "hasOnlyDefaultVariant":
		return len(p.Variants) == 1 && p.Variants[0].Title == "Default Title", nil
	case "hasOutOfStockVariants":
		return slices.ContainsFunc(p.Variants, func(v Variant) bool { return v.Quantity() <= 0 }), nil
	case "hasVariantsThatRequiresComponents", "isGiftCard":
		return false, nil
	case "media", "images":
		return e.page(f, e.imagesOf(p, allImages(p), f), maxPage)
	case "mediaCount":
		return object{"Count", members{{"count", len(p.Images)}, {"precision", "EXACT"}}}, nil
	case "featuredMedia", "featuredImage":
		if len(p.Images) == 0 {
			return nil, nil
		}
		return object{imageType(f.Name), imageRef{p, 0}}, nil
	case "defaultCursor":
		return (&connection{keys: []orderKey{{id: p.ID}}}).cursor(0), nil
	}
	return nil, nil
}

func (p *Product) optionList(f *fieldGroup) any {
	list := []any{}
	for i, o := range p.Options {
		if v, ok := f.args["first"]; ok && v != nil && i >= intArg(f.args, "first") {
			break
		}
		values := []any{}
		for n, v := range o.Values {
			values = append(values, object{"ProductOptionValue", members{
				{"id", gid("ProductOptionValue", o.ID*10_000+int64(n))}, {"name", v}, {"hasVariants", true}}})
		}
		list = append(list, object{"ProductOption", members{{"id", gid("ProductOption", o.ID)}, {"name", o.Name},
			{"position", i + 1}, {"values", anys(o.Values)}, {"optionValues", values}}})
	}
	return list
}

// variantsOf lists a product's variants by position, or by id where asked.
func (e *exec) variantsOf(p *Product, f *fieldGroup) listing {
	order := make([]int, len(p.Variants))
	for i := range order {
		order[i] = i
	}
	key := func(n int) orderKey { return orderKey{num: int64(order[n]), id: p.Variants[order[n]].ID} }
	if f.args["sortKey"] == "ID" {
		slices.SortFunc(order, func(a, b int) int { return cmpInt(p.Variants[a].ID, p.Variants[b].ID) })
		key = func(n int) orderKey { return orderKey{id: p.Variants[order[n]].ID} }
	}
	down := argBool(f, "reverse")
	if down {
		slices.Reverse(order)
	}
	return listing{typ: "ProductVariant", n: len(order), down: down, key: key,
		item: func(n int) object { return object{"ProductVariant", variantRef{p, order[n]}} }}
}

func allImages(p *Product) []int {
	list := make([]int, len(p.Images))
	for i := range list {
		list[i] = i
	}
	return list
}

func (e *exec) imagesOf(p *Product, list []int, f *fieldGroup) listing {
	down := argBool(f, "reverse")
	if down {
		slices.Reverse(list)
	}
	conn := "Media"
	if f.Name == "images" {
		conn = "Image"
	}
	return listing{typ: conn, n: len(list), down: down,
		item: func(n int) object { return object{imageType(f.Name), imageRef{p, list[n]}} },
		key:  func(n int) orderKey { return orderKey{num: int64(list[n]), id: p.Images[list[n]].MediaID} }}
}

func eventField(ev *Event, f *fieldGroup) any {
	switch f.Name {
	case "id":
		return gid("BasicEvent", ev.ID)
	case "action":
		return ev.Action
	case "createdAt":
		return utc(ev.At)
	case "subjectId":
		return gid("Product", ev.SubjectID)
	case "subjectType":
		return ev.SubjectType
	case "message":
		return "Product " + ev.Title + ": " + ev.Action
	case "criticalAlert", "attributeToApp":
		return false
	case "attributeToUser":
		return true
	case "author":
		return "Owner"
	}
	return nil
}
