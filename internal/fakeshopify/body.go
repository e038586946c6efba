package fakeshopify

import (
	"strconv"
	"strings"
	"time"
)

// Body is the body Shopify would send now for the topic. For inventory topics
// it is about the product's first variant; for topics about the shop productID
// is not used. It is nil for a product that does not exist, except under
// products/delete, and for a topic that the shop does not know.
func (s *Shop) Body(topic string, productID int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodyNow(topic, productID)
}

func (s *Shop) bodyNow(topic string, productID int64) []byte {
	p := s.products[productID]
	now := s.opt.Now()
	switch topic {
	case TopicDelete:
		return s.body(topic, &Product{ID: productID})
	case TopicUninstalled:
		return s.uninstalledBody()
	case TopicScopes:
		return s.scopesBody(s.api.scopes, s.api.scopes, now)
	case TopicBulkFinish:
		return s.bulkFinishBody(&bulkOp{status: "COMPLETED", created: now, completed: now})
	}
	if p == nil {
		return nil
	}
	switch topic {
	case TopicCreate, TopicUpdate:
		return s.body(topic, p)
	case TopicInventoryLevel:
		return s.inventoryLevelBody(&p.Variants[0], 0, p.Variants[0].UpdatedAt)
	case TopicInventoryItem:
		return s.inventoryItemBody(&p.Variants[0], p.Variants[0].UpdatedAt)
	case TopicProductEvent, TopicItemEvent:
		return s.eventNow(topic, p)
	}
	return nil
}

func (s *Shop) text(size int) *jsonText {
	return &jsonText{b: make([]byte, 0, size), slash: true, ascii: s.opt.ASCII}
}

// body is a products/* body: the REST-shaped form with the first 100 variants
// in full and all of them in variant_gids.
func (s *Shop) body(topic string, p *Product) []byte {
	if topic == TopicDelete {
		return []byte(`{"id":` + strconv.FormatInt(p.ID, 10) + `}`)
	}
	zone := s.opt.Zone
	w := s.text(2048 + 600*min(len(p.Variants), fullVariants) + 110*len(p.Variants) + 1000*len(p.Images))
	w.open('{')
	w.str("admin_graphql_api_id", gid("Product", p.ID))
	w.strOrNull("body_html", p.BodyHTML)
	w.local("created_at", p.CreatedAt, zone)
	w.str("handle", p.Handle)
	w.int("id", p.ID)
	w.str("product_type", p.ProductType)
	if p.PublishedAt == nil {
		w.null("published_at")
	} else {
		w.local("published_at", *p.PublishedAt, zone)
	}
	w.strOrNull("template_suffix", p.TemplateSuffix)
	w.str("title", p.Title)
	w.local("updated_at", p.UpdatedAt, zone)
	w.str("vendor", p.Vendor)
	w.str("status", p.Status)
	w.str("published_scope", "web")
	w.str("tags", strings.Join(p.Tags, ", "))
	w.openKey("variants", '[')
	for i := range p.Variants[:min(len(p.Variants), fullVariants)] {
		s.variantBody(w, p, i)
	}
	w.close(']')
	w.openKey("options", '[')
	for i, o := range p.Options {
		w.open('{')
		w.str("name", o.Name)
		w.int("id", o.ID)
		w.int("product_id", p.ID)
		w.int("position", int64(i+1))
		w.openKey("values", '[')
		for _, v := range o.Values {
			w.comma()
			w.quote(v)
		}
		w.close(']')
		w.close('}')
	}
	w.close(']')
	w.openKey("images", '[')
	for i := range p.Images {
		w.comma()
		s.imageBody(w, p, i)
	}
	w.close(']')
	w.key("image")
	if len(p.Images) == 0 {
		w.raw("null")
	} else {
		s.imageBody(w, p, 0)
	}
	w.openKey("media", '[')
	for i := range p.Images {
		s.mediaBody(w, p, i)
	}
	w.close(']')
	w.openKey("variant_gids", '[')
	for i := range p.Variants {
		w.open('{')
		w.str("admin_graphql_api_id", gid("ProductVariant", p.Variants[i].ID))
		w.str("updated_at", p.Variants[i].UpdatedAt.UTC().Format("2006-01-02T15:04:05.000Z"))
		w.close('}')
	}
	w.close(']')
	w.bool("has_variants_that_requires_components", false)
	if c := p.Category; c == nil {
		w.null("category")
	} else {
		w.openKey("category", '{')
		w.str("admin_graphql_api_id", c.GID)
		w.str("name", c.Name)
		w.str("full_name", c.FullName)
		w.close('}')
	}
	w.close('}')
	return w.b
}

func (s *Shop) variantBody(w *jsonText, p *Product, i int) {
	v := &p.Variants[i]
	w.open('{')
	w.str("admin_graphql_api_id", gid("ProductVariant", v.ID))
	w.strOrNull("barcode", v.Barcode)
	w.strOrNull("compare_at_price", v.CompareAtPrice)
	w.local("created_at", v.CreatedAt, s.opt.Zone)
	w.int("id", v.ID)
	w.str("inventory_policy", v.InventoryPolicy)
	w.int("position", int64(i+1))
	w.str("price", v.Price)
	w.int("product_id", p.ID)
	w.strOrNull("sku", v.SKU)
	w.bool("taxable", v.Taxable)
	w.str("title", v.Title)
	w.local("updated_at", v.UpdatedAt, s.opt.Zone)
	for n, k := range [...]string{"option1", "option2", "option3"} {
		if n < len(v.Options) {
			w.str(k, v.Options[n])
		} else {
			w.null(k)
		}
	}
	w.intOrNull("image_id", v.ImageID)
	w.int("inventory_item_id", v.InventoryItemID)
	w.int("inventory_quantity", int64(v.Quantity()))
	w.int("old_inventory_quantity", int64(v.Quantity()))
	w.close('}')
}

