package catalog

import (
	"slices"
	"strings"
	"testing"
)

func TestTheShapeOfABodyDecidesNotTheHeader(t *testing.T) {
	const fits, mismatch = true, false
	for _, c := range []struct {
		claim string
		topic Topic
		body  string
		want  bool
	}{
		{"a product by id", ProductsUpdate, `{"id":1,"title":"t"}`, fits},
		{"a product by global id", ProductsUpdate, `{"admin_graphql_api_id":"gid://shopify/Product/1","title":"t"}`, fits},
		{"a product by both", ProductsCreate, `{"id":1,"admin_graphql_api_id":"gid:\/\/shopify\/Product\/1","updated_at":null}`, fits},
		{"a global id escaped in another way", ProductsUpdate, `{"id":1,"admin_graphql_api_id":"gid:\u002f\u002fshopify/Product/1","title":"t"}`, fits},
		{"a product id in quotes", ProductsUpdate, `{"id":"788032119674292922","title":"t"}`, fits},
		{"a product with a new field", ProductsUpdate, `{"id":1,"vendor":"v","brand_new":{"a":1}}`, fits},
		{"a product with a field that others have too", ProductsUpdate, `{"id":1,"variants":[],"name":"n"}`, fits},
		{"a reduced product", ProductsUpdate, `{"id":1,"status":"active","updated_at":null,"metafields":[]}`, fits},
		{"a status of what is a product by its global id", ProductsUpdate,
			`{"admin_graphql_api_id":"gid://shopify/Product/1","status":"active","brand_new":1}`, fits},
		{"a status alone", ProductsUpdate, `{"id":1,"status":"active"}`, mismatch},
		{"a dispute", ProductsUpdate, `{"id":99112233445566,"order_id":5566,"type":"chargeback","amount":"20.00","currency":"EUR",
			"reason":"fraudulent","status":"under_review","initiated_at":"2026-11-20T19:00:00-05:00"}`, mismatch},
		{"a fulfilment", ProductsUpdate, `{"id":1,"order_id":2,"status":"success","created_at":null,"updated_at":null}`, mismatch},
		{"a refund", ProductsCreate, `{"id":1,"order_id":2,"created_at":null,"note":"n"}`, mismatch},
		{"an article", ProductsUpdate, `{"id":1,"title":"t","handle":"h","blog_id":2,"author":"a"}`, mismatch},
		{"a delete body", ProductsUpdate, `{"id":1}`, mismatch},
		{"a delete body with global id", ProductsCreate, `{"id":1,"admin_graphql_api_id":"gid://shopify/Product/1"}`, mismatch},
		{"no id", ProductsUpdate, `{"title":"t"}`, mismatch},
		{"null id", ProductsUpdate, `{"id":null,"title":"t"}`, mismatch},
		{"id zero", ProductsUpdate, `{"id":0,"title":"t"}`, mismatch},
		{"negative id", ProductsUpdate, `{"id":-5,"title":"t"}`, mismatch},
		{"two ids", ProductsUpdate, `{"id":1,"admin_graphql_api_id":"gid://shopify/Product/2","title":"t"}`, mismatch},
		{"a collection by global id", ProductsUpdate, `{"id":1,"admin_graphql_api_id":"gid://shopify/Collection/1","title":"t"}`, mismatch},
		{"a global id that is none", ProductsUpdate, `{"id":1,"admin_graphql_api_id":"Product/1","title":"t"}`, mismatch},
		{"a collection without global id", ProductsUpdate, `{"id":1,"title":"t","handle":"h","sort_order":"manual"}`, mismatch},
		{"an order without global id", ProductsUpdate, `{"id":1,"tags":"","updated_at":null,"line_items":[]}`, mismatch},
		{"a variant without global id", ProductsUpdate, `{"id":1,"title":"t","price":"1","sku":"s","product_id":2}`, mismatch},
		{"a shop", ProductsUpdate, `{"id":1,"name":"n","created_at":null,"myshopify_domain":null}`, mismatch},
		{"a variant of another product", ProductsUpdate, `{"id":1,"variants":[{"id":5,"product_id":2}]}`, mismatch},
		{"variants of two products", ProductsUpdate, `{"id":2,"variants":[{"id":5,"product_id":1},{"id":6,"product_id":2}]}`, mismatch},
		{"a variant with two ids", ProductsUpdate, `{"id":1,"variants":[{"id":5,"admin_graphql_api_id":"gid://shopify/ProductVariant/6"}]}`, mismatch},
		{"a variant that is a product", ProductsUpdate, `{"id":1,"variants":[{"id":5,"admin_graphql_api_id":"gid://shopify/Product/5"}]}`, mismatch},
		{"a named variant that is a product", ProductsUpdate, `{"id":1,"variant_gids":[{"admin_graphql_api_id":"gid://shopify/Product/5"}]}`, mismatch},
		{"an array", ProductsUpdate, `[{"id":1,"title":"t"}]`, mismatch},
		{"a text", ProductsUpdate, `"t"`, mismatch},
		{"null", ProductsDelete, `null`, mismatch},
		{"an empty object", ProductsUpdate, `{}`, mismatch},

		{"a delete", ProductsDelete, `{"id":1}`, fits},
		{"a delete by global id", ProductsDelete, `{"admin_graphql_api_id":"gid:\/\/shopify\/Product\/1"}`, fits},
		{"a delete by both", ProductsDelete, `{"id":1,"admin_graphql_api_id":"gid://shopify/Product/1"}`, fits},
		{"a delete with a new field", ProductsDelete, `{"id":1,"deleted_by":"someone"}`, fits},
		{"a delete with two ids", ProductsDelete, `{"id":1,"admin_graphql_api_id":"gid://shopify/Product/2"}`, mismatch},
		{"a delete of a variant", ProductsDelete, `{"id":1,"admin_graphql_api_id":"gid://shopify/ProductVariant/1"}`, mismatch},
		{"a reduced update under delete", ProductsDelete, `{"id":1,"updated_at":"2026-01-01T00:00:00Z"}`, mismatch},
		{"an update under delete", ProductsDelete, `{"id":1,"title":"t","variants":[]}`, mismatch},
		{"an inventory item under delete", ProductsDelete, `{"id":1,"sku":"s"}`, mismatch},
		{"a variant under delete", ProductsDelete, `{"id":1,"product_id":2}`, mismatch},
		{"an order under delete", ProductsDelete, `{"id":1,"line_items":[]}`, mismatch},
		{"a shop's redaction under delete", ProductsDelete, `{"shop_id":1,"shop_domain":"a.myshopify.com"}`, mismatch},
		{"a publication under delete", ProductsDelete, `{"id":1,"publication_id":2}`, mismatch},
		{"a name spelt with escapes under delete", ProductsDelete, `{"id":1,"\u0074itle":"t"}`, mismatch},
		{"a delete without id", ProductsDelete, `{}`, mismatch},
		{"a delete of id zero", ProductsDelete, `{"id":0}`, mismatch},

		{"a level", InventoryLevelsUpdate, `{"inventory_item_id":1,"location_id":2,"available":null}`, fits},
		{"a level that began", InventoryLevelsConnect, `{"inventory_item_id":1,"location_id":2,"available":10}`, fits},
		{"a level that ended", InventoryLevelsDisconnect, `{"inventory_item_id":1,"location_id":2}`, fits},
		{"an item whose level ended", InventoryLevelsDisconnect, `{"id":1,"sku":"a","tracked":true}`, mismatch},
		{"a level without location", InventoryLevelsUpdate, `{"inventory_item_id":1,"available":3}`, mismatch},
		{"a level without item", InventoryLevelsUpdate, `{"location_id":1}`, mismatch},
		{"a level of item zero", InventoryLevelsUpdate, `{"inventory_item_id":0,"location_id":2}`, mismatch},
		{"a level with an item's global id", InventoryLevelsUpdate, `{"inventory_item_id":1,"location_id":2,"admin_graphql_api_id":"gid://shopify/InventoryItem/1"}`, mismatch},
		{"a product under levels", InventoryLevelsUpdate, `{"id":1,"inventory_item_id":1,"location_id":2,"variants":[]}`, mismatch},

		{"an item", InventoryItemsUpdate, `{"id":1,"sku":null}`, fits},
		{"an item by global id", InventoryItemsUpdate, `{"admin_graphql_api_id":"gid://shopify/InventoryItem/1"}`, fits},
		{"an id alone under items", InventoryItemsUpdate, `{"id":1}`, mismatch},
		{"a product under items", InventoryItemsUpdate, `{"id":1,"title":"t","variants":[]}`, mismatch},
		{"a reduced product under items", InventoryItemsUpdate, `{"id":1,"updated_at":null}`, mismatch},
		{"a product with an sku under items", InventoryItemsUpdate, `{"id":1,"sku":"s","handle":"h"}`, mismatch},
		{"an item that is a product", InventoryItemsUpdate, `{"id":1,"sku":"s","admin_graphql_api_id":"gid://shopify/Product/1"}`, mismatch},

		{"a shop without domains", AppUninstalled, `{"id":1,"domain":null,"myshopify_domain":null}`, fits},
		{"a shop by its plan", AppUninstalled, `{"plan_name":"basic"}`, fits},
		{"a product under uninstalled", AppUninstalled, `{"id":1,"title":"t","variants":[],"domain":null}`, mismatch},
		{"an id under uninstalled", AppUninstalled, `{"id":1}`, mismatch},
		{"a redaction under uninstalled", AppUninstalled, `{"shop_id":1,"shop_domain":"a.myshopify.com"}`, mismatch},
		{"a shop with a product's global id", AppUninstalled, `{"domain":null,"admin_graphql_api_id":"gid://shopify/Product/1"}`, mismatch},

		{"scopes without the previous ones", AppScopesUpdate, `{"current":["read_products"]}`, fits},
		{"no scopes left", AppScopesUpdate, `{"previous":["read_products"],"current":[]}`, fits},
		{"scopes that are null", AppScopesUpdate, `{"current":null}`, mismatch},
		{"previous scopes only", AppScopesUpdate, `{"previous":[]}`, mismatch},
		{"a product with a field of that name", AppScopesUpdate, `{"id":1,"title":"t","current":[]}`, mismatch},

		{"a bulk operation", BulkOperationsFinish, `{"admin_graphql_api_id":"gid://shopify/BulkOperation/1","status":"FAILED"}`, fits},
		{"a bulk operation without status", BulkOperationsFinish, `{"admin_graphql_api_id":"gid://shopify/BulkOperation/1"}`, mismatch},
		{"a bulk operation without id", BulkOperationsFinish, `{"status":"completed"}`, mismatch},
		{"a product under bulk", BulkOperationsFinish, `{"admin_graphql_api_id":"gid://shopify/Product/1","status":"active"}`, mismatch},

		{"a data request by its number", CustomersDataRequest, `{"shop_domain":"a.myshopify.com","customer":{},"data_request":{}}`, fits},
		{"a data request by its orders", CustomersDataRequest, `{"shop_domain":"a.myshopify.com","customer":{},"orders_requested":[]}`, fits},
		{"a redaction under data request", CustomersDataRequest, `{"shop_domain":"a.myshopify.com","customer":{},"orders_to_redact":[]}`, mismatch},
		{"a data request that redacts as well", CustomersDataRequest, `{"shop_domain":"a.myshopify.com","customer":{},"data_request":{},"orders_to_redact":[]}`, mismatch},
		{"a data request without customer", CustomersDataRequest, `{"shop_domain":"a.myshopify.com","data_request":{}}`, mismatch},
		{"a data request without shop", CustomersDataRequest, `{"customer":{},"data_request":{}}`, mismatch},
		{"a customer's redaction", CustomersRedact, `{"shop_domain":"a.myshopify.com","customer":{},"orders_to_redact":[]}`, fits},
		{"a customer's redaction without orders", CustomersRedact, `{"shop_domain":"a.myshopify.com","customer":{}}`, fits},
		{"a data request under redaction", CustomersRedact, `{"shop_domain":"a.myshopify.com","customer":{},"data_request":{}}`, mismatch},
		{"a customer that is null", CustomersRedact, `{"shop_domain":"a.myshopify.com","customer":null,"orders_to_redact":[]}`, mismatch},
		{"a shop's redaction under a customer's", CustomersRedact, `{"shop_id":1,"shop_domain":"a.myshopify.com"}`, mismatch},

		{"a shop's redaction", ShopRedactTopic, `{"shop_domain":"A.myshopify.com","shop_id":1}`, fits},
		{"one with more in it", ShopRedactTopic, `{"shop_id":1,"shop_domain":"a.myshopify.com","x":null}`, mismatch},
		{"one with a name twice", ShopRedactTopic, `{"shop_id":1,"shop_domain":"a.myshopify.com","shop_id":1}`, mismatch},
		{"one without id", ShopRedactTopic, `{"shop_domain":"a.myshopify.com"}`, mismatch},
		{"one with the id as text", ShopRedactTopic, `{"shop_id":"1","shop_domain":"a.myshopify.com"}`, mismatch},
		{"one with a fraction for id", ShopRedactTopic, `{"shop_id":1.5,"shop_domain":"a.myshopify.com"}`, mismatch},
		{"one with id zero", ShopRedactTopic, `{"shop_id":0,"shop_domain":"a.myshopify.com"}`, mismatch},
		{"one of a shop elsewhere", ShopRedactTopic, `{"shop_id":1,"shop_domain":"a.example.com"}`, mismatch},
		{"one of a null shop", ShopRedactTopic, `{"shop_id":1,"shop_domain":null}`, mismatch},
		{"a customer's redaction under a shop's", ShopRedactTopic, `{"shop_id":1,"shop_domain":"a.myshopify.com","customer":{},"orders_to_redact":[]}`, mismatch},

		{"a topic without a kind", "product_listings/add", `{"product_listing":{"product_id":1}}`, mismatch},
		{"no topic", "", `{"id":1}`, mismatch},
	} {
		t.Run(string(c.topic)+" with "+c.claim, func(t *testing.T) {
			_, err := Decode(c.topic, []byte(c.body))
			if c.want == fits && err != nil {
				t.Errorf("%v, want it to fit", err)
			}
			if c.want == mismatch && !isMismatch(err) {
				t.Errorf("%v, want a mismatch", err)
			}
		})
	}
}

