package catalog

import "testing"

func TestAProductsIDIsReadAsPeopleCopyIt(t *testing.T) {
	for _, text := range []string{
		"632910392", " 632910392 ", "gid://shopify/Product/632910392", "gid://shopify/Product/632910392?a=b",
		"https://admin.shopify.com/store/linen/products/632910392", "https://linen.myshopify.com/admin/products/632910392/?x=1",
		"https://admin.shopify.com/store/linen/products/632910392/variants/808950810", "/products/632910392",
	} {
		if id, err := ParseProductID(text); err != nil || id != 632910392 {
			t.Errorf("%q: %d, %v", text, id, err)
		}
	}
	for _, text := range []string{
		"", "0", "-5", "abc", "1.5", "gid://shopify/Collection/5", "gid://shopify/ProductVariant/5", "99999999999999999999",
		"https://linen.myshopify.com/admin/orders/5", "gid://shopify/Product/", "products",
	} {
		if id, err := ParseProductID(text); err == nil {
			t.Errorf("%q is taken for %d", text, id)
		}
	}
}
