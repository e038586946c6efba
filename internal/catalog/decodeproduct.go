package catalog

import "cmp"

// product reads the rest of a product body.
func (r *reader) product() *Product {
	p := new(Product)
	var is resourceID
	var seen evidence
	var of owners
	gids := false
	for r.more() {
		name := r.name()
		seen |= evidenceOf(name)
		switch string(name) {
		case "id":
			is.id = r.topID()
		case "admin_graphql_api_id":
			is.gid = r.gidField("Product")
		case "title":
			p.Title = r.textField("title")
		case "body_html":
			p.BodyHTML = r.textField("body_html")
		case "vendor":
			p.Vendor = r.textField("vendor")
		case "product_type":
			p.ProductType = r.textField("product_type")
		case "handle":
			p.Handle = r.textField("handle")
		case "tags":
			p.Tags = r.tagsField()
		case "status":
			p.Status = r.lowerField("status")
		case "published_at":
			p.PublishedAt = r.timeField("published_at")
		case "created_at":
			p.CreatedAt = r.timeField("created_at")
		case "updated_at":
			p.UpdatedAt = r.timeField("updated_at")
		case "template_suffix":
			p.TemplateSuffix = r.textField("template_suffix")
		case "category":
			p.Category = r.categoryField()
		case "options":
			p.Options = listField(r, &r.options, maxItems, "options", (*reader).option)
		case "images":
			p.Images = listField(r, &r.images, maxItems, "images", (*reader).image)
		case "variants":
			of = owners{} // of a list given twice the last one counts
			p.Variants = r.variantsField(&of)
		case "variant_gids":
			p.Named, gids = r.namedField("variant_gids"), true
		case "variant_ids":
			// The older spelling gives way to the newer one.
			if gids {
				r.value()
			} else {
				p.Named = r.namedField("variant_ids")
			}
		default:
			r.value()
		}
	}
	if r.err != nil {
		return nil
	}
	// A reduced body (include_fields) has only names that products have. What
	// carries others, such as a dispute with its status, has to be a product by
	// a field of its own or by its global id.
	named := is.gid != 0
	switch {
	case seen&foreignToProduct != 0 && seen&ofProduct == 0,
		seen&ofUnknown != 0 && seen&ofProduct == 0 && !named:
		r.mismatch("the body describes something else than a product")
	case seen&(ofProduct|ofContent|ofTimes) == 0 && !(named && seen&ofStatus != 0):
		r.mismatch("the body carries no field of a product")
	}
	p.ID = r.settle(is, "Product")
	if of.clash || of.id != 0 && of.id != p.ID {
		r.mismatch("a variant in the body belongs to another product")
	}
	r.cover(p)
	if r.err != nil {
		return nil
	}
	return p
}

// categoryField reads the full name of a category, or null.
func (r *reader) categoryField() (name Field[string]) {
	if r.peek() != '{' {
		return r.textField("category")
	}
	r.open()
	for r.more() {
		if string(r.name()) == "full_name" {
			name = r.textField("category.full_name")
		} else {
			r.value()
		}
	}
	return name
}

// owners gathers the product_id of every variant in a body.
type owners struct {
	id    int64
	clash bool
}

func (o *owners) add(id int64) {
	if id != 0 && o.id != 0 && id != o.id {
		o.clash = true
	}
	if id != 0 {
		o.id = id
	}
}

// listField reads a list or null. It grows in scratch; element reads one entry of
// it, whose place counts from 1.
func listField[T any](
	r *reader, scratch *[]T, most int, field string, element func(r *reader, entry *T, place int),
) Field[[]T] {
	enter, null := r.list(field)
	if null {
		return Null[[]T]()
	}
	list := drop(*scratch)
	for enter && r.more() && r.atMost(most, field, len(list)) {
		list = append(list, *new(T))
		element(r, &list[len(list)-1], len(list))
	}
	own := take(list)
	*scratch = drop(list)
	return Of(own)
}

// variantsField reads the variants carried in full. A list with an entry that
// names no variant, as a reduced body may have it, can't be used: it counts as
// absent.
func (r *reader) variantsField(of *owners) Field[[]Variant] {
	list := listField(r, &r.variants, maxVariants, "variants", func(r *reader, v *Variant, _ int) { r.variant(v, of) })
	for i := range list.value {
		if list.value[i].ID == 0 {
			return Field[[]Variant]{}
		}
	}
	return list
}