// TestADeleteMayCarryNoFieldOfAnyOtherBody goes through every name that the
// sample bodies of other topics have at their top level.
func TestADeleteMayCarryNoFieldOfAnyOtherBody(t *testing.T) {
	for _, name := range strings.Fields(`
		title body_html vendor product_type handle tags status category published_at published_scope template_suffix created_at updated_at
		variants variant_gids variant_ids options images image media has_variants_that_requires_components
		inventory_item_id location_id available sku cost tracked requires_shipping country_code_of_origin province_code_of_origin
		harmonized_system_code country_harmonized_system_codes weight_value myshopify_domain domain shop_owner plan_name
		plan_display_name iana_timezone current previous completed_at error_code shop_id shop_domain customer data_request
		orders_requested orders_to_redact product_listing publication_id product_id line_items scopes name email address1
		published sort_order rules collection_id financial_status fulfillment_status topic action fields_changed`) {
		if _, err := Decode(ProductsDelete, []byte(`{"id":1,"`+name+`":null}`)); !isMismatch(err) {
			t.Errorf("%s: %v, want a mismatch", name, err)
		}
	}
}

func TestNoticesAreReadExactly(t *testing.T) {
	for _, c := range []struct {
		topic Topic
		body  string
		want  Change
	}{
		{ProductsDelete, `{"id":788032119674292922}`, Change{Kind: Delete, ID: 788032119674292922}},
		{InventoryLevelsUpdate, `{"inventory_item_id":271878346596884015,"location_id":24826418,"available":-10,"admin_graphql_api_id":"gid:\/\/shopify\/InventoryLevel\/24826418?inventory_item_id=271878346596884015"}`,
			Change{Kind: Inventory, ID: 271878346596884015}},
		{InventoryItemsUpdate, `{"id":271878346596884015,"cost":"1.20","tracked":true}`, Change{Kind: Inventory, ID: 271878346596884015}},
		{AppUninstalled, `{"id":1,"shop_owner":"o","myshopify_domain":"My-Shop.myshopify.com"}`, Change{Kind: Uninstalled, ShopDomain: "my-shop.myshopify.com"}},
		{AppScopesUpdate, `{"id":1,"shop_id":"gid://shopify/Shop/1","current":["read_products","write\u005fproducts"]}`,
			Change{Kind: ScopesChanged, Scopes: []string{"read_products", "write_products"}}},
		{BulkOperationsFinish, `{"admin_graphql_api_id":"gid:\/\/shopify\/BulkOperation\/147595010","status":"COMPLETED","error_code":null}`,
			Change{Kind: BulkFinished, ID: 147595010, Status: "completed"}},
		{CustomersDataRequest, `{"shop_id":1,"shop_domain":"A.myshopify.com","customer":{"id":1},"orders_requested":[1]}`, Change{Kind: DataRequest, ShopDomain: "a.myshopify.com"}},
		{CustomersRedact, `{"shop_id":1,"shop_domain":"a.myshopify.com","customer":{"id":1},"orders_to_redact":[1]}`, Change{Kind: CustomerRedact, ShopDomain: "a.myshopify.com"}},
		{ShopRedactTopic, `{"shop_id":954889,"shop_domain":"a.myshopify.com"}`, Change{Kind: ShopRedact, ShopDomain: "a.myshopify.com"}},
	} {
		got, err := Decode(c.topic, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.topic, err)
			continue
		}
		w := c.want
		if got.Topic != c.topic || got.Kind != w.Kind || got.ID != w.ID || got.Product != nil || !slices.Equal(got.Scopes, w.Scopes) ||
			got.Status != w.Status || got.ShopDomain != w.ShopDomain {
			t.Errorf("%s: %+v, want %+v", c.topic, got, w)
		}
	}
}

