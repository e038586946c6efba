package catalog

// evidence is what the names at the top level of a body tell about the
// resource it describes. The topic header is not signed, so a captured body
// may come back under another topic; the names are what gives it away.
type evidence uint16

const (
	ofProduct     evidence = 1 << iota // only products have it
	ofContent                          // products share it with collections, orders, listings
	ofTimes                            // created_at, updated_at: most resources
	ofStatus                           // many resources have a status
	ofLevel                            // inventory levels
	ofItem                             // inventory items
	ofShop                             // the shop itself
	ofScopes                           // app/scopes_update
	ofBulk                             // bulk operations
	ofCompliance                       // every privacy topic
	ofDataRequest                      // customers/data_request
	ofRedact                           // customers/redact
	ofOther                            // resources we have no topic for
	ofUnknown                          // not known: a new field, or a resource we have no topic for
)

// foreignToProduct is what a product body has no reason to carry.
const foreignToProduct = ^(ofProduct | ofContent | ofTimes | ofStatus | ofUnknown)

// evidenceOf returns what one name at the top level speaks for, 0 for a name
// that says nothing.
func evidenceOf(name []byte) evidence {
	switch string(name) {
	case "vendor", "product_type", "variants", "variant_gids", "variant_ids",
		"options", "images", "media", "has_variants_that_requires_components":
		return ofProduct
	case "title", "handle", "body_html", "tags", "published_at",
		"published_scope", "template_suffix", "image", "category":
		return ofContent
	case "status":
		return ofStatus
	case "created_at", "updated_at":
		return ofTimes
	case "inventory_item_id", "location_id", "available":
		return ofLevel
	case "sku", "cost", "tracked", "requires_shipping", "country_code_of_origin",
		"province_code_of_origin", "harmonized_system_code",
		"country_harmonized_system_codes", "weight_value":
		return ofItem
	case "myshopify_domain", "domain", "shop_owner", "plan_name",
		"plan_display_name", "iana_timezone":
		return ofShop
	case "current", "previous":
		return ofScopes
	case "completed_at", "error_code":
		return ofBulk
	case "shop_domain":
		return ofCompliance
	case "data_request", "orders_requested":
		return ofDataRequest
	case "orders_to_redact":
		return ofRedact
	case "product_listing", "publication_id", "product_id", "line_items",
		"customer", "shop_id", "scopes", "name", "email", "address1", "published",
		"sort_order", "rules", "collection_id", "financial_status",
		"fulfillment_status", "topic", "action", "fields_changed":
		return ofOther
	case "id", "admin_graphql_api_id", "metafields", "private_metafields":
		return 0
	}
	return ofUnknown
}
