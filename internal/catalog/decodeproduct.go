package catalog

// product reads the rest of a product body.
func (r *reader) product() *Product {
	p := new(Product)
	var is resourceID
	var seen evidence
	var of owners
	gids := false
	for r.more() {
		switch name := r.name(); string(name) {
		case "id":
			is.id = r.topID()
		case "admin_graphql_api_id":
			is.gid = r.gidField("Product")
		case "title":
			p.Title, seen = r.textField("title"), seen|ofContent
		case "body_html":
			p.BodyHTML, seen = r.textField("body_html"), seen|ofContent
		case "vendor":
			p.Vendor, seen = r.textField("vendor"), seen|ofProduct
		case "product_type":
			p.ProductType, seen = r.textField("product_type"), seen|ofProduct
		case "handle":
			p.Handle, seen = r.textField("handle"), seen|ofContent
		case "tags":
			p.Tags, seen = r.tagsField(), seen|ofContent
		case "status":
			p.Status, seen = r.lowerField("status"), seen|ofStatus
		case "published_at":
			p.PublishedAt, seen = r.timeField("published_at"), seen|ofContent
		case "created_at":
			p.CreatedAt, seen = r.timeField("created_at"), seen|ofTimes
		case "updated_at":
			p.UpdatedAt, seen = r.timeField("updated_at"), seen|ofTimes
		case "options":
			p.Options, seen = r.optionsField(), seen|ofProduct
		case "images":
			p.Images, seen = r.imagesField(), seen|ofProduct
		case "variants":
			of = owners{} // of a list given twice the last one counts
			p.Variants, seen = r.variantsField(&of), seen|ofProduct
		case "variant_gids":
			p.Named, seen, gids = r.namedField("variant_gids"), seen|ofProduct, true
		case "variant_ids":
			// The older spelling gives way to the newer one.
			if seen |= ofProduct; gids {
				r.value()
			} else {
				p.Named = r.namedField("variant_ids")
			}
		default:
			seen |= evidenceOf(name)
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

// variantsField reads the variants carried in full. A list with an entry that
// names no variant, as a reduced body may have it, can't be used: it counts as
// absent.
func (r *reader) variantsField(of *owners) Field[[]Variant] {
	const field = "variants"
	r.variants = drop(r.variants)
	enter, null := r.list(field)
	if null {
		return Null[[]Variant]()
	}
	if !enter {
		return Field[[]Variant]{}
	}
	usable := true
	for r.more() {
		if !r.element(field) || !r.atMost(maxVariants, field, len(r.variants)) {
			break
		}
		r.variants = append(r.variants, Variant{})
		v := &r.variants[len(r.variants)-1]
		r.variant(v, of)
		usable = usable && v.ID != 0
	}
	list := take(r.variants)
	r.variants = drop(r.variants)
	if !usable || r.err != nil {
		return Field[[]Variant]{}
	}
	return Of(list)
}

// variant reads the members of one variant, whose object is open.
func (r *reader) variant(v *Variant, of *owners) {
	var is resourceID
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
	r.named = drop(r.named)
	enter, null := r.list(field)
	if null {
		return Null[[]VariantRef]()
	}
	if !enter {
		return Field[[]VariantRef]{}
	}
	for r.more() && r.bounded(field, len(r.named)) {
		r.named = append(r.named, r.namedEntry(field))
	}
	list := take(r.named)
	r.named = drop(r.named)
	return Of(list)
}

func (r *reader) namedEntry(field string) VariantRef {
	var ref VariantRef
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
	return ref
}

func (r *reader) optionsField() Field[[]Option] {
	const field = "options"
	r.options = drop(r.options)
	enter, null := r.list(field)
	if null {
		return Null[[]Option]()
	}
	if !enter {
		return Field[[]Option]{}
	}
	for r.more() {
		if !r.element(field) || !r.bounded(field, len(r.options)) {
			break
		}
		var o Option
		for r.more() {
			switch string(r.name()) {
			case "id":
				o.ID = r.idField("options.id").Value()
			case "name":
				o.Name = r.textField("options.name").Value()
			case "position":
				o.Position = r.intField("options.position").Value()
			case "values":
				o.Values = r.valuesField()
			default:
				r.value()
			}
		}
		if o.Position == 0 {
			o.Position = int64(len(r.options) + 1)
		}
		r.options = append(r.options, o)
	}
	list := take(r.options)
	r.options = drop(r.options)
	return Of(list)
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

func (r *reader) imagesField() Field[[]Image] {
	const field = "images"
	r.images = drop(r.images)
	enter, null := r.list(field)
	if null {
		return Null[[]Image]()
	}
	if !enter {
		return Field[[]Image]{}
	}
	for r.more() {
		if !r.element(field) || !r.bounded(field, len(r.images)) {
			break
		}
		m := r.image()
		if m.Position == 0 {
			m.Position = int64(len(r.images) + 1)
		}
		r.images = append(r.images, m)
	}
	list := take(r.images)
	r.images = drop(r.images)
	return Of(list)
}

// image reads the members of one image, whose object is open.
func (r *reader) image() Image {
	var m Image
	for r.more() {
		switch string(r.name()) {
		case "id":
			m.ID = r.idField("images.id").Value()
		case "position":
			m.Position = r.intField("images.position").Value()
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
	return m
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
