package catalog

import (
	"bytes"
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
		return "", fmt.Errorf("%q is not a shop name; it looks like my-shop.myshopify.com", s)
	}
	return name, nil
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
