package catalog

import (
	"testing"
	"time"
)

func TestAReadShowsTheLastVersionOfASecondThatIsOver(t *testing.T) {
	for _, tt := range []struct {
		name          string
		read, version int64
		ahead         time.Duration
		want          bool
	}{
		{"it began before the edit", 9_000, 10_000, 0, false},
		{"another edit may still carry the second", 11_999, 10_999, 0, false},
		{"no edit can carry it any more", 12_000, 10_000, 0, true},
		{"whatever part of the second the version names", 12_000, 10_999, 0, true},
		{"our clock may be ahead", 12_999, 10_000, time.Second, false},
		{"not so far", 13_000, 10_000, time.Second, true},
		{"our clock is behind", 11_000, 10_000, -time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ShowsLast(tt.read, tt.version, tt.ahead); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

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
