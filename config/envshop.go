package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// EnvShop is the one shop that the environment can declare. It is never
// stored, and it wins over a stored shop of the same domain.
type EnvShop struct {
	Domain     string // name.myshopify.com in lower case, "" when none is declared
	MerchantID string // "" when not given

	APIKey             string // the app's client id
	APISecret          Secret // signs webhooks, and gets tokens by the client-credentials grant
	APISecretPrevious  Secret // the secret before the last rotation
	NotificationSecret Secret // signs webhooks made under Settings, Notifications in Shopify's admin
	AccessToken        Secret // a static token; unset: client-credentials grant
}

// Declared reports whether the environment declares a shop.
func (e EnvShop) Declared() bool { return e.Domain != "" }

// shopVariable is one variable of the shop. A secret one can also be given as
// a file, in the variable with _FILE at its end.
type shopVariable struct {
	name   string
	secret bool
	help   string
	set    func(e *EnvShop, v Secret)
	show   func(e EnvShop) string
}

func shopVariables() []shopVariable {
	return []shopVariable{
		{"SHOPIFY_SHOP", false, "Domain of the shop, for example my-shop.myshopify.com.",
			func(e *EnvShop, v Secret) { e.Domain = strings.ToLower(v.Reveal()) },
			func(e EnvShop) string { return e.Domain }},
		{"SHOPIFY_API_KEY", false, "The app's client id.",
			func(e *EnvShop, v Secret) { e.APIKey = v.Reveal() },
			func(e EnvShop) string { return e.APIKey }},
		{"SHOPIFY_API_SECRET", true, "The app's client secret. Webhooks are signed with it.",
			func(e *EnvShop, v Secret) { e.APISecret = v },
			func(e EnvShop) string { return e.APISecret.String() }},
		{"SHOPIFY_API_SECRET_PREVIOUS", true, "The client secret before the last rotation. Shopify may sign with it for up to an hour after the rotation.",
			func(e *EnvShop, v Secret) { e.APISecretPrevious = v },
			func(e EnvShop) string { return e.APISecretPrevious.String() }},
		{"SHOPIFY_NOTIFICATION_SECRET", true, "The shop's own secret, which signs webhooks made under Settings, Notifications in Shopify's admin.",
			func(e *EnvShop, v Secret) { e.NotificationSecret = v },
			func(e EnvShop) string { return e.NotificationSecret.String() }},
		{"SHOPIFY_ACCESS_TOKEN", true, "A static access token. Without it tokens are asked for with the client id and secret, and renewed.",
			func(e *EnvShop, v Secret) { e.AccessToken = v },
			func(e EnvShop) string { return e.AccessToken.String() }},
		{"SHOPIFY_MERCHANT_ID", false, "Your own name for the merchant, stored with each product.",
			func(e *EnvShop, v Secret) { e.MerchantID = v.Reveal() },
			func(e EnvShop) string { return e.MerchantID }},
	}
}

const fileSuffix = "_FILE"

// loadShop reads the SHOPIFY_ variables.
func (l *loader) loadShop() {
	var shop EnvShop
	var given []string
	failed := len(l.errs)
	for _, v := range shopVariables() {
		value, origin, ok := l.shopValue(v)
		if !ok {
			continue
		}
		given = append(given, origin.Where)
		if strings.IndexFunc(value.Reveal(), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) >= 0 {
			l.fail("%s: it has a space or a line break in it, copy it again", v.name)
			continue
		}
		v.set(&shop, value)
		l.out.origins[v.name] = origin
	}
	if len(l.errs) > failed || len(given) == 0 {
		return
	}
	if shop.Domain == "" {
		l.out.Warnings = append(l.out.Warnings, fmt.Sprintf("SHOPIFY_SHOP is not set, so %s is ignored", strings.Join(given, ", ")))
		return
	}
	l.checkShop(shop)
	l.out.Shop = shop
}

// shopValue reads one variable, or the file that its _FILE variable names.
func (l *loader) shopValue(v shopVariable) (Secret, Origin, bool) {
	value, name := l.env[v.name], v.name+fileSuffix
	file := l.env[name]
	if !v.secret || file == "" {
		// Blanks at the ends come from quoting mistakes and belong to no value.
		return NewSecret(strings.TrimSpace(value)), Origin{FromEnv, v.name}, strings.TrimSpace(value) != ""
	}
	if value != "" {
		l.fail("%s: %s is set as well, use one of them", name, v.name)
		return Secret{}, Origin{}, false
	}
	secret, path, err := l.secrets.read(file, "")
	if err != nil {
		l.fail("%s: %w", name, err)
		return Secret{}, Origin{}, false
	}
	return secret, Origin{FromFile, path}, true
}

// checkShop reports what is missing or malformed.
func (l *loader) checkShop(shop EnvShop) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`).MatchString(shop.Domain) {
		hint := ""
		if name := regexp.MustCompile(`^(?:https?://)?([a-z0-9][a-z0-9-]*)(?:\.myshopify\.com)?/?$`).FindStringSubmatch(shop.Domain); name != nil {
			hint = ", write " + name[1] + ".myshopify.com"
		} else {
			hint = ", write its name.myshopify.com domain, which Shopify's admin shows under Settings, Domains"
		}
		l.fail("SHOPIFY_SHOP: %q is not a shop's domain%s", shop.Domain, hint)
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
	var known []string
	for _, v := range shopVariables() {
		known = append(known, v.name)
		if v.secret {
			known = append(known, v.name+fileSuffix)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		// Other programs have SHOPIFY_ variables too: only near misses count.
		if !strings.HasPrefix(name, "SHOPIFY_") || slices.Contains(known, name) {
			continue
		}
		for _, k := range known {
			if distance(name, k) <= 2 {
				l.fail("%s: there is no such variable, did you mean %s?", name, k)
				break
			}
		}
	}
}
