package shopify

// product reads a product's own line.
func (r *lineReader) product(n *bulkRootNode) {
	for name := range r.members {
		switch string(name) {
		case "id":
			n.ID = r.string()
		case "title":
			n.Title = r.string()
		case "descriptionHtml":
			n.DescriptionHTML = r.string()
		case "vendor":
			n.Vendor = r.string()
		case "productType":
			n.ProductType = r.string()
		case "handle":
			n.Handle = r.string()
		case "tags":
			n.Tags = listOf(r, r.string)
		case "status":
			n.Status = r.string()
		case "publishedAt":
			n.PublishedAt = orNil(r, r.time)
		case "createdAt":
			n.CreatedAt = r.time()
		case "updatedAt":
			n.UpdatedAt = r.time()
		case "options":
			n.Options = listOf(r, r.option)
		case "variantsCount":
			n.VariantsCount = orNil(r, r.count)
		case "mediaCount":
			n.MediaCount = orNil(r, r.count)
		default:
			r.skip(1)
		}
	}
}

// root reads of a product's own line what says which lines belong to it.
func (r *lineReader) root(n *bulkRootNode) {
	for name := range r.members {
		switch string(name) {
		case "id":
			n.ID = r.string()
		case "variantsCount":
			n.VariantsCount = orNil(r, r.count)
		case "mediaCount":
			n.MediaCount = orNil(r, r.count)
		default:
			r.skip(1)
		}
	}
}

// child reads the line of a variant or of a medium.
func (r *lineReader) child(n *bulkChildNode) {
	for name := range r.members {
		switch string(name) {
		case "id":
			n.ID = r.string()
		case "__parentId":
			n.Parent = r.string()
		case "title":
			n.Title = r.string()
		case "sku":
			n.SKU = orNil(r, r.string)
		case "barcode":
			n.Barcode = orNil(r, r.string)
		case "price":
			n.Price = r.string()
		case "compareAtPrice":
			n.CompareAtPrice = orNil(r, r.string)
		case "position":
			n.Position = r.int()
		case "selectedOptions":
			n.SelectedOptions = listOf(r, r.selected)
		case "inventoryItem":
			r.item(&n.variantNode)
		case "inventoryQuantity":
			n.InventoryQuantity = orNil(r, r.int)
		case "inventoryPolicy":
			n.InventoryPolicy = r.string()
		case "taxable":
			n.Taxable = r.bool()
		case "createdAt":
			n.CreatedAt = r.time()
		case "updatedAt":
			n.UpdatedAt = r.time()
		case "alt":
			n.Alt = orNil(r, r.string)
		case "image":
			n.Image = orNil(r, r.image)
		default:
			r.skip(1)
		}
	}
}

func (r *lineReader) count() (n countNode) {
	for name := range r.members {
		switch string(name) {
		case "count":
			n.Count = int(r.int())
		case "precision":
			n.Precision = r.string()
		default:
			r.skip(2)
		}
	}
	return n
}

func (r *lineReader) option() (n optionNode) {
	for name := range r.members {
		switch string(name) {
		case "id":
			n.ID = r.string()
		case "name":
			n.Name = r.string()
		case "position":
			n.Position = r.int()
		case "values":
			n.Values = listOf(r, r.string)
		default:
			r.skip(3)
		}
	}
	return n
}

func (r *lineReader) selected() (n selectedNode) {
	for name := range r.members {
		if string(name) == "value" {
			n.Value = r.string()
		} else {
			r.skip(3)
		}
	}
	return n
}

func (r *lineReader) image() (n imageNode) {
	for name := range r.members {
		switch string(name) {
		case "url":
			n.URL = r.string()
		case "width":
			n.Width = r.int()
		case "height":
			n.Height = r.int()
		default:
			r.skip(2)
		}
	}
	return n
}

// item reads a variant's inventory item, of which its weight is a part.
func (r *lineReader) item(n *variantNode) {
	for name := range r.members {
		switch string(name) {
		case "id":
			n.InventoryItem.ID = r.string()
		case "measurement":
			for name := range r.members {
				if string(name) == "weight" {
					n.InventoryItem.Measurement.Weight = orNil(r, r.weight)
				} else {
					r.skip(3)
				}
			}
		default:
			r.skip(2)
		}
	}
}

func (r *lineReader) weight() (n weightNode) {
	for name := range r.members {
		switch string(name) {
		case "unit":
			n.Unit = r.string()
		case "value":
			n.Value = r.float()
		default:
			r.skip(4)
		}
	}
	return n
}
