package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var shopName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`)

// ParseShop returns the shop's domain in lower case, or an error that says what
// a shop's name looks like.
func ParseShop(s string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	if len(name) > 255 || !shopName.MatchString(name) {
		return "", fmt.Errorf("%q is not a shop's name, which is lower-case letters, digits and hyphens before .myshopify.com", s)
	}
	return name, nil
}

// ReadShop is ParseShop for what a person types or pastes: also the name alone,
// and the addresses of the shop and of its pages in Shopify's admin.
func ReadShop(typed string) (string, error) {
	name := strings.ToLower(strings.Trim(strings.TrimSpace(typed), `"'<>`))
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	host, path, _ := strings.Cut(name, "/")
	if i := strings.IndexAny(host, "?#"); i >= 0 {
		host = host[:i]
	}
	if store, ok := strings.CutPrefix(path, "store/"); ok && host == "admin.shopify.com" {
		host = store
		if i := strings.IndexAny(host, "/?#"); i >= 0 {
			host = host[:i]
		}
	}
	host = strings.TrimSuffix(host, ".")
	if host != "" && !strings.Contains(host, ".") {
		host += ".myshopify.com"
	}
	if shop, err := ParseShop(host); err == nil {
		return shop, nil
	}
	const where = "Shopify's admin shows it under Settings, Domains, and has it in its addresses: admin.shopify.com/store/NAME"
	switch {
	case strings.TrimSpace(typed) == "":
		return "", errors.New("the shop's name is missing; it is NAME.myshopify.com. " + where)
	case strings.HasPrefix(host, "shp") && strings.Contains(host, "_"):
		return "", errors.New("a secret or token of Shopify was given in place of the shop's name. " + where)
	case host == "admin.shopify.com":
		return "", fmt.Errorf("%q names no shop; the NAME behind /store/ is missing in it", typed)
	case strings.Contains(host, ".") && !strings.HasSuffix(host, ".myshopify.com"):
		return "", fmt.Errorf("%q is not the name that Shopify gave the shop, which ends with .myshopify.com. %s", typed, where)
	}
	return "", fmt.Errorf("%q is not a shop's name, which is letters, digits and hyphens before .myshopify.com. %s", typed, where)
}

// ShopNamed returns the shop that the body of a compliance topic names, "" for
// none. It serves to choose the secrets that the signature is compared with, so
// the body may be anybody's: the first 64 KiB are looked at, and what can't be
// read names none.
func ShopNamed(body []byte) string {
	const most = 64 << 10
	dec := jsontext.NewDecoder(bytes.NewBuffer(body[:min(len(body), most)]), jsontext.AllowDuplicateNames(true))
	if dec.PeekKind() != '{' {
		return ""
	}
	if _, err := dec.ReadToken(); err != nil {
		return ""
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		if name.String() != "shop_domain" {
			if dec.SkipValue() != nil {
				return ""
			}
			continue
		}
		if dec.PeekKind() != '"' {
			return ""
		}
		value, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		shop, err := ParseShop(value.String())
		if err != nil {
			return ""
		}
		return shop
	}
	return ""
}