func (s *Shop) imageBody(w *jsonText, p *Product, i int) {
	im := &p.Images[i]
	w.raw("{")
	w.int("id", im.ID)
	w.int("product_id", p.ID)
	w.int("position", int64(i+1))
	w.local("created_at", im.CreatedAt, s.opt.Zone)
	w.local("updated_at", im.UpdatedAt, s.opt.Zone)
	w.strOrNull("alt", im.Alt)
	w.int("width", int64(im.Width))
	w.int("height", int64(im.Height))
	w.str("src", im.Src)
	w.variantIDs(p.variantIDs(im.ID))
	w.str("admin_graphql_api_id", gid("ProductImage", im.ID))
	w.close('}')
}

func (w *jsonText) variantIDs(ids []int64) {
	w.openKey("variant_ids", '[')
	for _, id := range ids {
		w.comma()
		w.b = strconv.AppendInt(w.b, id, 10)
	}
	w.close(']')
}

func (s *Shop) mediaBody(w *jsonText, p *Product, i int) {
	im := &p.Images[i]
	w.open('{')
	w.int("id", im.MediaID)
	w.int("product_id", p.ID)
	w.int("position", int64(i+1))
	w.local("created_at", im.CreatedAt, s.opt.Zone)
	w.local("updated_at", im.UpdatedAt, s.opt.Zone)
	w.strOrNull("alt", im.Alt)
	w.str("status", "READY")
	w.str("media_content_type", "IMAGE")
	w.openKey("preview_image", '{')
	w.int("width", int64(im.Width))
	w.int("height", int64(im.Height))
	w.str("src", im.Src)
	w.str("status", "READY")
	w.close('}')
	w.variantIDs(p.variantIDs(im.ID))
	w.str("admin_graphql_api_id", gid("MediaImage", im.MediaID))
	w.close('}')
}

func (s *Shop) inventoryLevelBody(v *Variant, location int, at time.Time) []byte {
	w := s.text(256)
	w.open('{')
	w.int("inventory_item_id", v.InventoryItemID)
	w.int("location_id", locationIDs[location])
	w.int("available", int64(v.Available[location]))
	w.local("updated_at", at, s.opt.Zone)
	w.str("admin_graphql_api_id", gid("InventoryLevel", locationIDs[location])+"?inventory_item_id="+
		strconv.FormatInt(v.InventoryItemID, 10))
	w.close('}')
	return w.b
}

func (s *Shop) inventoryItemBody(v *Variant, at time.Time) []byte {
	w := s.text(512)
	w.open('{')
	w.int("id", v.InventoryItemID)
	w.strOrNull("sku", v.SKU)
	w.local("created_at", v.CreatedAt, s.opt.Zone)
	w.local("updated_at", at, s.opt.Zone)
	w.bool("requires_shipping", v.RequiresShipping)
	for _, k := range [...]string{"cost", "country_code_of_origin", "province_code_of_origin", "harmonized_system_code"} {
		w.null(k)
	}
	w.bool("tracked", v.Tracked)
	w.openKey("country_harmonized_system_codes", '[')
	w.close(']')
	w.key("weight_value")
	w.b = strconv.AppendFloat(w.b, v.Weight, 'f', -1, 64)
	w.str("weight_unit", shortUnit(v.WeightUnit))
	w.str("admin_graphql_api_id", gid("InventoryItem", v.InventoryItemID))
	w.close('}')
	return w.b
}

func shortUnit(u string) string {
	switch u {
	case "KILOGRAMS":
		return "kg"
	case "POUNDS":
		return "lb"
	case "OUNCES":
		return "oz"
	}
	return "g"
}

// shopID is the shop's number, the same for every simulated shop.
const shopID = 548_380_009

// uninstalledBody names no domain: the sample of the reference has nulls there.
func (s *Shop) uninstalledBody() []byte {
	w := s.text(512)
	w.open('{')
	w.int("id", shopID)
	w.str("name", shopName(s.opt.Shop))
	w.str("email", "owner@example.com")
	w.null("domain")
	w.str("country", "US")
	w.str("currency", "USD")
	w.null("created_at")
	w.null("updated_at")
	w.str("plan_name", "basic")
	w.null("myshopify_domain")
	w.close('}')
	return w.b
}

func shopName(domain string) string {
	name, _, _ := strings.Cut(domain, ".")
	return name
}

func (s *Shop) scopesBody(previous, current []string, at time.Time) []byte {
	w := s.text(256)
	w.open('{')
	w.int("id", 1)
	w.str("shop_id", gid("Shop", shopID))
	for _, l := range []struct {
		key  string
		list []string
	}{{"previous", previous}, {"current", current}} {
		w.openKey(l.key, '[')
		for _, v := range l.list {
			w.comma()
			w.quote(v)
		}
		w.close(']')
	}
	w.str("updated_at", at.UTC().Format("2006-01-02T15:04:05.000Z"))
	w.close('}')
	return w.b
}

// bulkFinishBody has status and error code in lower case and no URL.
func (s *Shop) bulkFinishBody(op *bulkOp) []byte {
	w := s.text(256)
	w.open('{')
	w.str("admin_graphql_api_id", gid("BulkOperation", op.id))
	w.local("completed_at", op.completed, s.opt.Zone)
	w.local("created_at", op.created, s.opt.Zone)
	if op.errorCode == "" {
		w.null("error_code")
	} else {
		w.str("error_code", strings.ToLower(op.errorCode))
	}
	w.str("status", strings.ToLower(op.status))
	w.str("type", "query")
	w.close('}')
	return w.b
}
