package catalog

import (
	"strings"
	"testing"
)

func TestAShopIsReadInEveryFormInWhichAPersonHasIt(t *testing.T) {
	for _, typed := range []string{
		"acme-2.myshopify.com", " ACME-2.MyShopify.com ", "acme-2", "Acme-2", "acme-2.myshopify.com/", "https://acme-2.myshopify.com",
		"https://acme-2.myshopify.com/admin", "http://acme-2.myshopify.com/admin/products?x=1#y", "https://admin.shopify.com/store/acme-2",
		"https://admin.shopify.com/store/acme-2/", "admin.shopify.com/store/ACME-2/products/12?x=/y", "https://admin.shopify.com/store/acme-2?a=b",
		"https://acme-2.myshopify.com?x", "acme-2.myshopify.com.", `"acme-2.myshopify.com"`, "<https://acme-2.myshopify.com/>",
	} {
		if got, err := ReadShop(typed); got != "acme-2.myshopify.com" || err != nil {
			t.Errorf("%q is read as %q, %v", typed, got, err)
		}
	}
}

func TestWhatNamesNoShopSaysWhereTheNameStands(t *testing.T) {
	for typed, want := range map[string]string{
		"":                                      "the shop's name is missing",
		" / ":                                   `"/" is not a shop's name`,
		"www.acme.com":                          `"www.acme.com" is not the name that Shopify gave the shop, which ends with .myshopify.com. Shopify's admin shows it under Settings, Domains`,
		"https://acme.com/":                     "admin.shopify.com/store/NAME",
		"acme.myshopify.com.evil.example":       "ends with .myshopify.com",
		"https://admin.shopify.com/":            "the NAME behind /store/ is missing",
		"https://admin.shopify.com/store/":      "is not a shop's name",
		"https://admin.shopify.com/store/a b":   "letters, digits and hyphens",
		"acme_shop":                             "letters, digits and hyphens",
		"-acme":                                 "letters, digits and hyphens",
		"acme.myshopify.com:443":                "ends with .myshopify.com",
		"https://a:b@acme.myshopify.com/":       "letters, digits and hyphens",
		"w.acme.myshopify.com":                  "letters, digits and hyphens",
		"https://partners.shopify.com/1/stores": "is an address of Shopify's Dev Dashboard, which shows apps",
		"shpss_0123":                            "a secret or token of Shopify was given",
		strings.Repeat("a", 300):                "letters, digits and hyphens",
	} {
		got, err := ReadShop(typed)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read as %q and says %v, want %q", typed, got, err, want)
		} else if strings.Contains(err.Error(), "my-shop") {
			t.Errorf("%q is answered with an example: %v", typed, err)
		}
	}
	// A header is no person: it has to be the name itself.
	for _, header := range []string{"acme", "https://acme.myshopify.com", "admin.shopify.com/store/acme"} {
		if got, err := ParseShop(header); err == nil {
			t.Errorf("a header %q is taken for %q", header, got)
		}
	}
}
