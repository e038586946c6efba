package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	shopPrefix = "SHOPIFY_" // of the variables that declare a shop
	fileSuffix = "_FILE"    // of the variable that names a secret's file
)

// loadShop reads the SHOPIFY_ variables.
func (l *loader) loadShop() {
	failed := len(l.errs)
	l.load(shopRows())
	var given []string
	for _, s := range shopRows() {
		if at := l.out.origins[s.Name]; at != byDefault {
			_, name, _ := strings.Cut(at, " ")
			given = append(given, name)
		}
	}
	if len(l.errs) > failed || len(given) == 0 {
		return
	}
	l.out.Shop.Domain = strings.ToLower(l.out.Shop.Domain)
	if l.out.Shop.Declared() {
		l.checkShop(l.out.Shop)
		return
	}
	ignored := fmt.Sprintf("SHOPIFY_SHOP is not set, so %s is ignored", strings.Join(given, ", "))
	l.out.Warnings = append(l.out.Warnings, ignored)
	l.out.Shop = EnvShop{}
}

// checkShop reports what is missing or malformed.
func (l *loader) checkShop(shop EnvShop) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`).MatchString(shop.Domain) {
		hint := "its name.myshopify.com domain, which Shopify's admin shows under Settings, Domains"
		short := regexp.MustCompile(`^(?:https?://)?([a-z0-9][a-z0-9-]*)(?:\.myshopify\.com)?/?$`)
		if name := short.FindStringSubmatch(shop.Domain); name != nil {
			hint = name[1] + ".myshopify.com"
		}
		l.fail("SHOPIFY_SHOP: %q is not a shop's domain, write %s", shop.Domain, hint)
	}
	if !shop.APISecret.IsSet() {
		l.fail("SHOPIFY_API_SECRET: not set, and without it no webhook can be verified: set it or SHOPIFY_API_SECRET_FILE")
	}
	if shop.APIKey == "" && !shop.AccessToken.IsSet() {
		l.fail("SHOPIFY_API_KEY: not set; set it, or SHOPIFY_ACCESS_TOKEN when the app has a static token")
	}
	if len(shop.MerchantID) > 200 {
		l.fail("SHOPIFY_MERCHANT_ID: longer than 200 bytes")
	}
	known := variables(shopRows())
	for _, name := range l.strangers(shopPrefix, known) {
		// Other programs have SHOPIFY_ variables too: only near misses count.
		near := slices.IndexFunc(known, func(k string) bool { return distance(name, k) <= 2 })
		if near >= 0 {
			l.fail("%s: there is no such variable, did you mean %s?", name, known[near])
		}
	}
}
