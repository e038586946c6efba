package catalog

import (
	"strings"
	"testing"
)

func TestBrokenBodiesAreMalformed(t *testing.T) {
	variant := func(member string) string { return `{"id":1,"title":"t","variants":[{"id":5,` + member + `}]}` }
	for name, body := range map[string]string{
		"no byte":                         "",
		"blanks only":                     " \r\n",
		"byte order mark":                 "\ufeff{\"id\":1,\"title\":\"t\"}",
		"cut off":                         `{"id":1,"title":"t"`,
		"cut off inside a string":         `{"id":1,"title":"t`,
		"second value behind":             `{"id":1,"title":"t"} {}`,
		"garbage behind":                  `{"id":1,"title":"t"}x`,
		"zero byte behind":                "{\"id\":1,\"title\":\"t\"}\x00",
		"comma too many":                  `{"id":1,"title":"t",}`,
		"not quoted":                      `{id:1}`,
		"invalid UTF-8":                   "{\"id\":1,\"title\":\"\xff\"}",
		"invalid UTF-8 in the unknown":    "{\"id\":1,\"title\":\"t\",\"x\":\"\xc3\"}",
		"lone surrogate":                  `{"id":1,"title":"\ud83d"}`,
		"control character":               "{\"id\":1,\"title\":\"a\nb\"}",
		"bad escape":                      `{"id":1,"title":"\x"}`,
		"nested beyond reason":            `{"id":1,"title":"t","x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
		"never closed":                    strings.Repeat(`{"id":`, 50_000),
		"array, cut off":                  `[1`,
		"id beyond 64 bits":               `{"id":9223372036854775808,"title":"t"}`,
		"id of many digits":               `{"id":` + strings.Repeat("9", 5000) + `,"title":"t"}`,
		"id with a fraction":              `{"id":1.5,"title":"t"}`,
		"id with an exponent":             `{"id":1e3,"title":"t"}`,
		"id that is a word":               `{"id":"abc","title":"t"}`,
		"id that is an object":            `{"id":{},"title":"t"}`,
		"title that is a number":          `{"id":1,"title":5}`,
		"tags that are a number":          `{"id":1,"tags":5}`,
		"tags of numbers":                 `{"id":1,"tags":[5]}`,
		"variants that are an object":     `{"id":1,"variants":{}}`,
		"variants of numbers":             `{"id":1,"variants":[5]}`,
		"time without zone":               `{"id":1,"updated_at":"2026-01-01T00:00:00"}`,
		"time on February 30":             `{"id":1,"updated_at":"2026-02-30T00:00:00Z"}`,
		"time that is a number":           `{"id":1,"updated_at":1700000000}`,
		"price that is a word":            variant(`"price":"cheap"`),
		"price that is true":              variant(`"price":true`),
		"price in hexadecimal":            variant(`"price":"0x10"`),
		"price of a million digits":       variant(`"price":"` + strings.Repeat("1", 1_000_000) + `"`),
		"price with a vast exponent":      variant(`"price":1e999999999`),
		"quantity beyond 64 bits":         variant(`"inventory_quantity":-9223372036854775809`),
		"quantity that is text":           variant(`"inventory_quantity":"5"`),
		"item id that is negative":        variant(`"inventory_item_id":-5`),
		"taxable that is text":            variant(`"taxable":"true"`),
		"variant id zero":                 `{"id":1,"variants":[{"id":0}]}`,
		"one variant twice":               `{"id":1,"variants":[{"id":5},{"id":6},{"id":5}]}`,
		"a named variant without id":      `{"id":1,"variant_gids":[{"updated_at":null}]}`,
		"a named variant that is null":    `{"id":1,"variant_ids":[null]}`,
		"named variants of booleans":      `{"id":1,"variant_gids":[true]}`,
		"variant id that is null text":    `{"id":1,"variants":[{"id":"null"}]}`,
		"variant gid that is a number":    `{"id":1,"variants":[{"admin_graphql_api_id":5}]}`,
		"weight that is text":             variant(`"grams":"5"`),
		"options that are text":           `{"id":1,"options":"Size"}`,
		"options of text":                 `{"id":1,"options":["Size"]}`,
		"option values that are text":     `{"id":1,"options":[{"values":"S"}]}`,
		"option values of numbers":        `{"id":1,"options":[{"values":[5]}]}`,
		"images that are an object":       `{"id":1,"images":{"src":"a"}}`,
		"an image that is null":           `{"id":1,"images":[null]}`,
		"an image's variants as text":     `{"id":1,"images":[{"variant_ids":"5"}]}`,
		"an image's variant of id zero":   `{"id":1,"images":[{"variant_ids":[0]}]}`,
		"variant_gids that are a text":    `{"id":1,"variant_gids":"gid://shopify/ProductVariant/5"}`,
		"more variants than there can be": `{"id":1,"variants":[` + strings.Repeat("{},", maxVariants) + `{}]}`,
		"more tags than there can be":     `{"id":1,"tags":"` + strings.Repeat("a,", maxItems+1) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Decode(ProductsUpdate, []byte(body))
			if !isMalformed(err) {
				t.Errorf("%v, %v, want malformed", c.ID, err)
			}
			if err != nil && (strings.Contains(err.Error(), "cheap") || strings.Contains(err.Error(), "abc")) {
				t.Errorf("the reason quotes the body: %v", err)
			}
		})
	}
}

func TestFieldsOfTheWrongTypeAreMalformedUnderEveryTopic(t *testing.T) {
	for _, c := range []struct {
		topic Topic
		body  string
	}{
		{ProductsDelete, `{"id":"x"}`},
		{ProductsDelete, `{"id":99999999999999999999}`},
		{ProductsDelete, `{"id":1,"admin_graphql_api_id":5}`},
		{InventoryLevelsUpdate, `{"inventory_item_id":1.5,"location_id":2}`},
		{InventoryItemsUpdate, `{"id":[],"sku":"a"}`},
		{AppUninstalled, `{"domain":null,"myshopify_domain":5}`},
		{AppScopesUpdate, `{"current":"read_products"}`},
		{AppScopesUpdate, `{"current":["read_products",5]}`},
		{BulkOperationsFinish, `{"admin_graphql_api_id":"gid://shopify/BulkOperation/1","status":{}}`},
		{CustomersRedact, `{"shop_domain":5,"customer":{},"orders_to_redact":[]}`},
		{CustomersDataRequest, `not json`},
		{ShopRedactTopic, `{"shop_id":1,"shop_domain":"a.myshopify.com"`},
	} {
		if _, err := Decode(c.topic, []byte(c.body)); !isMalformed(err) {
			t.Errorf("%s %s: %v, want malformed", c.topic, c.body, err)
		}
	}
}