func TestCoverageSaysWhatABodyAllows(t *testing.T) {
	full := `"title":"t","handle":"h","vendor":"v","product_type":"p","status":"active","tags":"","options":[],"images":[],"updated_at":null,"body_html":null,"published_at":null,"created_at":null`
	variant := func(id string) string {
		return `{"id":` + id + `,"title":null,"sku":null,"barcode":null,"price":"1","compare_at_price":null,"position":1,"option1":null,` +
			`"option2":null,"option3":null,"inventory_item_id":null,"inventory_quantity":0,"inventory_policy":"deny","taxable":true,` +
			`"image_id":null,"created_at":null,"updated_at":null}`
	}
	var hundred, ninetyNine []string
	for i := range 100 {
		hundred = append(hundred, variant("1"+strings.Repeat("0", i/10)+string(rune('0'+i%10))))
	}
	ninetyNine = hundred[:99]
	for _, c := range []struct {
		claim    string
		members  string
		coverage Coverage
		complete bool
	}{
		{"all there is", full + `,"variants":[` + variant("5") + `],"variant_gids":[{"admin_graphql_api_id":"gid://shopify/ProductVariant/5"}]`, Complete, true},
		{"the older list of ids", full + `,"variants":[` + variant("5") + `],"variant_ids":[{"id":5}]`, Complete, true},
		{"bare ids", full + `,"variants":[` + variant("5") + `],"variant_ids":[5]`, Complete, true},
		{"bare global ids", full + `,"variants":[` + variant("5") + `],"variant_gids":["gid://shopify/ProductVariant/5"]`, Complete, true},
		{"ids named twice", full + `,"variants":[` + variant("5") + `],"variant_ids":[5,5]`, Complete, true},
		{"no list of ids", full + `,"variants":[` + variant("5") + `]`, Complete, true},
		{"a null list of ids", full + `,"variants":[` + variant("5") + `],"variant_gids":null`, Complete, true},
		{"99 variants and no list of ids", full + `,"variants":[` + strings.Join(ninetyNine, ",") + `]`, Complete, true},
		{"100 variants and no list of ids", full + `,"variants":[` + strings.Join(hundred, ",") + `]`, Truncated, false},
		{"a named variant that is not carried", full + `,"variants":[` + variant("5") + `],"variant_gids":[{"admin_graphql_api_id":"gid://shopify/ProductVariant/5"},{"admin_graphql_api_id":"gid://shopify/ProductVariant/6"}]`, Truncated, false},
		{"a carried variant that is not named", full + `,"variants":[` + variant("5") + `,` + variant("6") + `],"variant_ids":[{"id":5}]`, Truncated, false},
		{"the newer list wins over the older", full + `,"variants":[` + variant("5") + `],"variant_gids":["gid://shopify/ProductVariant/5"],"variant_ids":[5,6]`, Complete, true},
		{"the newer list wins wherever it stands", full + `,"variants":[` + variant("5") + `],"variant_ids":[5,6],"variant_gids":["gid://shopify/ProductVariant/5"]`, Complete, true},
		{"names without variants", full + `,"variant_ids":[5]`, Truncated, false},
		{"no variants at all", full, Partial, false},
		{"null variants", full + `,"variants":null`, Partial, false},
		{"a missing title", `"handle":"h","variants":[` + variant("5") + `]`, Partial, true},
		{"a missing body_html", strings.Replace(full, `"body_html"`, `"x"`, 1) + `,"variants":[` + variant("5") + `]`, Partial, true},
		{"a missing created_at", strings.Replace(full, `"created_at"`, `"x"`, 1) + `,"variants":[` + variant("5") + `]`, Partial, true},
		{"a variant without its second option", full + `,"variants":[` + strings.Replace(variant("5"), `"option2"`, `"x"`, 1) + `]`, Partial, true},
		{"a variant without its image", full + `,"variants":[` + strings.Replace(variant("5"), `"image_id"`, `"x"`, 1) + `]`, Partial, true},
		{"a variant without its time", full + `,"variants":[` + strings.Replace(variant("5"), `"updated_at"`, `"x"`, 1) + `]`, Partial, true},
		{"a variant reduced to its id", full + `,"variants":[{"id":5}]`, Partial, true},
		{"truncated and partial", `"title":"t","variants":[` + variant("5") + `],"variant_ids":[5,6]`, Truncated, false},
		{"a variant without id", full + `,"variants":[{"sku":"s"}]`, Partial, false},
		{"an id and a time alone", `"updated_at":"2026-11-20T10:00:00-05:00"`, Partial, false},
	} {
		t.Run(c.claim, func(t *testing.T) {
			p := decodeProduct(t, `{"id":1,`+c.members+`}`)
			if p.Coverage != c.coverage || p.VariantsComplete != c.complete {
				t.Errorf("%s, complete %t; want %s, %t", p.Coverage, p.VariantsComplete, c.coverage, c.complete)
			}
		})
	}
}