func (r *reader) variant(v *Variant, of *owners) {
	var is resourceID
	r.element("variants")
	for r.more() {
		switch string(r.name()) {
		case "id":
			is.id = r.idField("variants.id").Value()
		case "admin_graphql_api_id":
			is.gid = r.gidField("ProductVariant")
		case "product_id":
			of.add(r.idField("variants.product_id").Value())
		case "title":
			v.Title = r.textField("variants.title")
		case "sku":
			v.SKU = r.textField("variants.sku")
		case "barcode":
			v.Barcode = r.textField("variants.barcode")
		case "price":
			v.Price = r.decimalField("variants.price")
		case "compare_at_price":
			v.CompareAtPrice = r.decimalField("variants.compare_at_price")
		case "position":
			v.Position = r.intField("variants.position")
		case "option1":
			v.Option1 = r.textField("variants.option1")
		case "option2":
			v.Option2 = r.textField("variants.option2")
		case "option3":
			v.Option3 = r.textField("variants.option3")
		case "inventory_item_id":
			v.InventoryItemID = r.idField("variants.inventory_item_id")
		case "inventory_quantity":
			v.InventoryQuantity = r.intField("variants.inventory_quantity")
		case "inventory_policy":
			v.InventoryPolicy = r.lowerField("variants.inventory_policy")
		case "taxable":
			v.Taxable = r.boolField("variants.taxable")
		case "grams":
			v.WeightGrams = r.gramsField("variants.grams")
		case "image_id":
			v.ImageID = r.idField("variants.image_id")
		case "created_at":
			v.CreatedAt = r.timeField("variants.created_at")
		case "updated_at":
			v.UpdatedAt = r.timeField("variants.updated_at")
		default:
			r.value()
		}
	}
	if is.id != 0 || is.gid != 0 {
		v.ID = r.settle(is, "ProductVariant")
	}
}

// namedField reads variant_gids or variant_ids: objects with an id, a global
// id or both, and perhaps updated_at; or bare ids and global ids. Every entry
// has to name a variant, since the list decides what may be removed.
func (r *reader) namedField(field string) Field[[]VariantRef] {
	return listField(r, &r.named, maxItems, field, func(r *reader, ref *VariantRef, _ int) { r.namedEntry(ref, field) })
}

func (r *reader) namedEntry(ref *VariantRef, field string) {
	var is resourceID
	switch r.peek() {
	case '{':
		r.open()
		for r.more() {
			switch string(r.name()) {
			case "id":
				is.id = r.idField(field + ".id").Value()
			case "admin_graphql_api_id":
				is.gid = r.gidField("ProductVariant")
			case "updated_at":
				ref.UpdatedAt = r.timeField(field + ".updated_at").Value()
			default:
				r.value()
			}
		}
	case '"':
		is.gid = r.gidField("ProductVariant")
	default:
		is.id = r.idField(field).Value()
	}
	if is.id == 0 && is.gid == 0 {
		r.malformed(field, "has an entry without id")
	}
	ref.ID = r.settle(is, "ProductVariant")
}

func (r *reader) option(o *Option, place int) {
	o.Position = int64(place)
	r.element("options")
	for r.more() {
		switch string(r.name()) {
		case "id":
			o.ID = r.idField("options.id").Value()
		case "name":
			o.Name = r.textField("options.name").Value()
		case "position":
			o.Position = cmp.Or(r.intField("options.position").Value(), int64(place))
		case "values":
			o.Values = r.valuesField()
		default:
			r.value()
		}
	}
}

func (r *reader) valuesField() []string {
	const field = "options.values"
	r.texts = drop(r.texts)
	if enter, _ := r.list(field); !enter {
		return r.takeTexts()
	}
	for r.more() && r.bounded(field, len(r.texts)) {
		r.texts = append(r.texts, r.textField(field).Value())
	}
	return r.takeTexts()
}

func (r *reader) image(m *Image, place int) {
	m.Position = int64(place)
	r.element("images")
	for r.more() {
		switch string(r.name()) {
		case "id":
			m.ID = r.idField("images.id").Value()
		case "position":
			m.Position = cmp.Or(r.intField("images.position").Value(), int64(place))
		case "src":
			m.Src = r.textField("images.src").Value()
		case "alt":
			if alt, ok := r.textField("images.alt").Get(); ok {
				m.Alt = &alt
			}
		case "width":
			m.Width = r.intField("images.width").Value()
		case "height":
			m.Height = r.intField("images.height").Value()
		case "variant_ids":
			m.VariantIDs = r.idsField("images.variant_ids")
		default:
			r.value()
		}
	}
}

func (r *reader) idsField(field string) []int64 {
	r.listed = r.listed[:0]
	if enter, _ := r.list(field); !enter {
		return nil
	}
	for r.more() && r.bounded(field, len(r.listed)) {
		if id, ok := r.idField(field).Get(); ok {
			r.listed = append(r.listed, id)
		}
	}
	return take(r.listed)
}