func TestNamedVariantsKeepTheirTimes(t *testing.T) {
	p := decodeProduct(t, `{"id":1,"variant_gids":[
		{"admin_graphql_api_id":"gid:\/\/shopify\/ProductVariant\/757650484644203962","updated_at":"2022-01-01T00:00:00.250Z"},
		{"admin_graphql_api_id":"gid://shopify/ProductVariant/5"},{"id":6,"updated_at":null}]}`)
	want := []VariantRef{{757650484644203962, 1640995200250}, {5, 0}, {6, 0}}
	if !slices.Equal(p.Named.Value(), want) {
		t.Errorf("named %v, want %v", p.Named.Value(), want)
	}
}

func TestAnEmptyVariantListIsNoKnowledgeOfAny(t *testing.T) {
	for name, body := range map[string]string{
		"nothing named":      `{"id":1,"title":"x","updated_at":"2026-11-20T10:00:00Z","variants":[]}`,
		"nothing named here": `{"id":1,"title":"x","updated_at":"2026-11-20T10:00:00Z","variants":[],"variant_gids":[]}`,
	} {
		c, err := Decode(ProductsUpdate, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if c.Product.VariantsComplete || c.Product.Coverage == Complete {
			t.Errorf("%s: complete (%v), so every stored variant would be removed", name, c.Product.Coverage)
		}
	}
}
